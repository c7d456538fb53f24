// cgs_mac against sums of 64 bits: the ends of both operands, held sums, new sums.
module cgs_mac_check #(
    parameter int unsigned WeightBits = 8,
    parameter int unsigned InputBits = 9,
    parameter int unsigned AccBits = 32,
    parameter bit ClockGating = 1'b0
) (
    input  logic clk_i,
    output logic done_o
);
  localparam int N = 2000;
  localparam longint Largest = (64'sd1 <<< (AccBits - 1)) - 1;
  localparam longint MaxProduct = 64'sd1 <<< (WeightBits + InputBits - 2);

  logic enable, first;
  logic signed [WeightBits-1:0] weight;
  logic signed [InputBits-1:0] operand;
  logic signed [AccBits-1:0] sum;

  cgs_mac #(
      .WeightBits(WeightBits),
      .InputBits(InputBits),
      .AccBits(AccBits),
      .ClockGating(ClockGating)
  ) u_mac (
      .clk_i,
      .enable_i(enable),
      .first_i (first),
      .weight_i(weight),
      .input_i (operand),
      .sum_o   (sum)
  );

  // lowest, highest, -1, 0 or any number of so many bits
  function automatic longint drawn(input int bits);
    longint low = -(64'sd1 <<< (bits - 1));
    case ($urandom_range(5))
      0: return low;
      1: return -low - 1;
      2: return -1;
      3: return 0;
      default: return low + longint'($urandom_range((1 << bits) - 1));
    endcase
  endfunction

  longint total, a, b;
  initial begin
    done_o = 1'b0;
    total  = 0;
    for (int i = 0; i < N; i++) begin
      @(negedge clk_i);
      a = drawn(int'(WeightBits));
      b = drawn(int'(InputBits));
      enable  = i == 0 || $urandom_range(4) != 0;
      first   = i == 0 || $urandom_range(20) == 0 || total > Largest - MaxProduct || total < MaxProduct - Largest;
      weight  = WeightBits'(a);
      operand = InputBits'(b);
      if (enable) total = (first ? 0 : total) + a * b;
      @(posedge clk_i);
      #1;
      if (longint'(sum) != total) $fatal(1, "%m: step %0d: sum is %0d, not %0d", i, sum, total);
    end
    done_o = 1'b1;
  end
endmodule

module cgs_mac_bench;
  logic clk = 1'b0;
  always #5 clk = !clk;
  logic [5:0] done;

  for (genvar i = 0; i < 2; i++) begin : gen_gating
    cgs_mac_check #(.WeightBits(8), .InputBits(9), .AccBits(32), .ClockGating(i != 0)) u_wide (.clk_i(clk), .done_o(done[3*i]));
    cgs_mac_check #(.WeightBits(5), .InputBits(9), .AccBits(16), .ClockGating(i != 0)) u_narrow (.clk_i(clk), .done_o(done[3*i+1]));
    cgs_mac_check #(.WeightBits(2), .InputBits(3), .AccBits(6), .ClockGating(i != 0)) u_least (.clk_i(clk), .done_o(done[3*i+2]));
  end

  initial begin
    wait (&done);
    $display("PASS: cgs_mac");
    $finish;
  end
endmodule
