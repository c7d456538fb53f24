// From a sum of products to an output: bias, rounding to nearest (halves up), shift, and saturation, which at zero is the ReLU.
module cgs_requantise #(
    parameter int unsigned AccBits = 32,
    parameter int unsigned BiasBits = 16,
    parameter int unsigned ValueBits = 8
) (
    input  logic signed [AccBits-1:0]   sum_i,
    input  logic signed [BiasBits-1:0]  bias_i,
    input  logic        [4:0]           bias_shift_i,   // left, to the sum's unit
    input  logic        [4:0]           shift_i,        // right, to the output's unit
    input  logic        [4:0]           value_bits_i,   // of this layer's outputs, at most ValueBits
    input  logic                        value_signed_i, // a linear layer; otherwise a ReLU
    output logic signed [AccBits-1:0]   total_o,        // with its bias: the result of the last layer
    output logic        [ValueBits-1:0] value_o
);
  localparam int unsigned WideBits = AccBits > ValueBits + 2 ? AccBits : ValueBits + 2;

  logic signed [AccBits-1:0] half, rounded;
  logic signed [WideBits-1:0] wide, low, high;

  assign total_o = sum_i + (AccBits'(bias_i) <<< bias_shift_i);
  assign half    = shift_i == '0 ? '0 : AccBits'(1) << (shift_i - 5'd1);
  assign rounded = (total_o + half) >>> shift_i;
  assign wide    = WideBits'(rounded);
  assign high    = (WideBits'(1) << (value_signed_i ? value_bits_i - 5'd1 : value_bits_i)) - WideBits'(1);
  assign low     = value_signed_i ? -high - WideBits'(1) : '0;

  always_comb begin
    if (wide < low) value_o = low[ValueBits-1:0];
    else if (wide > high) value_o = high[ValueBits-1:0];
    else value_o = wide[ValueBits-1:0];
  end
endmodule
