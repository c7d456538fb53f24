// Cells of an LSTM: what becomes of the sums of their gates; cgs/quant/cells.py says the same in integers. A gate's function takes the cycle of its sum.
// After g two cycles follow: c = f c + i g and tanh(c), then h = o tanh(c). One table serves all functions, since sigmoid(z) = (1 + tanh(z / 2)) / 2,
// and one multiplier both i g and o tanh(c).
module cgs_cell #(
    parameter int unsigned ValueBits = 8,
    parameter int unsigned HBits = 8,    // of h, at most ValueBits
    parameter int unsigned HShift = 10,  // from 17 fraction bits to those of h
    parameter bit ClockGating = 1'b0
) (
    input  logic                 clk_i,
    input  logic signed [10:0]   sum_i,      // of a gate: 7 fraction bits
    input  logic                 g_valid_i,  // it is g's, and the gates of its cell are read
    output logic        [8:0]    sigmoid_o,  // of any other: 9 fraction bits
    input  logic        [8:0]    i_i,
    input  logic        [8:0]    f_i,
    input  logic        [8:0]    o_i,
    input  logic                 c_valid_i,  // the first cycle
    input  logic signed [15:0]   c_i,        // of the frame before: 11 fraction bits
    output logic signed [15:0]   c_o,
    input  logic                 h_valid_i,  // the second
    output logic [ValueBits-1:0] h_o
);
  localparam int unsigned WideBits = 19 > ValueBits + 2 ? 19 : ValueBits + 2;
  localparam logic signed [18:0] HalfH = (19'sd1 <<< HShift) >>> 1;
  localparam logic signed [16:0] HighC = 17'sd32767;
  localparam logic signed [WideBits-1:0] HighH = (WideBits'(1) << (HBits - 1)) - WideBits'(1);

  logic signed [12:0] argument;  // of tanh in 128ths, or of sigmoid in 64ths of half of it
  logic [12:0] magnitude, steps;
  logic negative, factor_negative;
  logic [7:0] table_value, factor;  // factor: of g, then of tanh(c), without its sign
  logic [8:0] gate;
  logic [16:0] product;
  logic signed [18:0] signed_product, one;  // a negative one is the complement, and one more
  logic signed [25:0] kept, added, sum;
  logic signed [16:0] rounded_c;
  logic signed [WideBits-1:0] rounded_h;

  assign argument  = c_valid_i ? 13'((17'(c_o) + 17'sd8) >>> 4) : 13'(sum_i);
  assign negative  = argument < 0;
  assign magnitude = negative ? -argument : argument;
  assign steps     = c_valid_i || g_valid_i ? magnitude : (magnitude + 13'd1) >> 1;
  assign sigmoid_o = negative ? 9'd256 - {1'b0, table_value} : {1'b1, table_value};

  cgs_tanh u_tanh (
      .steps_i(steps > 13'd511 ? 9'd511 : steps[8:0]),
      .tanh_o (table_value)
  );

  assign gate           = h_valid_i ? o_i : i_i;
  assign product        = 17'(gate) * 17'(factor);
  assign signed_product = factor_negative ? ~{2'b00, product} : {2'b00, product};
  assign one            = {18'd0, factor_negative};
  assign kept           = $signed({1'b0, f_i}) * c_i;
  assign added          = {{4{factor_negative}}, signed_product, {3{factor_negative}}};
  assign sum            = kept + added + (26'(one) | 26'sd256);
  assign rounded_c      = 17'(sum >>> 9);
  assign rounded_h      = WideBits'((signed_product + (HalfH + one)) >>> HShift);

  always_comb begin
    if (rounded_c > HighC) c_o = HighC[15:0];
    else if (rounded_c < ~HighC) c_o = ~HighC[15:0];
    else c_o = rounded_c[15:0];
    if (rounded_h > HighH) h_o = HighH[ValueBits-1:0];
    else if (rounded_h < ~HighH) h_o = ~HighH[ValueBits-1:0];
    else h_o = rounded_h[ValueBits-1:0];
  end

  cgs_register #(
      .Width(9),
      .ClockGating(ClockGating)
  ) u_factor (
      .clk_i,
      .enable_i(g_valid_i || c_valid_i),
      .data_i  ({negative, table_value}),
      .data_o  ({factor_negative, factor})
  );
endmodule
