// The engine: core and memories. Load the memories, write a frame of inputs, start; results follow one by one.
// While the engine is busy neither loads nor inputs are taken. The activation memories work in turn: one is read, the other written.
module cgs_engine #(
    parameter int unsigned NumMacs = 8,
    parameter int unsigned WeightBits = 6,
    parameter int unsigned ValueBits = 8,
    parameter int unsigned BiasBits = 16,
    parameter int unsigned AccBits = 24,
    parameter int unsigned SizeBits = 10,
    parameter int unsigned IndexBits = 5,
    parameter int unsigned ValuesPerWord = 8,
    parameter int unsigned GroupsPerWord = 1,
    parameter int unsigned TableWords = 4,
    parameter int unsigned WeightWords = 4096,
    parameter int unsigned IndexWords = 256,
    parameter int unsigned BiasWords = 2048,
    parameter int unsigned EvenWords = 64,  // inputs of layers 0, 2, ...
    parameter int unsigned OddWords = 64,   // inputs of layers 1, 3, ...
    parameter int unsigned WeightBankWords = 2048,
    parameter int unsigned WakeCycles = 0,
    parameter bit Cells = 1'b0,             // layers may have the cells of an LSTM
    parameter int unsigned GateWords = 1,   // cells of the widest of them
    parameter int unsigned StateWords = 1,  // h of all of them
    parameter int unsigned HBits = 8,
    parameter int unsigned HShift = 10,     // from 17 fraction bits to those of h
    parameter bit ClockGating = 1'b0,
    localparam int unsigned TableBits = 5 * SizeBits + 19 + (Cells ? 1 : 0),
    localparam int unsigned WordBits = ValuesPerWord * ValueBits,
    localparam int unsigned WeightWordBits = GroupsPerWord * NumMacs * WeightBits,
    localparam int unsigned IndexOrBias = IndexBits > BiasBits ? IndexBits : BiasBits,
    localparam int unsigned TableOrThose = TableBits > IndexOrBias ? TableBits : IndexOrBias,
    localparam int unsigned LoadBits = WeightWordBits > TableOrThose ? WeightWordBits : TableOrThose,
    localparam int unsigned IndexOrBiasWords = IndexWords > BiasWords ? IndexWords : BiasWords,
    localparam int unsigned TableOrThoseWords = TableWords > IndexOrBiasWords ? TableWords : IndexOrBiasWords,
    localparam int unsigned LoadWords = WeightWords > TableOrThoseWords ? WeightWords : TableOrThoseWords,
    localparam int unsigned LoadAddressBits = LoadWords > 1 ? $clog2(LoadWords) : 1,
    localparam int unsigned ValueWords = EvenWords > OddWords ? EvenWords : OddWords,
    localparam int unsigned ValueAddressBits = ValueWords > 1 ? $clog2(ValueWords) : 1
) (
    input  logic                        clk_i,
    input  logic                        rst_ni,

    input  logic                        load_valid_i,
    input  logic [1:0]                  load_memory_i,   // 0 weights, 1 block indices, 2 biases, 3 table of layers
    input  logic [LoadAddressBits-1:0]  load_address_i,
    input  logic [LoadBits-1:0]         load_data_i,     // the lowest bits of it

    input  logic                        input_valid_i,
    input  logic [ValueAddressBits-1:0] input_address_i,
    input  logic [WordBits-1:0]         input_data_i,

    input  logic                        start_i,
    input  logic                        first_i,         // with it: the frame begins an utterance, so what cells remember is forgotten
    output logic                        busy_o,
    output logic                        done_o,
    output logic                        result_valid_o,
    output logic [SizeBits-1:0]         result_position_o,
    output logic [AccBits-1:0]          result_o,
    output logic [12:0]                 access_o         // this cycle: weights, index, bias, table; input written, values read, written;
                                                         // gates read, written, cells read, written, state read, written
);
  localparam int unsigned TableAddressBits = TableWords > 1 ? $clog2(TableWords) : 1;
  localparam int unsigned WeightAddressBits = WeightWords > 1 ? $clog2(WeightWords) : 1;
  localparam int unsigned IndexAddressBits = IndexWords > 1 ? $clog2(IndexWords) : 1;
  localparam int unsigned BiasAddressBits = BiasWords > 1 ? $clog2(BiasWords) : 1;
  localparam int unsigned EvenBits = EvenWords > 1 ? $clog2(EvenWords) : 1;
  localparam int unsigned OddBits = OddWords > 1 ? $clog2(OddWords) : 1;
  localparam int unsigned GateAddressBits = GateWords > 1 ? $clog2(GateWords) : 1;
  localparam int unsigned StateAddressBits = StateWords > 1 ? $clog2(StateWords) : 1;
  localparam int unsigned CellWords = StateWords * ValuesPerWord;
  localparam int unsigned CellBits = CellWords > 1 ? $clog2(CellWords) : 1;
  localparam int unsigned StateBits = $clog2(2 * StateWords);

  logic sleep, core_sleep, load, input_write;
  logic table_read, index_read, weight_read, bias_read, value_bank, value_read, value_write;
  logic [TableAddressBits-1:0] table_address;
  logic [IndexAddressBits-1:0] index_address;
  logic [WeightAddressBits-1:0] weight_address;
  logic [BiasAddressBits-1:0] bias_address;
  logic [ValueAddressBits-1:0] value_read_address, value_write_address;
  logic [TableBits-1:0] table_data;
  logic [IndexBits-1:0] index_data;
  logic [WeightWordBits-1:0] weight_data;
  logic [BiasBits-1:0] bias_data;
  logic [WordBits-1:0] value_data, even_data, odd_data, value_out;
  logic gates_read, cells_read, cells_write, state_used, state_read, state_write;
  logic [2:0] gates_write;
  logic [GateAddressBits-1:0] gates_address;
  logic [StateAddressBits+$clog2(ValuesPerWord)-1:0] cells_address;
  logic [StateAddressBits:0] state_address;
  logic [26:0] gates_data;
  logic [8:0] gate_out;
  logic [15:0] cell_data, cell_out;
  logic [WordBits-1:0] state_data;

  assign load        = load_valid_i && !busy_o;
  assign input_write = input_valid_i && !busy_o;
  assign sleep       = core_sleep && !load;
  assign access_o    = {weight_read, index_read, bias_read, table_read, input_write, value_read, value_write,
                        gates_read, |gates_write, cells_read, cells_write, state_read, state_write};

