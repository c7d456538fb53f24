// cgs_output against a sum of shifted values: whole words, words that a layer ends early, pauses.
module cgs_output_check #(
    parameter int unsigned ValueBits = 8,
    parameter int unsigned ValuesPerWord = 8,
    parameter bit ClockGating = 1'b0
) (
    input  logic clk_i,
    output logic done_o
);
  localparam int unsigned LaneBits = ValuesPerWord > 1 ? $clog2(ValuesPerWord) : 1;

  logic valid;
  logic [LaneBits-1:0] lane;
  logic [ValueBits-1:0] value;
  logic [ValuesPerWord*ValueBits-1:0] word;

  cgs_output #(
      .ValueBits(ValueBits),
      .ValuesPerWord(ValuesPerWord),
      .ClockGating(ClockGating)
  ) u_output (
      .clk_i,
      .valid_i(valid),
      .lane_i (lane),
      .value_i(value),
      .word_o (word)
  );

  longint unsigned want, scale;
  int length;
  initial begin
    done_o = 1'b0;
    valid  = 1'b0;
    for (int i = 0; i < 300; i++) begin
      length = $urandom_range(3) == 0 ? int'($urandom_range(ValuesPerWord, 1)) : int'(ValuesPerWord);
      want   = 0;
      scale  = 1;
      for (int k = 0; k < length; k++) begin
        @(negedge clk_i);
        while ($urandom_range(3) == 0) begin  // a pause, in which the inputs say anything
          valid = 1'b0;
          lane  = LaneBits'($urandom_range(ValuesPerWord - 1));
          value = ValueBits'($urandom());
          @(negedge clk_i);
        end
        valid = 1'b1;
        lane  = LaneBits'(k);
        value = ValueBits'($urandom());
        want  = want + 64'(value) * scale;
        scale = scale * (64'd1 << ValueBits);
        #1;
        if (64'(word) != want) $fatal(1, "%m: word %0d with %0d values is %h, not %h", i, k + 1, word, want);
      end
    end
    done_o = 1'b1;
  end
endmodule

module cgs_output_bench;
  logic clk = 1'b0;
  always #5 clk = !clk;
  logic [7:0] done;

  for (genvar i = 0; i < 2; i++) begin : gen_gating
    cgs_output_check #(.ValueBits(8), .ValuesPerWord(8), .ClockGating(i != 0)) u_eight (.clk_i(clk), .done_o(done[4*i]));
    cgs_output_check #(.ValueBits(5), .ValuesPerWord(4), .ClockGating(i != 0)) u_four (.clk_i(clk), .done_o(done[4*i+1]));
    cgs_output_check #(.ValueBits(3), .ValuesPerWord(2), .ClockGating(i != 0)) u_two (.clk_i(clk), .done_o(done[4*i+2]));
    cgs_output_check #(.ValueBits(8), .ValuesPerWord(1), .ClockGating(i != 0)) u_one (.clk_i(clk), .done_o(done[4*i+3]));
  end

  initial begin
    wait (&done);
    $display("PASS: cgs_output");
    $finish;
  end
endmodule
