// cgs_register against a variable, and cgs_clock_gate against whole pulses while its enable changes in both halves of a cycle.
module cgs_register_check #(
    parameter int unsigned Width = 8,
    parameter bit ClockGating = 1'b0
) (
    input  logic clk_i,
    output logic done_o
);
  logic enable;
  logic [Width-1:0] data, held, want;

  cgs_register #(
      .Width(Width),
      .ClockGating(ClockGating)
  ) u_register (
      .clk_i,
      .enable_i(enable),
      .data_i  (data),
      .data_o  (held)
  );

  initial begin
    done_o = 1'b0;
    for (int i = 0; i < 1000; i++) begin
      @(negedge clk_i);
      enable = i == 0 || $urandom_range(1) == 1;
      data   = Width'({$urandom(), $urandom()});
      if (enable) want = data;
      @(posedge clk_i);
      #1;
      data = ~data;  // after the edge: too late
      #1;
      if (held !== want) $fatal(1, "%m: step %0d: %h, not %h", i, held, want);
    end
    done_o = 1'b1;
  end
endmodule

module cgs_register_bench;
  logic clk = 1'b0;
  always #5 clk = !clk;
  logic [6:0] done;

  for (genvar i = 0; i < 2; i++) begin : gen_gating
    cgs_register_check #(.Width(1), .ClockGating(i != 0)) u_bit (.clk_i(clk), .done_o(done[3*i]));
    cgs_register_check #(.Width(8), .ClockGating(i != 0)) u_byte (.clk_i(clk), .done_o(done[3*i+1]));
    cgs_register_check #(.Width(49), .ClockGating(i != 0)) u_wide (.clk_i(clk), .done_o(done[3*i+2]));
  end

  logic enable, gated, want;
  int n_edges, n_wanted;
  cgs_clock_gate u_gate (
      .clk_i   (clk),
      .enable_i(enable),
      .clk_o   (gated)
  );
  always @(posedge gated) n_edges = n_edges + 1;

  initial begin
    done[6] = 1'b0;
    enable  = 1'b0;
    @(negedge clk);
    @(negedge clk);
    n_edges  = 0;
    n_wanted = 0;
    for (int i = 0; i < 1000; i++) begin
      repeat (2) begin
        #1 enable = $urandom_range(1) == 1;
        #1 if (gated) $fatal(1, "%m: a pulse while the clock is low");
      end
      want = enable;
      n_wanted += int'(want);
      @(posedge clk);
      repeat (3) begin
        #1 if (gated != want) $fatal(1, "%m: cycle %0d: the pulse is %b, not %b", i, gated, want);
        enable = $urandom_range(1) == 1;
      end
      #1 if (gated != want) $fatal(1, "%m: cycle %0d: the pulse ends as %b, not %b", i, gated, want);
      @(negedge clk);
    end
    if (n_edges != n_wanted) $fatal(1, "%m: %0d pulses, not %0d", n_edges, n_wanted);
    done[6] = 1'b1;
  end

  initial begin
    wait (&done);
    $display("PASS: cgs_register, cgs_clock_gate");
    $finish;
  end
endmodule
