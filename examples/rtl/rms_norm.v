// The operation `rms_norm` for one row of n numbers, 1 <= n <= 8192.
//
//     v       = n * sum(x^2) + epsilon
//     s       = max(isqrt(v), 1)
//     (r, k)  = reciprocal(s)
//     t[i]    = round(n * x[i] * r / 2^(k - 10))
//     y[i]    = t[i] * gain[i] + bias[i] * 2^bias_shift
//     out[i]  = saturate(round(y[i] / 2^shift), -127, 127)
//     wide[i] = saturate(round(y[i] / 2^(shift - wide_bits)), -32767, 32767)
//
// x, gain and bias are memories outside of this module.  They show the element `index` in the same
// clock.  The row is read twice: for the sum, and for the results.  A row takes 2 n clocks and about
// 100 clocks for the root and the division.  The path of a result has two multiplications: for a
// faster clock, put registers between them.
module rms_norm (
    input  wire               clk,
    input  wire               rst,
    input  wire               start,
    input  wire        [13:0] n,
    input  wire        [ 3:0] bias_shift,
    input  wire        [ 4:0] shift,       // 1 to 30
    input  wire        [60:0] epsilon,     // 0 to 2^60
    input  wire        [ 3:0] wide_bits,   // 0 to 15, at most shift
    output reg         [12:0] index,
    input  wire signed [15:0] x,
    input  wire signed [15:0] gain,
    input  wire signed [15:0] bias,
    output reg                out_valid,
    output reg  signed [ 7:0] out,
    output reg  signed [15:0] wide,
    output reg                done
);
  localparam IDLE = 3'd0, SUM = 3'd1, ROOT = 3'd2, DIVIDE = 3'd3, SCALE = 3'd4;

  reg  [ 2:0] state;
  wire        last = index == n - 14'd1;

  // The widths hold the largest numbers of a row of 8192 columns (docs/vectors.md).
  reg  [43:0] squares;
  wire signed [31:0] square = x * x;
  wire [61:0] v = n * squares + epsilon;
  reg         start_root, start_division;
  wire        root_done, division_done;
  wire [61:0] root;
  reg  [31:0] s;
  wire [30:0] r;
  wire [ 5:0] k;

  isqrt square_root (.clk(clk), .rst(rst), .start(start_root), .x(v), .done(root_done), .root(root));
  reciprocal division (
      .clk(clk), .rst(rst), .start(start_division), .x(s), .done(division_done), .r(r), .k(k)
  );

  // The results of the element `index`.
  wire signed [29:0] c = x * $signed({1'b0, n});
  wire signed [60:0] product = c * $signed({1'b0, r});
  wire signed [60:0] t;
  wire signed [31:0] y = $signed(t[17:0]) * gain + (bias <<< bias_shift);
  wire signed [31:0] y_out, y_wide;
  wire signed [ 7:0] saturated_out;
  wire signed [15:0] saturated_wide;

  rounding_shift_right #(.WIDTH(61)) round_t (.x(product), .shift(k - 6'd10), .out(t));
  rounding_shift_right #(.WIDTH(32)) round_out (.x(y), .shift({1'b0, shift}), .out(y_out));
  rounding_shift_right #(.WIDTH(32)) round_wide (
      .x(y), .shift({1'b0, shift} - {2'b00, wide_bits}), .out(y_wide)
  );
  saturate #(.WIDTH(32), .OUT(8)) clamp_out (.x(y_out), .limit(7'd127), .out(saturated_out));
  saturate #(.WIDTH(32), .OUT(16)) clamp_wide (.x(y_wide), .limit(15'd32767), .out(saturated_wide));

  always @(posedge clk) begin
    start_root     <= 1'b0;
    start_division <= 1'b0;
    out_valid      <= 1'b0;
    done           <= 1'b0;
    if (rst) state <= IDLE;
    else
      case (state)
        IDLE:
        if (start) begin
          index   <= 13'd0;
          squares <= 44'd0;
          state   <= SUM;
        end
        SUM: begin
          squares <= squares + {12'd0, square};
          index   <= last ? 13'd0 : index + 13'd1;
          if (last) begin
            start_root <= 1'b1;
            state      <= ROOT;
          end
        end
        ROOT:
        if (root_done) begin
          s              <= (root == 62'd0) ? 32'd1 : root[31:0];
          start_division <= 1'b1;
          state          <= DIVIDE;
        end
        DIVIDE: if (division_done) state <= SCALE;
        default: begin
          out       <= saturated_out;
          wide      <= saturated_wide;
          out_valid <= 1'b1;
          index     <= index + 13'd1;
          if (last) begin
            done  <= 1'b1;
            state <= IDLE;
          end
        end
      endcase
  end
endmodule
