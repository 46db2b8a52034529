// Drives rms_norm.v with every case of a folder of vectors, and compares each result.
//
//     vvp rms_norm_tb.vvp +vectors=FOLDER
//
// The last line of the output is PASS or FAIL.
module rms_norm_tb;
  `include "cases.svh"

  localparam MOST = 65536;
  reg signed [15:0] x[MOST];
  reg signed [15:0] gain[8192];
  reg signed [15:0] bias[8192];
  reg signed [7:0] expected[MOST];
  reg signed [15:0] expected_wide[MOST];
  integer columns, results, row;
  bit has_wide;

  reg start = 0;
  reg [13:0] n;
  reg [3:0] bias_shift, wide_bits;
  reg [4:0] shift;
  reg [60:0] epsilon;
  wire [12:0] index;
  wire out_valid, done;
  wire signed [7:0] out;
  wire signed [15:0] wide;

  rms_norm dut (
      .clk(clk), .rst(rst), .start(start), .n(n), .bias_shift(bias_shift), .shift(shift),
      .epsilon(epsilon), .wide_bits(wide_bits), .index(index), .x(x[row*columns+index]),
      .gain(gain[index]), .bias(bias[index]), .out_valid(out_valid), .out(out), .wide(wide),
      .done(done)
  );

  always @(posedge clk)
    if (out_valid) begin
      if (out !== expected[received]) begin
        $display("%s: out[%0d] is %0d, not %0d", folder_of_case, received, out, expected[received]);
        wrong = wrong + 1;
      end
      if (has_wide && wide !== expected_wide[received]) begin
        $display("%s: wide[%0d] is %0d, not %0d", folder_of_case, received, wide,
                 expected_wide[received]);
        wrong = wrong + 1;
      end
      received = received + 1;
    end

  task automatic run_case;
    columns = count("gain");
    results = count("out");
    has_wide = count("wide") > 0;
    $readmemh(text("x"), x, 0, results - 1);
    $readmemh(text("gain"), gain, 0, columns - 1);
    $readmemh(text("bias"), bias, 0, columns - 1);
    $readmemh(text("out"), expected, 0, results - 1);
    if (has_wide) $readmemh(text("wide"), expected_wide, 0, results - 1);
    n = columns;
    bias_shift = constant("bias_shift");
    shift = constant("shift");
    epsilon = constant("epsilon");
    wide_bits = constant("wide_bits");
    received = 0;
    for (row = 0; row < results / columns; row++) begin
      start = 1;
      @(negedge clk);
      start = 0;
      while (!done) @(negedge clk);
      @(negedge clk);
    end
    end_case(results, 1 + has_wide);
  endtask

  initial run_cases("rms_norm");
endmodule
