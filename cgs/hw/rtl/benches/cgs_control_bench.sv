// cgs_control on a planted schedule, two layers: every product, output and write in order, and the cycles, as nested loops say.
module cgs_control_check #(
    parameter int unsigned NumMacs = 2,
    parameter int unsigned GroupsPerWord = 1
) (
    input  logic clk_i,
    output logic done_o
);
  localparam int Lanes = 4, Height = 4, Width = 4, Kept = 2;
  localparam int Columns[4] = '{0, 2, 1, 2};  // of 10 inputs: the last block holds two
  localparam int unsigned GroupBits = GroupsPerWord > 1 ? $clog2(GroupsPerWord) : 1;
  localparam int unsigned MacBits = NumMacs > 1 ? $clog2(NumMacs) : 1;

  logic rst_n = 1'b0, start = 1'b0, busy, done, sleep, table_read, index_read, weight_read, value_read, value_bank, value_write, bias_read;
  logic table_address, mac_first, mac_signed, out_valid, out_last_layer, out_signed;
  logic [38:0] table_data;
  logic [1:0] index_address, index_data, mac_lane, out_lane, value_read_address, value_write_address;
  logic [7:0] weight_address, weight_held;
  logic [3:0] bias_address, bias_held, out_position;
  logic [NumMacs-1:0] mac_enable;
  logic [GroupBits-1:0] mac_group;
  logic [MacBits-1:0] out_mac;
  logic [4:0] out_bias_shift, out_shift, out_bits;
  logic [1:0] value_held;

  cgs_control #(
      .NumMacs(NumMacs), .SizeBits(4), .IndexBits(2), .ValuesPerWord(Lanes), .GroupsPerWord(GroupsPerWord), .TableAddressBits(1),
      .WeightAddressBits(8), .IndexAddressBits(2), .BiasAddressBits(4), .ValueAddressBits(2)
  ) u_control (
      .clk_i, .rst_ni(rst_n), .start_i(start), .first_i(1'b0), .busy_o(busy), .done_o(done), .sleep_o(sleep),
      .table_read_o(table_read), .table_address_o(table_address), .table_i(table_data),
      .index_read_o(index_read), .index_address_o(index_address), .index_i(index_data),
      .weight_read_o(weight_read), .weight_address_o(weight_address),
      .value_read_o(value_read), .value_read_address_o(value_read_address), .value_bank_o(value_bank),
      .value_write_o(value_write), .value_write_address_o(value_write_address),
      .bias_read_o(bias_read), .bias_address_o(bias_address),
      .mac_enable_o(mac_enable), .mac_first_o(mac_first), .mac_lane_o(mac_lane), .mac_group_o(mac_group), .mac_signed_o(mac_signed), .mac_recurrent_o(),
      .out_valid_o(out_valid), .out_last_layer_o(out_last_layer), .out_position_o(out_position), .out_mac_o(out_mac), .out_lane_o(out_lane),
      .out_bias_shift_o(out_bias_shift), .out_shift_o(out_shift), .out_bits_o(out_bits), .out_signed_o(out_signed),
      .out_cells_o(), .fresh_o(), .g_valid_o(), .c_valid_o(), .h_valid_o(), .h_lane_o(), .gates_read_o(), .gates_write_o(),
      .gates_address_o(), .cells_read_o(), .cells_write_o(), .cells_address_o(), .state_read_o(), .state_write_o(), .state_address_o()
  );

  always_ff @(posedge clk_i) begin
    // last, out signed, in signed, sparse, bits, bias shift, shift, kept, width, height, outputs, inputs
    if (table_read && table_address) table_data <= {4'b1100, 5'd0, 5'd1, 5'd2, 4'd1, 4'd6, 4'd3, 4'd3, 4'd6};
    if (table_read && !table_address) table_data <= {4'b0011, 5'd8, 5'd3, 5'd4, 4'(Kept), 4'(Width), 4'(Height), 4'd6, 4'd10};
    if (index_read) index_data <= 2'(Columns[index_address]);
    if (weight_read) weight_held <= weight_address;
    if (value_read) value_held <= value_read_address;
    if (bias_read) bias_held <= bias_address;
  end

  int want[1024], n_want, n_seen, n_cycles, n_groups, n_biases, cycles;

  task automatic expect_outputs(input int layer, input int from, input int to, input int n_out);
    cycles++;  // the last products
    for (int o = from; o < to; o++) begin
      want[n_want++] = 1000000 + layer * 100000 + o * 1000 + (o - from) * 100 + n_biases++ * 2 + int'(layer == 0 && (o % Lanes == Lanes - 1 || o == n_out - 1));
      cycles++;
    end
  endtask

  task automatic expect_product(input int layer, input int input_number, input int n_outputs, input bit first);
    want[n_want++] = layer * 100000 + input_number * 5000 + n_groups++ * 20 + n_outputs * 2 + int'(first);
    cycles++;
  endtask

  task automatic plan();
    n_want = 0;
    n_groups = 0;
    n_biases = 0;
    cycles = 2;  // a row of the table each
    for (int row = 0; row < 2; row++) begin
      for (int from = row * Height; from < (row == 0 ? 4 : 6); from += int'(NumMacs)) begin
        int to = from + int'(NumMacs) < (row == 0 ? 4 : 6) ? from + int'(NumMacs) : (row == 0 ? 4 : 6);
        for (int k = 0; k < Kept; k++) begin
          cycles++;
          for (int i = 0; i < Width; i++) begin
            if (Columns[row*Kept+k] * Width + i < 10) expect_product(0, Columns[row*Kept+k] * Width + i, to - from, k == 0 && i == 0);
          end
        end
        expect_outputs(0, from, to, 6);
      end
    end
    for (int from = 0; from < 3; from += int'(NumMacs)) begin
      int to = from + int'(NumMacs) < 3 ? from + int'(NumMacs) : 3;
      for (int i = 0; i < 6; i++) expect_product(1, i, to - from, i == 0);
      expect_outputs(1, from, to, 3);
    end
  endtask

  task automatic check(input int seen);
    if (n_seen >= n_want || seen != want[n_seen]) $fatal(1, "%m: event %0d is %0d, not %0d", n_seen, seen, want[n_seen]);
    n_seen++;
  endtask

  initial begin
    done_o = 1'b0;
    plan();
    repeat (2) @(negedge clk_i);
    rst_n = 1'b1;
    for (int frame = 0; frame < 3; frame++) begin
      @(negedge clk_i) start = 1'b1;
      @(negedge clk_i) start = 1'b0;
      n_seen = 0;
      n_cycles = 0;
      while (busy) begin
        if (mac_enable != 0) begin
          check((value_bank ? 100000 : 0) + (int'(value_held) * Lanes + int'(mac_lane)) * 5000
                + (int'(weight_held) * int'(GroupsPerWord) + int'(mac_group)) * 20 + $countones(mac_enable) * 2 + int'(mac_first));
          if (mac_signed == value_bank) $fatal(1, "%m: sign of the inputs");
        end
        if (out_valid) begin
          check(1000000 + (out_last_layer ? 100000 : 0) + int'(out_position) * 1000 + int'(out_mac) * 100 + int'(bias_held) * 2 + int'(value_write));
          if (value_write && value_write_address != 2'(int'(out_position) / Lanes)) $fatal(1, "%m: address of word %0d", value_write_address);
          if (out_shift != (out_last_layer ? 5'd2 : 5'd4) || out_bias_shift != (out_last_layer ? 5'd1 : 5'd3)) $fatal(1, "%m: shifts");
        end
        n_cycles++;
        @(negedge clk_i);
      end
      if (n_seen != n_want || n_cycles != cycles) $fatal(1, "%m: %0d events of %0d, %0d cycles of %0d", n_seen, n_want, n_cycles, cycles);
    end
    done_o = 1'b1;
  end
endmodule

module cgs_control_bench;
  logic clk = 1'b0;
  always #5 clk = !clk;
  logic [3:0] done;

  cgs_control_check #(.NumMacs(1), .GroupsPerWord(1)) u_1 (.clk_i(clk), .done_o(done[0]));
  cgs_control_check #(.NumMacs(2), .GroupsPerWord(3)) u_2 (.clk_i(clk), .done_o(done[1]));
  cgs_control_check #(.NumMacs(3), .GroupsPerWord(1)) u_3 (.clk_i(clk), .done_o(done[2]));
  cgs_control_check #(.NumMacs(8), .GroupsPerWord(4)) u_8 (.clk_i(clk), .done_o(done[3]));

  initial begin
    wait (&done);
    $display("PASS: cgs_control");
    $finish;
  end
endmodule
