// out = floor(x / 2^shift + 1/2): the only rounding of this arithmetic (A1).
//
// x is shifted by one bit less than `shift`.  The last bit of this number is the bit below the
// result, and adding it rounds half up.  No addition can overflow.
module rounding_shift_right #(
    parameter WIDTH = 64
) (
    input  wire signed [WIDTH-1:0] x,
    input  wire        [      5:0] shift,
    output wire signed [WIDTH-1:0] out
);
  wire signed [WIDTH:0] doubled = {x, 1'b0};
  wire signed [WIDTH:0] shifted = doubled >>> shift;

  assign out = (shifted >>> 1) + $signed({1'b0, shifted[0]});
endmodule
