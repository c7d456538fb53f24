// Loads the memories, runs the frames of +images=DIR, and checks every result, and the cycles and accesses of every frame.
module cgs_bench
  import cgs_chip_pkg::*;
();
  localparam int MaxErrors = 10;  // printed

  logic clk = 1'b0, rst_n = 1'b0;
  always #5 clk = !clk;

  localparam int Counts = 14;     // cycles, then accesses as in access_o, its highest bit first

  logic load_valid = 1'b0, input_valid = 1'b0, start = 1'b0, first = 1'b0;
  logic [1:0] load_memory = '0;
  logic [LoadAddressBits-1:0] load_address = '0;
  logic [LoadBits-1:0] load_data = '0;
  logic [ValueAddressBits-1:0] input_address = '0;
  logic [ValueWordBits-1:0] input_data = '0;
  logic busy, done, result_valid;
  logic [SizeBits-1:0] result_position;
  logic [AccBits-1:0] result;
  logic [Counts-2:0] accesses;

  cgs_chip u_chip (
      .clk_i            (clk),
      .rst_ni           (rst_n),
      .load_valid_i     (load_valid),
      .load_memory_i    (load_memory),
      .load_address_i   (load_address),
      .load_data_i      (load_data),
      .input_valid_i    (input_valid),
      .input_address_i  (input_address),
      .input_data_i     (input_data),
      .start_i          (start),
      .first_i          (first),
      .busy_o           (busy),
      .done_o           (done),
      .result_valid_o   (result_valid),
      .result_position_o(result_position),
      .result_o         (result),
      .access_o         (accesses)
  );

  string dir;
  int n_frames, n_inputs, n_results;
  int expected_counts[Counts], counted[Counts];
  int frame, n_errors, n_seen, n_done;
  int input_file, result_file;
  logic [AccBits-1:0] expected[];

  function automatic int open(input string name);
    open = $fopen({dir, "/", name}, "r");
    if (open == 0) $fatal(1, "%s/%s: cannot be read (give +images=DIR)", dir, name);
  endfunction

  task automatic load(input logic [1:0] memory, input string name);
    logic [LoadBits-1:0] word;
    int file = open(name), address = 0;
    while ($fscanf(file, "%h\n", word) == 1) begin
      @(negedge clk);
      load_valid   = 1'b1;
      load_memory  = memory;
      load_address = LoadAddressBits'(address);
      load_data    = word;
      address++;
    end
    @(negedge clk);
    load_valid = 1'b0;
    $fclose(file);
  endtask

  task automatic run_frame();
    logic [ValueWordBits-1:0] word;
    for (int i = 0; i < n_inputs; i++) begin
      if ($fscanf(input_file, "%h\n", word) != 1) $fatal(1, "%s/inputs.hex: too short for %0d frames", dir, n_frames);
      @(negedge clk);
      input_valid   = 1'b1;
      input_address = ValueAddressBits'(i);
      input_data    = word;
    end
    for (int i = 0; i < n_results; i++) begin
      if ($fscanf(result_file, "%h\n", expected[i]) != 1) $fatal(1, "%s/results.hex: too short for %0d frames", dir, n_frames);
    end
    @(negedge clk);
    input_valid = 1'b0;
    start = 1'b1;
    first = frame == 0;
    @(negedge clk);
    start = 1'b0;
    while (busy) @(negedge clk);
  endtask

  always @(posedge clk) begin
    if (busy) counted[0]++;
    for (int i = 1; i < Counts; i++) if (accesses[Counts-1-i]) counted[i]++;
    if (done) n_done++;
    if (result_valid) begin
      if (n_seen >= n_results || int'(result_position) != n_seen || result !== expected[n_seen]) begin
        n_errors++;
        if (n_errors <= MaxErrors) $display("frame %0d, result %0d: output %0d is %h, not %h", frame, n_seen, result_position, result, expected[n_seen]);
      end
      n_seen++;
    end
  end

  initial begin
    int file, unused;
    if (!$value$plusargs("images=%s", dir)) dir = "images";
    file = open("expected.txt");
    unused = $fscanf(file, "%d %d %d", n_frames, n_inputs, n_results);
    for (int i = 0; i < Counts; i++) if ($fscanf(file, "%d", expected_counts[i]) != 1) $fatal(1, "%s/expected.txt: not %0d numbers", dir, Counts + 3);
    $fclose(file);
    expected = new[n_results];
    input_file  = open("inputs.hex");
    result_file = open("results.hex");
    repeat (2) @(negedge clk);
    rst_n = 1'b1;
    load(2'd0, "weights.hex");
    load(2'd1, "index.hex");
    load(2'd2, "bias.hex");
    load(2'd3, "table.hex");
    for (frame = 0; frame < n_frames; frame++) begin
      for (int i = 0; i < Counts; i++) counted[i] = 0;
      n_seen = 0;
      n_done = 0;
      run_frame();
      if (n_seen != n_results || n_done != 1) begin
        n_errors++;
        $display("frame %0d: %0d results of %0d, done %0d times", frame, n_seen, n_results, n_done);
      end
      for (int i = 0; i < Counts; i++) begin
        if (counted[i] != expected_counts[i]) begin
          n_errors++;
          if (n_errors <= MaxErrors) $display("frame %0d, count %0d: %0d, expected %0d", frame, i, counted[i], expected_counts[i]);
        end
      end
    end
    if (n_errors != 0) $fatal(1, "FAIL: %0d errors in %0d frames", n_errors, n_frames);
    $display("PASS: %0d frames of %0d cycles, %0d results each", n_frames, expected_counts[0], n_results);
    $finish;
  end
endmodule
