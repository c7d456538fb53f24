// The engine without its memories: control, the shared MACs, one path from their sums to outputs, and the cells of an LSTM where there are any.
module cgs_core #(
    parameter int unsigned NumMacs = 8,
    parameter int unsigned WeightBits = 6,
    parameter int unsigned ValueBits = 8,
    parameter int unsigned BiasBits = 16,
    parameter int unsigned AccBits = 24,
    parameter int unsigned SizeBits = 10,
    parameter int unsigned IndexBits = 5,
    parameter int unsigned ValuesPerWord = 8,
    parameter int unsigned GroupsPerWord = 1,
    parameter int unsigned TableAddressBits = 2,
    parameter int unsigned WeightAddressBits = 14,
    parameter int unsigned IndexAddressBits = 8,
    parameter int unsigned BiasAddressBits = 11,
    parameter int unsigned ValueAddressBits = 7,
    parameter int unsigned WakeCycles = 0,
    parameter bit Cells = 1'b0,
    parameter int unsigned GateAddressBits = 1,
    parameter int unsigned StateAddressBits = 1,
    parameter int unsigned HBits = 8,
    parameter int unsigned HShift = 10,
    parameter bit ClockGating = 1'b0,
    localparam int unsigned TableBits = 5 * SizeBits + 19 + (Cells ? 1 : 0),
    localparam int unsigned LaneShift = $clog2(ValuesPerWord),
    localparam int unsigned WordBits = ValuesPerWord * ValueBits,
    localparam int unsigned GroupWidth = NumMacs * WeightBits
) (
    input  logic                                clk_i,
    input  logic                                rst_ni,
    input  logic                                start_i,
    input  logic                                first_i,
    output logic                                busy_o,
    output logic                                done_o,
    output logic                                sleep_o,

    output logic                                table_read_o,
    output logic [TableAddressBits-1:0]         table_address_o,
    input  logic [TableBits-1:0]                table_i,

    output logic                                index_read_o,
    output logic [IndexAddressBits-1:0]         index_address_o,
    input  logic [IndexBits-1:0]                index_i,

    output logic                                weight_read_o,
    output logic [WeightAddressBits-1:0]        weight_address_o,
    input  logic [GroupsPerWord*GroupWidth-1:0] weights_i,

    output logic                                bias_read_o,
    output logic [BiasAddressBits-1:0]          bias_address_o,
    input  logic [BiasBits-1:0]                 bias_i,

    output logic                                value_bank_o,
    output logic                                value_read_o,
    output logic [ValueAddressBits-1:0]         value_read_address_o,
    input  logic [WordBits-1:0]                 values_i,
    output logic                                value_write_o,
    output logic [ValueAddressBits-1:0]         value_write_address_o,
    output logic [WordBits-1:0]                 values_o,

    // of layers of cells; the words of h that are written are values_o
    output logic                                gates_read_o,
    output logic [2:0]                          gates_write_o,
    output logic [GateAddressBits-1:0]          gates_address_o,
    input  logic [26:0]                         gates_i,           // o, f, i
    output logic [8:0]                          gate_o,
    output logic                                cells_read_o,
    output logic                                cells_write_o,
    output logic [StateAddressBits+LaneShift-1:0] cells_address_o,
    input  logic [15:0]                         cell_i,
    output logic [15:0]                         cell_o,
    output logic                                state_used_o,      // values_i is to be a word of h
    output logic                                state_read_o,
    output logic                                state_write_o,
    output logic [StateAddressBits:0]           state_address_o,

    output logic                                result_valid_o,
    output logic [SizeBits-1:0]                 result_position_o,
    output logic [AccBits-1:0]                  result_o
);
  localparam int unsigned LaneBits = ValuesPerWord > 1 ? $clog2(ValuesPerWord) : 1;
  localparam int unsigned GroupBits = GroupsPerWord > 1 ? $clog2(GroupsPerWord) : 1;
  localparam int unsigned MacBits = NumMacs > 1 ? $clog2(NumMacs) : 1;

  logic [NumMacs-1:0] mac_enable;
  logic mac_first, mac_signed;
  logic [LaneBits-1:0] mac_lane;
  logic [GroupBits-1:0] mac_group;
  logic out_valid, out_last_layer, out_signed;
  logic [SizeBits-1:0] out_position;
  logic [MacBits-1:0] out_mac;
  logic [LaneBits-1:0] out_lane;
  logic [4:0] out_bias_shift, out_shift, out_bits;
  logic out_cells, fresh, g_valid, c_valid, h_valid;
  logic [LaneBits-1:0] h_lane;

  cgs_control #(
      .NumMacs(NumMacs),
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
      .ClockGating(ClockGating)
  ) u_control (
      .clk_i,
      .rst_ni,
      .start_i,
      .first_i,
      .busy_o,
      .done_o,
      .sleep_o,
      .table_read_o,
      .table_address_o,
      .table_i,
      .index_read_o,
      .index_address_o,
      .index_i,
      .weight_read_o,
      .weight_address_o,
      .value_read_o,
      .value_read_address_o,
      .value_bank_o,
      .value_write_o,
      .value_write_address_o,
      .bias_read_o,
      .bias_address_o,
      .mac_enable_o    (mac_enable),
      .mac_first_o     (mac_first),
      .mac_lane_o      (mac_lane),
      .mac_group_o     (mac_group),
      .mac_signed_o    (mac_signed),
      .mac_recurrent_o (state_used_o),
      .out_valid_o     (out_valid),
      .out_last_layer_o(out_last_layer),
      .out_position_o  (out_position),
      .out_mac_o       (out_mac),
      .out_lane_o      (out_lane),
      .out_bias_shift_o(out_bias_shift),
      .out_shift_o     (out_shift),
      .out_bits_o      (out_bits),
      .out_signed_o    (out_signed),
      .out_cells_o     (out_cells),
      .fresh_o         (fresh),
      .g_valid_o       (g_valid),
      .c_valid_o       (c_valid),
      .h_valid_o       (h_valid),
      .h_lane_o        (h_lane),
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

  logic [ValueBits-1:0] value_in;
  logic signed [ValueBits:0] operand;
  logic [GroupWidth-1:0] group;
  logic signed [AccBits-1:0] sums[NumMacs];

  assign value_in = Cells && state_used_o && fresh ? '0 : values_i[32'(mac_lane)*ValueBits+:ValueBits];
  assign operand  = {mac_signed && value_in[ValueBits-1], value_in};
  assign group    = weights_i[32'(mac_group)*GroupWidth+:GroupWidth];

  for (genvar i = 0; i < NumMacs; i++) begin : gen_mac
    cgs_mac #(
        .WeightBits(WeightBits),
        .InputBits(ValueBits + 1),
        .AccBits(AccBits),
        .ClockGating(ClockGating)
    ) u_mac (
        .clk_i,
        .enable_i(mac_enable[i]),
        .first_i (mac_first),
        .weight_i(group[i*WeightBits+:WeightBits]),
        .input_i (operand),
        .sum_o   (sums[i])
    );
  end

  localparam int unsigned NarrowBits = Cells && ValueBits < 11 ? 11 : ValueBits;  // of an output, or of a gate's sum
  logic [NarrowBits-1:0] narrow;
  logic [ValueBits-1:0] h;
  logic signed [AccBits-1:0] sum, total;

  assign sum = out_valid ? sums[out_mac] : '0;  // nothing moves behind it while products are summed

  cgs_requantise #(
      .AccBits(AccBits),
      .BiasBits(BiasBits),
      .ValueBits(NarrowBits)
  ) u_requantise (
      .sum_i         (sum),
      .bias_i        (bias_i),
      .bias_shift_i  (out_bias_shift),
      .shift_i       (out_shift),
      .value_bits_i  (out_bits),
      .value_signed_i(out_signed),
      .total_o       (total),
      .value_o       (narrow)
  );

  cgs_output #(
      .ValueBits(ValueBits),
      .ValuesPerWord(ValuesPerWord),
      .ClockGating(ClockGating)
  ) u_output (
      .clk_i,
      .valid_i(Cells && out_cells ? h_valid : out_valid && !out_last_layer),
      .lane_i (Cells && out_cells ? h_lane : out_lane),
      .value_i(Cells && out_cells ? h : narrow[ValueBits-1:0]),
      .word_o (values_o)
  );

  if (Cells) begin : gen_cells
    cgs_cell #(
        .ValueBits(ValueBits),
        .HBits(HBits),
        .HShift(HShift),
        .ClockGating(ClockGating)
    ) u_cell (
        .clk_i,
        .sum_i    (narrow[10:0]),
        .g_valid_i(g_valid),
        .sigmoid_o(gate_o),
        .i_i      (gates_i[8:0]),
        .f_i      (gates_i[17:9]),
        .o_i      (gates_i[26:18]),
        .c_valid_i(c_valid),
        .c_i      (fresh ? '0 : cell_i),
        .c_o      (cell_o),
        .h_valid_i(h_valid),
        .h_o      (h)
    );
  end else begin : gen_no_cells
    logic unused;
    assign unused = ^{gates_i, cell_i, g_valid, c_valid};
    assign {gate_o, cell_o, h} = '0;
  end

  assign result_valid_o    = out_valid && out_last_layer;
  assign result_position_o = out_position;
  assign result_o          = total;
endmodule
