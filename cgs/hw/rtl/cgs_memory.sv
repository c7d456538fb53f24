// A memory divided into banks, of which an access wakes one: the bank is the upper part of the address.
module cgs_memory #(
    parameter int unsigned Width = 64,
    parameter int unsigned Words = 256,
    parameter int unsigned BankWords = 256,  // a power of two
    localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1
) (
    input  logic                   clk_i,
    input  logic                   sleep_i,
    input  logic                   read_i,
    input  logic                   write_i,
    input  logic [AddressBits-1:0] address_i,
    input  logic [Width-1:0]       data_i,
    output logic [Width-1:0]       data_o
);
  localparam int unsigned Banks = (Words + BankWords - 1) / BankWords;
  localparam int unsigned LocalBits = BankWords > 1 ? $clog2(BankWords) : 0;

  if (Banks == 1) begin : gen_whole
    cgs_sram #(
        .Width(Width),
        .Words(Words)
    ) u_bank (
        .clk_i,
        .sleep_i,
        .read_i,
        .write_i,
        .address_i,
        .data_i,
        .data_o
    );
  end else begin : gen_banks
    logic [AddressBits-LocalBits-1:0] bank, bank_q;
    logic [Width-1:0] data[Banks];

    assign bank = address_i[AddressBits-1:LocalBits];
    assign data_o = data[bank_q];
    always_ff @(posedge clk_i) if (read_i) bank_q <= bank;

    for (genvar i = 0; i < Banks; i++) begin : gen_bank
      localparam int unsigned Here = i + 1 < Banks ? BankWords : Words - i * BankWords;
      localparam int unsigned HereBits = Here > 1 ? $clog2(Here) : 1;
      cgs_sram #(
          .Width(Width),
          .Words(Here)
      ) u_bank (
          .clk_i,
          .sleep_i,
          .read_i   (read_i && 32'(bank) == i),
          .write_i  (write_i && 32'(bank) == i),
          .address_i(address_i[HereBits-1:0]),
          .data_i,
          .data_o   (data[i])
      );
    end
  end
endmodule
