// cgs_requantise against division: floor of (2 total + 2^shift) / 2^(shift + 1) in 64 bits, then the nearest value that there is.
module cgs_requantise_check #(
    parameter int unsigned AccBits = 32,
    parameter int unsigned BiasBits = 16,
    parameter int unsigned ValueBits = 8
) (
    output logic done_o
);
  localparam int N = 20000;
  localparam longint Largest = (64'sd1 <<< (AccBits - 1)) - 1;

  logic signed [AccBits-1:0] sum, total;
  logic signed [BiasBits-1:0] bias;
  logic [4:0] bias_shift, shift, value_bits;
  logic value_signed;
  logic [ValueBits-1:0] value;

  cgs_requantise #(
      .AccBits(AccBits),
      .BiasBits(BiasBits),
      .ValueBits(ValueBits)
  ) u_requantise (
      .sum_i         (sum),
      .bias_i        (bias),
      .bias_shift_i  (bias_shift),
      .shift_i       (shift),
      .value_bits_i  (value_bits),
      .value_signed_i(value_signed),
      .total_o       (total),
      .value_o       (value)
  );

  function automatic longint power(input int n);
    power = 1;
    repeat (n) power = power * 2;
  endfunction

  function automatic longint drawn(input longint low, input longint high);
    longint any = longint'({$urandom(), $urandom()} >> 2);
    return low + any % (high - low + 1);
  endfunction

  function automatic longint floor_division(input longint number, input longint by);
    floor_division = number / by;
    if (number % by < 0) floor_division = floor_division - 1;
  endfunction

  longint low, high, want, exact, bias_drawn, sum_drawn, rounded;
  int n_checked;

  // A total anywhere, about zero, or within two of where rounding or saturation sets in; the bias takes a part of it.
  task automatic draw();
    shift        = 5'($urandom_range(AccBits - 2 < 31 ? AccBits - 2 : 31));
    value_signed = $urandom_range(1) == 1;
    value_bits   = 5'($urandom_range(ValueBits, value_signed ? 2 : 1));
    high = value_signed ? power(int'(value_bits) - 1) - 1 : power(int'(value_bits)) - 1;
    low  = value_signed ? -power(int'(value_bits) - 1) : 0;
    case ($urandom_range(5))
      0: exact = high * power(int'(shift)) + power(int'(shift)) / 2 + drawn(-2, 2);
      1: exact = low * power(int'(shift)) - power(int'(shift)) / 2 + drawn(-2, 2);
      2: exact = drawn(low, high) * power(int'(shift)) + power(int'(shift)) / 2 + drawn(-2, 2);
      3: exact = drawn(-3, 3);
      default: exact = drawn(-Largest - 1, Largest);
    endcase
    bias_shift = 5'($urandom_range(AccBits > BiasBits ? AccBits - BiasBits : 0));
    bias_drawn = $urandom_range(3) == 0 ? 0 : drawn(-power(int'(BiasBits) - 1), power(int'(BiasBits) - 1) - 1);
    sum_drawn  = exact - bias_drawn * power(int'(bias_shift));
  endtask

  initial begin
    done_o = 1'b0;
    for (int i = 0; i < N; i++) begin
      draw();
      // packed models promise that no sum leaves the accumulator, with half a unit more for rounding
      if (sum_drawn <= Largest && sum_drawn >= -Largest - 1 && exact >= -Largest - 1 && exact + power(int'(shift)) / 2 <= Largest) begin
        sum  = AccBits'(sum_drawn);
        bias = BiasBits'(bias_drawn);
        #1;
        rounded = floor_division(2 * exact + power(int'(shift)), 2 * power(int'(shift)));
        want = rounded < low ? low : rounded > high ? high : rounded;
        if (longint'(total) != exact) $fatal(1, "%m: total is %0d, not %0d", total, exact);
        if (value !== ValueBits'(want)) $fatal(1, "%m: %0d shifted by %0d is %h, not %0d", exact, shift, value, want);
        n_checked++;
      end
    end
    if (n_checked < N / 10) $fatal(1, "%m: only %0d of %0d checked", n_checked, N);
    done_o = 1'b1;
  end
endmodule

module cgs_requantise_bench;
  logic [3:0] done;

  cgs_requantise_check #(.AccBits(16), .BiasBits(16), .ValueBits(8)) u_16 (.done_o(done[0]));
  cgs_requantise_check #(.AccBits(24), .BiasBits(16), .ValueBits(8)) u_24 (.done_o(done[1]));
  cgs_requantise_check #(.AccBits(32), .BiasBits(12), .ValueBits(5)) u_32 (.done_o(done[2]));
  cgs_requantise_check #(.AccBits(10), .BiasBits(8), .ValueBits(10)) u_10 (.done_o(done[3]));

  initial begin
    wait (&done);
    $display("PASS: cgs_requantise");
    $finish;
  end
endmodule
