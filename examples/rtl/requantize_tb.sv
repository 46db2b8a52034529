// Drives requantize.v with every case of a folder of vectors, and compares each result.
//
//     vvp requantize_tb.vvp +vectors=FOLDER
//
// The last line of the output is PASS or FAIL.
module requantize_tb;
  `include "cases.svh"

  localparam MOST = 4096;
  reg signed [31:0] x[MOST];
  reg [15:0] multiplier[MOST];
  reg [7:0] shift[1];
  reg signed [15:0] expected[MOST];
  integer factors, results;

  reg in_valid = 0;
  reg signed [31:0] x_now;
  reg [14:0] multiplier_now;
  wire out_valid;
  wire signed [15:0] out;

  requantize dut (
      .clk(clk), .rst(rst), .in_valid(in_valid), .x(x_now), .multiplier(multiplier_now),
      .shift(shift[0][5:0]), .limit(limit), .out_valid(out_valid), .out(out)
  );
  reg [14:0] limit;

  always @(posedge clk)
    if (out_valid) begin
      if (out !== expected[received]) begin
        $display("%s: out[%0d] is %0d, not %0d", folder_of_case, received, out, expected[received]);
        wrong = wrong + 1;
      end
      received = received + 1;
    end

  task automatic run_case;
    factors = count("multiplier");
    results = count("out");
    $readmemh(text("x"), x, 0, results - 1);
    $readmemh(text("multiplier"), multiplier, 0, factors - 1);
    $readmemh(text("shift"), shift, 0, 0);
    $readmemh(text("out"), expected, 0, results - 1);
    limit = constant("limit");
    received = 0;
    for (int i = 0; i < results; i++) begin
      x_now = x[i];
      multiplier_now = multiplier[i%factors];  // one factor for all columns, or one for each column
      in_valid = 1;
      @(negedge clk);
    end
    in_valid = 0;
    repeat (4) @(negedge clk);
    end_case(results, 1);
  endtask

  initial run_cases("requantize");
endmodule
