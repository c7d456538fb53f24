// cgs_cell against the same in floating point, which is exact but for tanh: every sum of a gate, and cells over many frames.
module cgs_cell_check #(
    parameter int unsigned ValueBits = 8,
    parameter int unsigned HBits = 8,
    parameter int unsigned HShift = 10,
    parameter bit ClockGating = 1'b0
) (
    input  logic clk_i,
    output logic done_o
);
  logic signed [10:0] sum;
  logic [8:0] sigmoid_out, i, f, o;
  logic g_valid, c_valid, h_valid;
  logic signed [15:0] c_before, c_after;
  logic [ValueBits-1:0] h;

  cgs_cell #(
      .ValueBits(ValueBits),
      .HBits(HBits),
      .HShift(HShift),
      .ClockGating(ClockGating)
  ) u_cell (
      .clk_i,
      .sum_i    (sum),
      .g_valid_i(g_valid),
      .sigmoid_o(sigmoid_out),
      .i_i      (i),
      .f_i      (f),
      .o_i      (o),
      .c_valid_i(c_valid),
      .c_i      (c_before),
      .c_o      (c_after),
      .h_valid_i(h_valid),
      .h_o      (h)
  );

  // of a number of 128ths, in 256ths
  function automatic longint tanh_of(input longint q);
    longint steps = longint'($rtoi($tanh($itor(q < 0 ? -q : q) / 128.0) * 256.0 + 0.5));
    if (steps > 255 || q >= 512 || q <= -512) steps = 255;
    return q < 0 ? -steps : steps;
  endfunction

  // half of it, rounded away from zero
  function automatic longint sigmoid_of(input longint z);
    return 256 + tanh_of(z < 0 ? -((1 - z) / 2) : (z + 1) / 2);
  endfunction

  // to so many fraction bits, halves up, from -2^(bits - 1) to 2^(bits - 1) - 1
  function automatic longint rounded(input real number, input int fraction_bits, input int bits);
    longint highest = (64'sd1 << (bits - 1)) - 1;
    longint found = longint'($rtoi($floor(number * $pow(2.0, $itor(fraction_bits)) + 0.5)));
    return found > highest ? highest : found < -highest - 1 ? -highest - 1 : found;
  endfunction

  function automatic real gate_of(input longint sum_of_gate);
    return $itor(sigmoid_of(sum_of_gate)) / 512.0;
  endfunction

  // any sum, or the ends
  function automatic longint drawn();
    case ($urandom_range(5))
      0: return 1023;
      1: return -1024;
      default: return longint'($urandom_range(2047)) - 1024;
    endcase
  endfunction

  task automatic pause();  // between the cycles that are told apart the inputs say anything
    g_valid = 1'b0;
    c_valid = 1'b0;
    h_valid = 1'b0;
    repeat ($urandom_range(2)) begin
      sum = 11'($urandom());
      @(negedge clk_i);
    end
  endtask

  longint c, z[4];
  real tanh_c;
  initial begin
    done_o   = 1'b0;
    c        = 0;
    c_before = '0;
    {i, f, o} = '0;
    pause();
    for (int k = -1024; k < 1024; k++) begin
      sum = 11'(k);
      #1;
      if (longint'(sigmoid_out) != sigmoid_of(longint'(k))) $fatal(1, "%m: sigmoid of %0d is %0d, not %0d", k, sigmoid_out, sigmoid_of(longint'(k)));
    end
    for (int frame = 0; frame < 20000; frame++) begin
      for (int k = 0; k < 4; k++) z[k] = drawn();
      if (frame % 100 < 40) begin  // everything open and g at one end: c grows to where it saturates
        z[0] = 1023;
        z[1] = 1023;
        z[3] = frame % 200 < 100 ? 1023 : -1024;
      end
      i       = 9'(sigmoid_of(z[0]));
      f       = 9'(sigmoid_of(z[1]));
      o       = 9'(sigmoid_of(z[2]));
      @(negedge clk_i);
      sum     = 11'(z[3]);
      g_valid = 1'b1;
      @(negedge clk_i);
      pause();
      c_before = 16'(c);
      c        = rounded(gate_of(z[1]) * $itor(c) / 2048.0 + gate_of(z[0]) * $itor(tanh_of(z[3])) / 256.0, 11, 16);
      c_valid  = 1'b1;
      #1;
      if (longint'(c_after) != c) $fatal(1, "%m: frame %0d: c is %0d, not %0d", frame, c_after, c);
      @(negedge clk_i);
      pause();
      c_before = 16'($urandom());
      h_valid  = 1'b1;
      #1;
      tanh_c = $itor(tanh_of(rounded($itor(c) / 2048.0, 7, 14))) / 256.0;
      if (h != ValueBits'(rounded(gate_of(z[2]) * tanh_c, 17 - int'(HShift), int'(HBits)))) $fatal(1, "%m: frame %0d: h is %h", frame, h);
      @(negedge clk_i);
      pause();
    end
    done_o = 1'b1;
  end
endmodule

module cgs_cell_bench;
  logic clk = 1'b0;
  always #5 clk = !clk;
  logic [7:0] done;

  for (genvar i = 0; i < 2; i++) begin : gen_gating
    cgs_cell_check #(.ValueBits(8), .HBits(8), .HShift(10), .ClockGating(i != 0)) u_byte (.clk_i(clk), .done_o(done[4*i]));
    cgs_cell_check #(.ValueBits(16), .HBits(4), .HShift(14), .ClockGating(i != 0)) u_narrow (.clk_i(clk), .done_o(done[4*i+1]));
    cgs_cell_check #(.ValueBits(16), .HBits(16), .HShift(0), .ClockGating(i != 0)) u_saturated (.clk_i(clk), .done_o(done[4*i+2]));
    cgs_cell_check #(.ValueBits(12), .HBits(8), .HShift(17), .ClockGating(i != 0)) u_coarse (.clk_i(clk), .done_o(done[4*i+3]));
  end

  initial begin
    wait (&done);
    $display("PASS: cgs_cell, cgs_tanh");
    $finish;
  end
endmodule
