// The engine with the parameters of cgs_chip_pkg, which is made from a packed model.
module cgs_chip
  import cgs_chip_pkg::*;
(
    input  logic                        clk_i,
    input  logic                        rst_ni,
    input  logic                        load_valid_i,
    input  logic [1:0]                  load_memory_i,
    input  logic [LoadAddressBits-1:0]  load_address_i,
    input  logic [LoadBits-1:0]         load_data_i,
    input  logic                        input_valid_i,
    input  logic [ValueAddressBits-1:0] input_address_i,
    input  logic [ValueWordBits-1:0]    input_data_i,
    input  logic                        start_i,
    input  logic                        first_i,
    output logic                        busy_o,
    output logic                        done_o,
    output logic                        result_valid_o,
    output logic [SizeBits-1:0]         result_position_o,
    output logic [AccBits-1:0]          result_o,
    output logic [12:0]                 access_o
);
  cgs_engine #(
      .NumMacs(NumMacs),
      .WeightBits(WeightBits),
      .ValueBits(ValueBits),
      .BiasBits(BiasBits),
      .AccBits(AccBits),
      .SizeBits(SizeBits),
      .IndexBits(IndexBits),
      .ValuesPerWord(ValuesPerWord),
      .GroupsPerWord(GroupsPerWord),
      .TableWords(TableWords),
      .WeightWords(WeightWords),
      .IndexWords(IndexWords),
      .BiasWords(BiasWords),
      .EvenWords(EvenWords),
      .OddWords(OddWords),
      .WeightBankWords(WeightBankWords),
      .WakeCycles(WakeCycles),
      .Cells(Cells),
      .GateWords(GateWords),
      .StateWords(StateWords),
      .ClockGating(ClockGating)
  ) u_engine (
      .clk_i,
      .rst_ni,
      .load_valid_i,
      .load_memory_i,
      .load_address_i,
      .load_data_i,
      .input_valid_i,
      .input_address_i,
      .input_data_i,
      .start_i,
      .first_i,
      .busy_o,
      .done_o,
      .result_valid_o,
      .result_position_o,
      .result_o,
      .access_o
  );
endmodule
