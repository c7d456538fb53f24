// The sequence of one frame, and every address. One cycle a layer, a pass, a kept block, an input and an output:
//
//   for each layer                                    StLayer   its row of the table
//     for each block row, for each pass of NumMacs outputs
//       for each kept block                           StBlock   its index (not in a dense layer)
//         for each input of the block                 StMac     reads an input and NumMacs weights; products follow a cycle later
//       the last products                             StDrain
//       for each output of the pass                   StOut     bias, rounding, saturation, write
//         (one of a cell's g: two more)               StCell    c, then h; cgs_cell_control
//
// Weights, block indices, biases and layers lie in the order in which they are used: their addresses count up.
module cgs_control #(
    parameter int unsigned NumMacs = 8,
    parameter int unsigned SizeBits = 10,         // of any number of inputs, outputs, or blocks in a row
    parameter int unsigned IndexBits = 5,
    parameter int unsigned ValuesPerWord = 8,     // a power of two
    parameter int unsigned GroupsPerWord = 1,     // a group: the weights of one cycle
    parameter int unsigned TableAddressBits = 2,
    parameter int unsigned WeightAddressBits = 14,
    parameter int unsigned IndexAddressBits = 8,
    parameter int unsigned BiasAddressBits = 11,
    parameter int unsigned ValueAddressBits = 7,
    parameter int unsigned WakeCycles = 0,        // 0: memories never sleep
    parameter bit Cells = 1'b0,                   // layers may have the cells of an LSTM
    parameter int unsigned GateAddressBits = 1,
    parameter int unsigned StateAddressBits = 1,
    parameter bit ClockGating = 1'b0,
    localparam int unsigned LayerBits = 5 * SizeBits + 19,
    localparam int unsigned TableBits = LayerBits + (Cells ? 1 : 0),
    localparam int unsigned LaneShift = $clog2(ValuesPerWord),
    localparam int unsigned LaneBits = ValuesPerWord > 1 ? $clog2(ValuesPerWord) : 1,
    localparam int unsigned GroupBits = GroupsPerWord > 1 ? $clog2(GroupsPerWord) : 1,
    localparam int unsigned MacBits = NumMacs > 1 ? $clog2(NumMacs) : 1
) (
    input  logic                         clk_i,
    input  logic                         rst_ni,
    input  logic                         start_i,
    input  logic                         first_i,           // with it: the frame is the first of an utterance, before which c and h are zero
    output logic                         busy_o,
    output logic                         done_o,            // in the last cycle of the last output
    output logic                         sleep_o,

    output logic                         table_read_o,
    output logic [TableAddressBits-1:0]  table_address_o,
    input  logic [TableBits-1:0]         table_i,

    output logic                         index_read_o,
    output logic [IndexAddressBits-1:0]  index_address_o,
    input  logic [IndexBits-1:0]         index_i,

    output logic                         weight_read_o,
    output logic [WeightAddressBits-1:0] weight_address_o,

    output logic                         value_read_o,
    output logic [ValueAddressBits-1:0]  value_read_address_o,
    output logic                         value_bank_o,      // which of the two activation memories is read; the other is written
    output logic                         value_write_o,
    output logic [ValueAddressBits-1:0]  value_write_address_o,

    output logic                         bias_read_o,
    output logic [BiasAddressBits-1:0]   bias_address_o,

    // a cycle after the reads
    output logic [NumMacs-1:0]           mac_enable_o,
    output logic                         mac_first_o,
    output logic [LaneBits-1:0]          mac_lane_o,        // of the activation word
    output logic [GroupBits-1:0]         mac_group_o,       // of the weight word
    output logic                         mac_signed_o,      // inputs of this layer have a sign
    output logic                         mac_recurrent_o,   // the input is h of the frame before

    output logic                         out_valid_o,
    output logic                         out_last_layer_o,
    output logic [SizeBits-1:0]          out_position_o,
    output logic [MacBits-1:0]           out_mac_o,
    output logic [LaneBits-1:0]          out_lane_o,
    output logic [4:0]                   out_bias_shift_o,
    output logic [4:0]                   out_shift_o,
    output logic [4:0]                   out_bits_o,
    output logic                         out_signed_o,

    // of layers of cells
    output logic                                  out_cells_o,       // the outputs are sums of gates
    output logic                                  fresh_o,           // c and h of the frame before are zero
    output logic                                  g_valid_o,
    output logic                                  c_valid_o,
    output logic                                  h_valid_o,
    output logic [LaneBits-1:0]                   h_lane_o,
    output logic                                  gates_read_o,
    output logic [2:0]                            gates_write_o,
    output logic [GateAddressBits-1:0]            gates_address_o,
    output logic                                  cells_read_o,
    output logic                                  cells_write_o,
    output logic [StateAddressBits+LaneShift-1:0] cells_address_o,
    output logic                                  state_read_o,
    output logic                                  state_write_o,
    output logic [StateAddressBits:0]             state_address_o
);
  typedef enum logic [2:0] {
    StIdle,
    StWake,
    StLayer,
    StBlock,
    StMac,
    StDrain,
    StOut,
    StCell
  } state_e;

  localparam int unsigned WakeBits = WakeCycles > 1 ? $clog2(WakeCycles) : 1;

  state_e state_q, state_d;
  logic [WakeBits-1:0] wake_q, wake_d;

  // this layer's row of the table
  typedef struct packed {
    logic                last;
    logic                out_signed;
    logic                in_signed;
    logic                sparse;
    logic [4:0]          out_bits;
    logic [4:0]          bias_shift;
    logic [4:0]          shift;
    logic [SizeBits-1:0] kept;    // blocks in a block row; 1 in a dense layer
    logic [SizeBits-1:0] width;   // inputs of a block
    logic [SizeBits-1:0] height;  // outputs of a block
    logic [SizeBits-1:0] n_out;
    logic [SizeBits-1:0] n_in;
  } layer_t;
  layer_t layer_q, layer_d;
  logic cells_q;                // this layer has cells, a quarter of its outputs ...
  logic [SizeBits-1:0] n_cells; // ... or none
  logic bank_q, bank_d;

  logic [TableAddressBits-1:0]  table_q, table_d;
  logic [IndexAddressBits-1:0]  index_q, index_d, row_index_q, row_index_d;
  logic [WeightAddressBits-1:0] weight_q, weight_d;
  logic [BiasAddressBits-1:0]   bias_q, bias_d;
  logic [GroupBits-1:0]         group_q, group_d;
  logic [SizeBits-1:0]          block_q, block_d;           // of the block row
  logic [SizeBits-1:0]          in_q, in_d, in_end_q, in_end_d;
  logic                         fetch_q, fetch_d;           // the next input begins a block
  logic [SizeBits-1:0]          out_q, out_d, row_end_q, row_end_d;
  logic [MacBits-1:0]           mac_q, mac_d;

  // products lag behind the reads by one cycle
  logic                 product_q, product_d, first_q, first_d;
  logic [LaneBits-1:0]  lane_q, lane_d;
  logic [GroupBits-1:0] used_group_q;

  // one bit more than a size: sums of two
  logic [SizeBits:0] block_end, row_end_next, in_next, out_next, block_next, n_left;
  logic [SizeBits-1:0] block_start;
  logic in_last, block_last, pass_last, row_last, layer_last, word_read;
  logic [LaneBits-1:0] in_lane, out_lane;

  if (ValuesPerWord > 1) begin : gen_lanes
    assign in_lane  = in_q[LaneBits-1:0];
    assign out_lane = out_q[LaneBits-1:0];
  end else begin : gen_no_lanes
    assign in_lane  = '0;
    assign out_lane = '0;
  end

  assign block_start  = SizeBits'(index_i) * layer_q.width;
  assign block_end    = {1'b0, block_start} + {1'b0, layer_q.width};
  assign row_end_next = {1'b0, row_end_q} + {1'b0, layer_q.height};
  assign in_next      = {1'b0, in_q} + 1'b1;
  assign out_next     = {1'b0, out_q} + 1'b1;
  assign block_next   = {1'b0, block_q} + 1'b1;
  assign in_last      = in_next == {1'b0, in_end_q};
  assign block_last   = block_next == {1'b0, layer_q.kept};
  assign row_last     = out_next == {1'b0, row_end_q};
  assign pass_last    = row_last || 32'(mac_q) == NumMacs - 1;
  assign layer_last   = out_next == {1'b0, layer_q.n_out};
  assign n_left       = {1'b0, row_end_q} - {1'b0, out_q};

  assign layer_d = table_i[LayerBits-1:0];

  // The last cycle of an output, or one after which it takes another.
  state_e step;
  logic more, recurrent;
  assign step = Cells && state_q == StCell ? StOut : state_q;

  always_comb begin
    state_d      = state_q;
    wake_d       = wake_q;
    bank_d       = bank_q;
    table_d      = table_q;
    index_d      = index_q;
    row_index_d  = row_index_q;
    weight_d     = weight_q;
    bias_d       = bias_q;
    group_d      = group_q;
    block_d      = block_q;
    in_d         = in_q;
    in_end_d     = in_end_q;
    fetch_d      = fetch_q;
    out_d        = out_q;
    row_end_d    = row_end_q;
    mac_d        = mac_q;
    product_d    = 1'b0;
    first_d      = first_q && !product_q;
    lane_d       = lane_q;
    table_read_o = 1'b0;
    index_read_o = 1'b0;
    weight_read_o = 1'b0;
    word_read    = 1'b0;
    bias_read_o  = 1'b0;
    done_o       = 1'b0;

    unique case (step)
      StIdle: begin
        table_d  = '0;
        index_d  = '0;
        weight_d = '0;
        bias_d   = '0;
        group_d  = '0;
        bank_d   = 1'b1;
        wake_d   = '0;
        if (start_i) state_d = WakeCycles > 0 ? StWake : StLayer;
        if (start_i && WakeCycles == 0) table_read_o = 1'b1;
      end

      StWake: begin
        wake_d = wake_q + 1'b1;
        if (32'(wake_q) + 1 == WakeCycles) begin
          table_read_o = 1'b1;
          state_d = StLayer;
        end
      end

      StLayer: begin
        table_d     = table_q + 1'b1;
        bank_d      = !bank_q;
        out_d       = '0;
        row_end_d   = layer_d.height < layer_d.n_out ? layer_d.height : layer_d.n_out;
        row_index_d = index_q;
        mac_d       = '0;
        block_d     = '0;
        in_d        = '0;
        in_end_d    = layer_d.n_in;
        fetch_d     = 1'b1;
        first_d     = 1'b1;
        index_read_o = layer_d.sparse;
        state_d     = layer_d.sparse ? StBlock : StMac;
      end

      StBlock: begin
        index_d  = index_q + 1'b1;
        in_d     = block_start;
        in_end_d = block_end < {1'b0, layer_q.n_in} ? block_end[SizeBits-1:0] : layer_q.n_in;
        fetch_d  = 1'b1;
        state_d  = StMac;
      end

      StMac: begin
        word_read     = fetch_q || in_lane == '0;
        weight_read_o = group_q == '0;
        weight_d      = weight_q + WeightAddressBits'(weight_read_o);
        group_d       = 32'(group_q) == GroupsPerWord - 1 ? '0 : group_q + 1'b1;
        product_d     = 1'b1;
        lane_d        = in_lane;
        fetch_d       = 1'b0;
        in_d          = in_next[SizeBits-1:0];
        if (in_last) begin
          block_d = block_next[SizeBits-1:0];
          index_read_o = !block_last;
          state_d = block_last ? StDrain : StBlock;
        end
      end

      StDrain: begin
        bias_read_o = 1'b1;
        state_d = StOut;
      end

      StOut: if (more) begin
        state_d = StCell;
      end else begin
        if (Cells) state_d = StOut;
        out_d = out_next[SizeBits-1:0];
        mac_d = mac_q + 1'b1;
        bias_read_o = !pass_last;
        if (pass_last) begin
          mac_d   = '0;
          block_d = '0;
          in_d    = '0;
          fetch_d = 1'b1;
          first_d = 1'b1;
          if (row_last) begin
            row_end_d   = row_end_next < {1'b0, layer_q.n_out} ? row_end_next[SizeBits-1:0] : layer_q.n_out;
            row_index_d = index_q;
          end else begin
            index_d = row_index_q;
          end
          if (layer_last) begin
            table_read_o = !layer_q.last;
            done_o  = layer_q.last;
            state_d = layer_q.last ? StIdle : StLayer;
          end else begin
            index_read_o = layer_q.sparse;
            state_d = layer_q.sparse ? StBlock : StMac;
          end
        end
      end

      default: state_d = StIdle;
    endcase

    if (bias_read_o) bias_d = bias_q + 1'b1;
  end

  assign busy_o                = state_q != StIdle;
  assign sleep_o               = WakeCycles > 0 && state_q == StIdle;
  assign table_address_o       = table_q;
  assign index_address_o       = index_d;
  assign weight_address_o      = weight_q;
  assign bias_address_o        = bias_q;
  assign value_bank_o          = bank_q;
  assign value_read_o          = word_read && !recurrent;
  assign value_read_address_o  = ValueAddressBits'((in_q - n_cells) >> LaneShift);
  assign value_write_address_o = ValueAddressBits'((cells_q ? h_position : out_q) >> LaneShift);
  assign value_write_o         = cells_q ? h_write : out_valid_o && !layer_q.last && (layer_last || 32'(out_lane) == ValuesPerWord - 1);

  assign mac_first_o  = first_q;
  assign mac_lane_o   = lane_q;
  assign mac_group_o  = used_group_q;
  assign mac_signed_o = layer_q.in_signed;
  always_comb begin
    for (int unsigned i = 0; i < NumMacs; i++) mac_enable_o[i] = product_q && i < 32'(n_left);
  end

  assign out_valid_o      = state_q == StOut;
  assign out_last_layer_o = layer_q.last;
  assign out_position_o   = out_q;
  assign out_mac_o        = mac_q;
  assign out_lane_o       = out_lane;
  assign out_bias_shift_o = layer_q.bias_shift;
  assign out_shift_o      = layer_q.shift;
  assign out_bits_o       = cells_q ? 5'd11 : layer_q.out_bits;
  assign out_signed_o     = layer_q.out_signed;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q   <= StIdle;
      product_q <= 1'b0;
    end else begin
      state_q   <= state_d;
      product_q <= product_d;
    end
  end

  always_ff @(posedge clk_i) begin
    wake_q       <= wake_d;
    weight_q     <= weight_d;
    group_q      <= group_d;
    used_group_q <= group_q;
    in_q         <= in_d;
    fetch_q      <= fetch_d;
    first_q      <= first_d;
    lane_q       <= lane_d;
  end

  cgs_register #(
      .Width(LayerBits),
      .ClockGating(ClockGating)
  ) u_layer (
      .clk_i,
      .enable_i(state_q == StLayer),
      .data_i  (layer_d),
      .data_o  (layer_q)
  );

  logic h_write;
  logic [SizeBits-1:0] h_position;
  assign out_cells_o = cells_q;

  if (Cells) begin : gen_cells
    assign n_cells = cells_q ? layer_q.n_out >> 2 : '0;
    always_ff @(posedge clk_i) mac_recurrent_o <= recurrent;

    cgs_register #(
        .Width(1),
        .ClockGating(ClockGating)
    ) u_layer_cells (
        .clk_i,
        .enable_i(state_q == StLayer),
        .data_i  (table_i[LayerBits]),
        .data_o  (cells_q)
    );

    cgs_cell_control #(
        .SizeBits(SizeBits),
        .ValuesPerWord(ValuesPerWord),
        .GateAddressBits(GateAddressBits),
        .StateAddressBits(StateAddressBits),
        .ClockGating(ClockGating)
    ) u_cell_control (
        .clk_i,
        .rst_ni,
        .idle_i         (state_q == StIdle),
        .start_i        (state_q == StIdle && start_i),
        .first_i,
        .cells_i        (cells_q),
        .n_cells_i      (n_cells),
        .input_i        (state_q == StMac),
        .read_i         (word_read),
        .in_i           (in_q),
        .out_i          (state_q == StOut),
        .cell_i         (state_q == StCell),
        .next_i         (step == StOut && !more),
        .more_o         (more),
        .recurrent_o    (recurrent),
        .fresh_o,
        .g_valid_o,
        .c_valid_o,
        .h_valid_o,
        .h_write_o      (h_write),
        .h_position_o   (h_position),
        .h_lane_o,
        .gates_read_o,
        .gates_write_o,
        .gates_address_o,
        .cells_read_o,
        .cells_write_o,
        .cells_address_o,
        .state_read_o,
        .state_write_o,
        .state_address_o
    );
  end else begin : gen_no_cells
    logic unused;
    assign unused = first_i;
    assign {cells_q, more, recurrent, mac_recurrent_o, h_write, n_cells, h_position} = '0;
    assign {fresh_o, g_valid_o, c_valid_o, h_valid_o, h_lane_o} = '0;
    assign {gates_read_o, gates_write_o, gates_address_o, cells_read_o, cells_write_o, cells_address_o} = '0;
    assign {state_read_o, state_write_o, state_address_o} = '0;
  end

  // What changes at most with the last input of a block.
  cgs_register #(
      .Width(1 + TableAddressBits + 2 * IndexAddressBits + BiasAddressBits + 4 * SizeBits + MacBits),
      .ClockGating(ClockGating)
  ) u_held (
      .clk_i,
      .enable_i(!ClockGating || state_q != StMac || in_last),
      .data_i  ({bank_d, table_d, index_d, row_index_d, bias_d, block_d, in_end_d, out_d, row_end_d, mac_d}),
      .data_o  ({bank_q, table_q, index_q, row_index_q, bias_q, block_q, in_end_q, out_q, row_end_q, mac_q})
  );
endmodule
