// A register that loads when enabled: by a gated clock, or by a multiplexer before each bit.
module cgs_register #(
    parameter int unsigned Width = 8,
    parameter bit ClockGating = 1'b0
) (
    input  logic             clk_i,
    input  logic             enable_i,
    input  logic [Width-1:0] data_i,
    output logic [Width-1:0] data_o
);
  if (ClockGating) begin : gen_gated
    logic clk;
    cgs_clock_gate u_gate (
        .clk_i,
        .enable_i,
        .clk_o(clk)
    );
    always_ff @(posedge clk) data_o <= data_i;
  end else begin : gen_enabled
    always_ff @(posedge clk_i) if (enable_i) data_o <= data_i;
  end
endmodule
