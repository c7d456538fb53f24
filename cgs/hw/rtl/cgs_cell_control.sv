// The order in which the cells of an LSTM are used, and where they are kept. Outputs of a layer of H cells are H sums of gate i, then of f, o and g;
// one of g takes two cycles more, for c and h. Memories of all such layers lie one layer behind the other:
//
//   gates   sigmoids of i, f and o, a column each; a word a cell, used anew by every layer
//   cells   c, a word a cell
//   state   h, as words of activations, each twice: of the frame before, which is read, and of this one
module cgs_cell_control #(
    parameter int unsigned SizeBits = 10,
    parameter int unsigned ValuesPerWord = 8,
    parameter int unsigned GateAddressBits = 8,
    parameter int unsigned StateAddressBits = 6,  // of h of one frame
    parameter bit ClockGating = 1'b0,
    localparam int unsigned LaneShift = $clog2(ValuesPerWord),
    localparam int unsigned LaneBits = ValuesPerWord > 1 ? LaneShift : 1
) (
    input  logic                                  clk_i,
    input  logic                                  rst_ni,
    input  logic                                  idle_i,
    input  logic                                  start_i,      // a frame, while idle
    input  logic                                  first_i,      // of an utterance
    input  logic                                  cells_i,      // this layer has cells
    input  logic [SizeBits-1:0]                   n_cells_i,    // a multiple of ValuesPerWord
    input  logic                                  input_i,      // the cycle of an input
    input  logic                                  read_i,       // ... that begins a word
    input  logic [SizeBits-1:0]                   in_i,
    input  logic                                  out_i,        // the cycle of an output
    input  logic                                  cell_i,       // one of those after it
    input  logic                                  next_i,       // the last cycle of an output
    output logic                                  more_o,       // the output takes another cycle

    output logic                                  recurrent_o,  // the input is h of the frame before
    output logic                                  fresh_o,      // the frame is the first: there is none before
    output logic                                  g_valid_o,
    output logic                                  c_valid_o,
    output logic                                  h_valid_o,
    output logic                                  h_write_o,    // a word of h is whole
    output logic [SizeBits-1:0]                   h_position_o,
    output logic [LaneBits-1:0]                   h_lane_o,

    output logic                                  gates_read_o,
    output logic [2:0]                            gates_write_o,    // o, f, i
    output logic [GateAddressBits-1:0]            gates_address_o,
    output logic                                  cells_read_o,
    output logic                                  cells_write_o,
    output logic [StateAddressBits+LaneShift-1:0] cells_address_o,
    output logic                                  state_read_o,
    output logic                                  state_write_o,
    output logic [StateAddressBits:0]             state_address_o
);
  logic [1:0] gate_q, gate_d;
  logic [SizeBits-1:0] cell_q, cell_d;
  logic [StateAddressBits-1:0] base_q, base_d, word;
  logic half_q, fresh_q, second_q;
  logic [SizeBits:0] cell_next;
  logic gate_last;

  assign cell_next = {1'b0, cell_q} + 1'b1;
  assign gate_last = cell_next == {1'b0, n_cells_i};

  always_comb begin
    gate_d = gate_q;
    cell_d = cell_q;
    base_d = base_q;
    if (idle_i) begin
      gate_d = '0;
      cell_d = '0;
      base_d = '0;
    end else if (next_i && cells_i) begin
      cell_d = gate_last ? '0 : cell_next[SizeBits-1:0];
      gate_d = gate_q + 2'(gate_last);
      if (gate_last && gate_q == 2'd3) base_d = base_q + StateAddressBits'(n_cells_i >> LaneShift);
    end
  end

  assign recurrent_o  = cells_i && in_i < n_cells_i;
  assign fresh_o      = fresh_q;
  assign g_valid_o    = out_i && cells_i && gate_q == 2'd3;
  assign c_valid_o    = cell_i && !second_q;
  assign h_valid_o    = cell_i && second_q;
  assign more_o       = g_valid_o || c_valid_o;
  assign h_write_o    = h_valid_o && 32'(h_lane_o) == ValuesPerWord - 1;
  assign h_position_o = cell_q;

  assign word            = base_q + StateAddressBits'((input_i ? in_i : cell_q) >> LaneShift);
  assign gates_read_o    = g_valid_o;
  assign gates_write_o   = out_i && cells_i ? {gate_q == 2'd2, gate_q == 2'd1, gate_q == 2'd0} : '0;
  assign gates_address_o = GateAddressBits'(cell_q);
  assign cells_read_o    = g_valid_o;
  assign cells_write_o   = c_valid_o;
  assign state_read_o    = read_i && recurrent_o;
  assign state_write_o   = h_write_o;
  assign state_address_o = {word, half_q ^ input_i};

  if (ValuesPerWord > 1) begin : gen_lanes
    assign h_lane_o        = cell_q[LaneBits-1:0];
    assign cells_address_o = {word, h_lane_o};
  end else begin : gen_no_lanes
    assign h_lane_o        = '0;
    assign cells_address_o = word;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) half_q <= 1'b0;
    else if (start_i) half_q <= !half_q;
  end

  always_ff @(posedge clk_i) begin
    second_q <= c_valid_o;
    if (start_i) fresh_q <= first_i;
  end

  cgs_register #(
      .Width(2 + SizeBits + StateAddressBits),
      .ClockGating(ClockGating)
  ) u_held (
      .clk_i,
      .enable_i(!ClockGating || idle_i || next_i),
      .data_i  ({gate_d, cell_d, base_d}),
      .data_o  ({gate_q, cell_q, base_q})
  );
endmodule