`ifdef CGS_NETLIST
  cgs_core_netlist u_core (  // made by make synth
`else
  cgs_core #(
      .NumMacs(NumMacs),
      .WeightBits(WeightBits),
      .ValueBits(ValueBits),
      .BiasBits(BiasBits),
      .AccBits(AccBits),
      .SizeBits(SizeBits),
      .IndexBits(IndexBits),
      .ValuesPerWord(ValuesPerWord),
      .GroupsPerWord(GroupsPerWord),
      .TableAddressBits(TableAddressBits),
      .WeightAddressBits(WeightAddressBits),
      .IndexAddressBits(IndexAddressBits),
      .BiasAddressBits(BiasAddressBits),
      .ValueAddressBits(ValueAddressBits),
      .WakeCycles(WakeCycles),
      .Cells(Cells),
      .GateAddressBits(GateAddressBits),
      .StateAddressBits(StateAddressBits),
      .HBits(HBits),
      .HShift(HShift),
      .ClockGating(ClockGating)
  ) u_core (
`endif
      .clk_i,
      .rst_ni,
      .start_i,
      .first_i,
      .busy_o,
      .done_o,
      .sleep_o              (core_sleep),
      .table_read_o         (table_read),
      .table_address_o      (table_address),
      .table_i              (table_data),
      .index_read_o         (index_read),
      .index_address_o      (index_address),
      .index_i              (index_data),
      .weight_read_o        (weight_read),
      .weight_address_o     (weight_address),
      .weights_i            (weight_data),
      .bias_read_o          (bias_read),
      .bias_address_o       (bias_address),
      .bias_i               (bias_data),
      .value_bank_o         (value_bank),
      .value_read_o         (value_read),
      .value_read_address_o (value_read_address),
      .values_i             (value_data),
      .value_write_o        (value_write),
      .value_write_address_o(value_write_address),
      .values_o             (value_out),
      .gates_read_o         (gates_read),
      .gates_write_o        (gates_write),
      .gates_address_o      (gates_address),
      .gates_i              (gates_data),
      .gate_o               (gate_out),
      .cells_read_o         (cells_read),
      .cells_write_o        (cells_write),
      .cells_address_o      (cells_address),
      .cell_i               (cell_data),
      .cell_o               (cell_out),
      .state_used_o         (state_used),
      .state_read_o         (state_read),
      .state_write_o        (state_write),
      .state_address_o      (state_address),
      .result_valid_o,
      .result_position_o,
      .result_o
  );

  cgs_memory #(
      .Width(WeightWordBits),
      .Words(WeightWords),
      .BankWords(WeightBankWords)
  ) u_weights (
      .clk_i,
      .sleep_i  (sleep),
      .read_i   (weight_read),
      .write_i  (load && load_memory_i == 2'd0),
      .address_i(load ? load_address_i[WeightAddressBits-1:0] : weight_address),
      .data_i   (load_data_i[WeightWordBits-1:0]),
      .data_o   (weight_data)
  );

  cgs_memory #(
      .Width(IndexBits),
      .Words(IndexWords),
      .BankWords(IndexWords)
  ) u_index (
      .clk_i,
      .sleep_i  (sleep),
      .read_i   (index_read),
      .write_i  (load && load_memory_i == 2'd1),
      .address_i(load ? load_address_i[IndexAddressBits-1:0] : index_address),
      .data_i   (load_data_i[IndexBits-1:0]),
      .data_o   (index_data)
  );

  cgs_memory #(
      .Width(BiasBits),
      .Words(BiasWords),
      .BankWords(BiasWords)
  ) u_bias (
      .clk_i,
      .sleep_i  (sleep),
      .read_i   (bias_read),
      .write_i  (load && load_memory_i == 2'd2),
      .address_i(load ? load_address_i[BiasAddressBits-1:0] : bias_address),
      .data_i   (load_data_i[BiasBits-1:0]),
      .data_o   (bias_data)
  );

  cgs_memory #(
      .Width(TableBits),
      .Words(TableWords),
      .BankWords(TableWords)
  ) u_table (
      .clk_i,
      .sleep_i  (sleep),
      .read_i   (table_read),
      .write_i  (load && load_memory_i == 2'd3),
      .address_i(load ? load_address_i[TableAddressBits-1:0] : table_address),
      .data_i   (load_data_i[TableBits-1:0]),
      .data_o   (table_data)
  );

  // The next layer's table row arrives while the bank still names the last layer's inputs: StLayer reads no value.
  logic even_read, even_write, odd_write;
  logic [EvenBits-1:0] even_address;
  logic [OddBits-1:0] odd_address;

  assign even_read    = value_read && !value_bank;
  assign even_write   = input_write || (value_write && value_bank);
  assign odd_write    = value_write && !value_bank;
  assign even_address = EvenBits'(input_write ? input_address_i : even_write ? value_write_address : value_read_address);
  assign odd_address  = OddBits'(odd_write ? value_write_address : value_read_address);
  assign value_data   = state_used ? state_data : value_bank ? odd_data : even_data;

  cgs_memory #(
      .Width(WordBits),
      .Words(EvenWords),
      .BankWords(EvenWords)
  ) u_even (
      .clk_i,
      .sleep_i  (1'b0),
      .read_i   (even_read),
      .write_i  (even_write),
      .address_i(even_address),
      .data_i   (input_write ? input_data_i : value_out),
      .data_o   (even_data)
  );

  cgs_memory #(
      .Width(WordBits),
      .Words(OddWords),
      .BankWords(OddWords)
  ) u_odd (
      .clk_i,
      .sleep_i  (1'b0),
      .read_i   (value_read && value_bank),
      .write_i  (odd_write),
      .address_i(odd_address),
      .data_i   (value_out),
      .data_o   (odd_data)
  );

  if (Cells) begin : gen_cells
    for (genvar i = 0; i < 3; i++) begin : gen_gate
      cgs_memory #(
          .Width(9),
          .Words(GateWords),
          .BankWords(GateWords)
      ) u_gates (
          .clk_i,
          .sleep_i  (sleep),
          .read_i   (gates_read),
          .write_i  (gates_write[i]),
          .address_i(gates_address),
          .data_i   (gate_out),
          .data_o   (gates_data[9*i+:9])
      );
    end

    cgs_memory #(
        .Width(16),
        .Words(CellWords),
        .BankWords(CellWords)
    ) u_cells (
        .clk_i,
        .sleep_i  (sleep),
        .read_i   (cells_read),
        .write_i  (cells_write),
        .address_i(CellBits'(cells_address)),
        .data_i   (cell_out),
        .data_o   (cell_data)
    );

    cgs_memory #(
        .Width(WordBits),
        .Words(2 * StateWords),
        .BankWords(2 * StateWords)
    ) u_state (
        .clk_i,
        .sleep_i  (sleep),
        .read_i   (state_read),
        .write_i  (state_write),
        .address_i(StateBits'(state_address)),
        .data_i   (value_out),
        .data_o   (state_data)
    );
  end else begin : gen_no_cells
    logic unused;
    assign unused = ^{gates_address, gate_out, cells_address, cell_out, state_address};
    assign {gates_data, cell_data, state_data} = '0;
  end
endmodule
