// Collects outputs into memory words: a word is whole with its last value, or with the last value of the layer.
module cgs_output #(
    parameter int unsigned ValueBits = 8,
    parameter int unsigned ValuesPerWord = 8,
    parameter bit ClockGating = 1'b0,
    localparam int unsigned LaneBits = ValuesPerWord > 1 ? $clog2(ValuesPerWord) : 1
) (
    input  logic                               clk_i,
    input  logic                               valid_i,
    input  logic [LaneBits-1:0]                lane_i,
    input  logic [ValueBits-1:0]               value_i,
    output logic [ValuesPerWord*ValueBits-1:0] word_o   // the values so far, this one included; zeros above it
);
  if (ValuesPerWord == 1) begin : gen_single
    logic unused;
    assign unused = ^{clk_i, valid_i, lane_i};
    assign word_o = value_i;
  end else begin : gen_word
    localparam int unsigned HeldBits = (ValuesPerWord - 1) * ValueBits;
    logic [HeldBits-1:0] held;
    logic [ValuesPerWord*ValueBits-1:0] padded;

    assign padded = {ValueBits'(0), held};

    always_comb begin
      word_o = '0;
      for (int unsigned i = 0; i < ValuesPerWord; i++) begin
        if (i == 32'(lane_i)) word_o[i*ValueBits+:ValueBits] = value_i;
        else if (i < 32'(lane_i)) word_o[i*ValueBits+:ValueBits] = padded[i*ValueBits+:ValueBits];
      end
    end

    cgs_register #(
        .Width(HeldBits),
        .ClockGating(ClockGating)
    ) u_held (
        .clk_i,
        .enable_i(valid_i && 32'(lane_i) != ValuesPerWord - 1),
        .data_i  (word_o[HeldBits-1:0]),
        .data_o  (held)
    );
  end
endmodule
