// Cells of an LSTM: what becomes of the sums of their gates; cgs/quant/cells.py says the same in integers. A gate's function takes the cycle of its sum.
// After g two cycles follow: c = f c + i g, then h = o tanh(c). One table and one multiplier of a gate and a tanh serve both i g and o tanh(c), since
// sigmoid(z) = (1 + tanh(z / 2)) / 2 and each is needed in a cycle of its own.
module cgs_cell #(
    parameter int unsigned ValueBits = 8,
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
    input  logic        [4:0]    h_shift_i,  // right, from 17 fraction bits
    input  logic        [4:0]    h_bits_i,
    output logic [ValueBits-1:0] h_o
);
  logic signed [15:0] c;
  logic signed [12:0] argument;  // of tanh in 128ths, or of sigmoid in 64ths of half of it
  logic [12:0] magnitude, steps;
  logic [7:0] table_value;
  logic signed [8:0] signed_value, g;

  assign argument     = h_valid_i ? 13'((17'(c) + 17'sd8) >>> 4) : 13'(sum_i);
  assign magnitude    = argument < 0 ? -argument : argument;
  assign steps        = h_valid_i || g_valid_i ? magnitude : (magnitude + 13'd1) >> 1;
  assign signed_value = argument < 0 ? -{1'b0, table_value} : {1'b0, table_value};
  assign sigmoid_o    = {!signed_value[8], signed_value[7:0]};  // one half more

  cgs_tanh u_tanh (
      .steps_i(steps > 13'd511 ? 9'd511 : steps[8:0]),
      .tanh_o (table_value)
  );

  logic signed [9:0] gate;
  logic signed [8:0] factor;
  logic signed [18:0] product, unused_h;
  logic signed [26:0] sum, unused_c;

  assign gate    = {1'b0, h_valid_i ? o_i : i_i};
  assign factor  = h_valid_i ? signed_value : g;
  assign product = gate * factor;
  assign sum     = $signed({1'b0, f_i}) * c_i + (27'(product) <<< 3);

  cgs_requantise #(
      .AccBits(27),
      .BiasBits(1),
      .ValueBits(16)
  ) u_c (
      .sum_i         (sum),
      .bias_i        (1'b0),
      .bias_shift_i  (5'd0),
      .shift_i       (5'd9),
      .value_bits_i  (5'd16),
      .value_signed_i(1'b1),
      .total_o       (unused_c),
      .value_o       (c_o)
  );

  cgs_requantise #(
      .AccBits(19),
      .BiasBits(1),
      .ValueBits(ValueBits)
  ) u_h (
      .sum_i         (product),
      .bias_i        (1'b0),
      .bias_shift_i  (5'd0),
      .shift_i       (h_shift_i),
      .value_bits_i  (h_bits_i),
      .value_signed_i(1'b1),
      .total_o       (unused_h),
      .value_o       (h_o)
  );

  cgs_register #(
      .Width(9),
      .ClockGating(ClockGating)
  ) u_g (
      .clk_i,
      .enable_i(g_valid_i),
      .data_i  (signed_value),
      .data_o  (g)
  );

  cgs_register #(
      .Width(16),
      .ClockGating(ClockGating)
  ) u_new_c (
      .clk_i,
      .enable_i(c_valid_i),
      .data_i  (c_o),
      .data_o  (c)
  );
endmodule
