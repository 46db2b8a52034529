// The operation `requantize`: out = saturate(round(x * multiplier / 2^shift), -limit, limit).
//
// One number enters in each clock, and its result leaves two clocks later.
module requantize (
    input  wire               clk,
    input  wire               rst,
    input  wire               in_valid,
    input  wire signed [31:0] x,
    input  wire        [14:0] multiplier,
    input  wire        [ 5:0] shift,       // 1 to 62
    input  wire        [14:0] limit,       // 1 to 32767
    output reg                out_valid,
    output reg  signed [15:0] out
);
  // First clock: the exact product.  |x * multiplier| <= 2^31 * (2^15 - 1), thus 47 bits.
  reg signed [46:0] product;
  reg        [ 5:0] product_shift;
  reg        [14:0] product_limit;
  reg               product_valid;

  // Second clock: one rounding, then saturation.
  wire signed [46:0] rounded;
  wire signed [15:0] saturated;

  rounding_shift_right #(.WIDTH(47)) round (.x(product), .shift(product_shift), .out(rounded));
  saturate #(.WIDTH(47), .OUT(16)) clamp (.x(rounded), .limit(product_limit), .out(saturated));

  always @(posedge clk) begin
    product       <= x * $signed({1'b0, multiplier});
    product_shift <= shift;
    product_limit <= limit;
    out           <= saturated;
    product_valid <= in_valid & ~rst;
    out_valid     <= product_valid & ~rst;
  end
endmodule
