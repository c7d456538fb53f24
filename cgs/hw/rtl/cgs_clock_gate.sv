// Clock gate: the enable is caught while the clock is low, so that no pulse is cut. Replace it by the library's cell.
module cgs_clock_gate (
    input  logic clk_i,
    input  logic enable_i,
    output logic clk_o
);
  logic enable_q;

  always_latch if (!clk_i) enable_q = enable_i;

  assign clk_o = clk_i & enable_q;
endmodule
