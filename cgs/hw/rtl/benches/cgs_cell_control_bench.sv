// cgs_cell_control on planted layers, one of them without cells: every address, read and write, and which half of h, as nested loops say.
module cgs_cell_control_check #(
    parameter int unsigned Lanes = 4,
    parameter bit ClockGating = 1'b0
) (
    input  logic clk_i,
    output logic done_o
);
  localparam int Layers = 4;
  localparam int Cells[Layers] = '{8, 4, 0, 12};  // 24 in all
  localparam int unsigned LaneShift = $clog2(Lanes);
  localparam int unsigned LaneBits = Lanes > 1 ? LaneShift : 1;
  localparam int unsigned StateAddressBits = 5 - LaneShift;

  logic rst_n = 1'b0, idle = 1'b1, start = 1'b0, first = 1'b0, cells = 1'b0, input_cycle = 1'b0, read = 1'b0, out = 1'b0, cell_cycle = 1'b0, next_output;
  logic more, recurrent, fresh, g_valid, c_valid, h_valid, h_write, gates_read, cells_read, cells_write, state_read, state_write;
  logic [5:0] n_cells, in, h_position;
  logic [LaneBits-1:0] h_lane;
  logic [2:0] gates_write;
  logic [3:0] gates_address;
  logic [4:0] cells_address;
  logic [StateAddressBits:0] state_address;

  assign next_output = (out || cell_cycle) && !more;

  cgs_cell_control #(
      .SizeBits(6), .ValuesPerWord(Lanes), .GateAddressBits(4), .StateAddressBits(StateAddressBits), .ClockGating(ClockGating)
  ) u_cell_control (
      .clk_i, .rst_ni(rst_n), .idle_i(idle), .start_i(start), .first_i(first), .cells_i(cells), .n_cells_i(n_cells),
      .input_i(input_cycle), .read_i(read), .in_i(in), .out_i(out), .cell_i(cell_cycle), .next_i(next_output), .more_o(more),
      .recurrent_o(recurrent), .fresh_o(fresh), .g_valid_o(g_valid), .c_valid_o(c_valid), .h_valid_o(h_valid), .h_write_o(h_write),
      .h_position_o(h_position), .h_lane_o(h_lane),
      .gates_read_o(gates_read), .gates_write_o(gates_write), .gates_address_o(gates_address),
      .cells_read_o(cells_read), .cells_write_o(cells_write), .cells_address_o(cells_address),
      .state_read_o(state_read), .state_write_o(state_write), .state_address_o(state_address)
  );

  task automatic check(input bit right, input string what);
    if (!right) $fatal(1, "%m: %s, cell %0d, input %0d", what, h_position, in);
  endtask

  int base, half;

  // Inputs, some of them of h of the frame before, in any order.
  task automatic inputs(input int n);
    repeat ($urandom_range(3, 1)) begin
      input_cycle = 1'b1;
      in   = 6'($urandom_range(n + 7));
      read = $urandom_range(1) == 1;
      #1;
      check(recurrent == (int'(in) < n) && state_read == (read && recurrent) && !state_write && gates_write == 0 && !more, "an input");
      if (recurrent) check(int'(state_address) == 2 * ((base + int'(in)) / int'(Lanes)) + 1 - half, "which word of h");
      @(negedge clk_i);
      {input_cycle, read} = '0;
    end
  endtask

  task automatic outputs(input int n, input int gate, input int number);
    out = 1'b1;
    #1;
    check(gates_write == (n == 0 || gate == 3 ? 0 : 3'(1 << gate)) && gates_read == (n != 0 && gate == 3), "gates");
    check(g_valid == gates_read && cells_read == gates_read && more == gates_read && !state_write && !cells_write, "a sum");
    if (n != 0) check(int'(gates_address) == number, "where the gates are");
    if (cells_read) check(int'(cells_address) == base + number, "where c is read");
    @(negedge clk_i);
    out = 1'b0;
    if (n == 0 || gate != 3) return;
    cell_cycle = 1'b1;
    #1;
    check(c_valid && cells_write && !h_valid && more && int'(cells_address) == base + number && !state_write && gates_write == 0, "c");
    @(negedge clk_i);
    #1;
    check(h_valid && !c_valid && !cells_write && !more && int'(h_position) == number && int'(h_lane) == number % int'(Lanes), "h");
    check(h_write == (number % int'(Lanes) == int'(Lanes) - 1) && state_write == h_write, "a word of h");
    if (h_write) check(int'(state_address) == 2 * ((base + number) / int'(Lanes)) + half, "where h is written");
    @(negedge clk_i);
    cell_cycle = 1'b0;
  endtask

  initial begin
    done_o = 1'b0;
    half   = 0;
    repeat (2) @(negedge clk_i);
    rst_n = 1'b1;
    for (int frame = 0; frame < 12; frame++) begin
      @(negedge clk_i);
      start = 1'b1;
      first = frame % 5 == 0;
      @(negedge clk_i);
      {start, idle} = '0;
      half   = 1 - half;
      base = 0;
      check(fresh == (frame % 5 == 0), "the first frame");
      for (int layer = 0; layer < Layers; layer++) begin
        @(negedge clk_i);  // the row of the table
        cells   = Cells[layer] != 0;
        n_cells = 6'(Cells[layer]);
        for (int gate = 0; gate < 4; gate++) begin
          for (int number = 0; number < (cells ? Cells[layer] : 3); number++) begin
            if ($urandom_range(2) == 0) inputs(Cells[layer]);
            outputs(Cells[layer], gate, number);
          end
        end
        base += Cells[layer];
      end
      idle  = 1'b1;
      first = 1'b1;
    end
    done_o = 1'b1;
  end
endmodule

module cgs_cell_control_bench;
  logic clk = 1'b0;
  always #5 clk = !clk;
  logic [3:0] done;

  for (genvar i = 0; i < 2; i++) begin : gen_gating
    cgs_cell_control_check #(.Lanes(4), .ClockGating(i != 0)) u_four (.clk_i(clk), .done_o(done[2*i]));
    cgs_cell_control_check #(.Lanes(1), .ClockGating(i != 0)) u_one (.clk_i(clk), .done_o(done[2*i+1]));
  end

  initial begin
    wait (&done);
    $display("PASS: cgs_cell_control");
    $finish;
  end
endmodule
