// One single-port memory macro: synchronous read whose output holds until the next read. Replace it by a compiled SRAM of the same ports.
module cgs_sram #(
    parameter int unsigned Width = 64,
    parameter int unsigned Words = 256,
    localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1
) (
    input  logic                   clk_i,
    input  logic                   sleep_i,    // contents are kept, accesses are not allowed
    input  logic                   read_i,
    input  logic                   write_i,
    input  logic [AddressBits-1:0] address_i,
    input  logic [Width-1:0]       data_i,
    output logic [Width-1:0]       data_o
);
  // verilator coverage_off
  logic [Width-1:0] words_q[Words];
  // verilator coverage_on

  always_ff @(posedge clk_i) begin
    if (write_i) words_q[address_i] <= data_i;
    if (read_i) data_o <= words_q[address_i];
  end

`ifdef CGS_CHECKS
  always_ff @(posedge clk_i) begin
    if ((read_i || write_i) && sleep_i) $fatal(1, "%m: access while asleep");
    if (read_i && write_i) $fatal(1, "%m: read and write in one cycle");
    if ((read_i || write_i) && 32'(address_i) >= Words) $fatal(1, "%m: address %0d of %0d words", address_i, Words);
  end
`else
  logic unused_sleep;
  assign unused_sleep = sleep_i;
`endif
endmodule
