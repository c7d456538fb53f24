// cgs_memory, of one bank and of several, and cgs_sram, against an array of 64-bit words: outputs hold until the next read.
module cgs_memory_check #(
    parameter int unsigned Width = 64,
    parameter int unsigned Words = 256,
    parameter int unsigned BankWords = 256,  // 0: one cgs_sram
    localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1
) (
    input  logic clk_i,
    output logic done_o
);
  logic sleep, read, write;
  logic [AddressBits-1:0] address;
  logic [Width-1:0] data_in, data_out;

  if (BankWords == 0) begin : gen_sram
    cgs_sram #(.Width(Width), .Words(Words)) u_sram (
        .clk_i, .sleep_i(sleep), .read_i(read), .write_i(write), .address_i(address), .data_i(data_in), .data_o(data_out)
    );
  end else begin : gen_memory
    cgs_memory #(.Width(Width), .Words(Words), .BankWords(BankWords)) u_memory (
        .clk_i, .sleep_i(sleep), .read_i(read), .write_i(write), .address_i(address), .data_i(data_in), .data_o(data_out)
    );
  end

  longint unsigned stored[int], want;
  int where;

  // 0 read, 1 write, 2 nothing, 3 sleep
  task automatic step(input int what, input int at);
    @(negedge clk_i);
    read    = what == 0;
    write   = what == 1;
    sleep   = what == 3;
    address = AddressBits'(at);
    data_in = Width'({$urandom(), $urandom()});
    if (write) stored[at] = 64'(data_in);
    if (read) want = stored[at];
    @(posedge clk_i);
    #1;
  endtask

  initial begin
    done_o = 1'b0;
    for (int i = 0; i < int'(Words); i++) step(1, i);
    for (int i = int'(Words) - 1; i >= 0; i--) begin
      step(0, i);
      if (64'(data_out) != want) $fatal(1, "%m: word %0d is %h, not %h", i, data_out, want);
    end
    for (int i = 0; i < 2000; i++) begin
      where = int'($urandom_range(Words - 1));
      step(int'($urandom_range(3)), where);
      if (64'(data_out) != want) $fatal(1, "%m: step %0d, address %0d: %h, not %h", i, where, data_out, want);
    end
    done_o = 1'b1;
  end
endmodule

module cgs_memory_bench;
  logic clk = 1'b0;
  always #5 clk = !clk;
  logic [5:0] done;

  cgs_memory_check #(.Width(64), .Words(96), .BankWords(128)) u_whole (.clk_i(clk), .done_o(done[0]));
  cgs_memory_check #(.Width(13), .Words(100), .BankWords(32)) u_uneven (.clk_i(clk), .done_o(done[1]));
  cgs_memory_check #(.Width(40), .Words(128), .BankWords(64)) u_even (.clk_i(clk), .done_o(done[2]));
  cgs_memory_check #(.Width(7), .Words(33), .BankWords(16)) u_one_more (.clk_i(clk), .done_o(done[3]));
  cgs_memory_check #(.Width(5), .Words(1), .BankWords(1)) u_single (.clk_i(clk), .done_o(done[4]));
  cgs_memory_check #(.Width(60), .Words(50), .BankWords(0)) u_sram (.clk_i(clk), .done_o(done[5]));

  initial begin
    wait (&done);
    $display("PASS: cgs_memory, cgs_sram");
    $finish;
  end
endmodule
