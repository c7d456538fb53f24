// One multiply-accumulate unit; the first product of an output starts a new sum. No sum of a packed model leaves AccBits.
module cgs_mac #(
    parameter int unsigned WeightBits = 8,
    parameter int unsigned InputBits = 9,
    parameter int unsigned AccBits = 32,
    parameter bit ClockGating = 1'b0
) (
    input  logic                         clk_i,
    input  logic                         enable_i,
    input  logic                         first_i,
    input  logic signed [WeightBits-1:0] weight_i,
    input  logic signed [InputBits-1:0]  input_i,
    output logic signed [AccBits-1:0]    sum_o
);
  logic signed [WeightBits+InputBits-1:0] product;
  logic signed [AccBits-1:0] sum;

  assign product = weight_i * input_i;
  assign sum     = (first_i ? '0 : sum_o) + AccBits'(product);

  cgs_register #(
      .Width(AccBits),
      .ClockGating(ClockGating)
  ) u_sum (
      .clk_i,
      .enable_i,
      .data_i(sum),
      .data_o(sum_o)
  );
endmodule
