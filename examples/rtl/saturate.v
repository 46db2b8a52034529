// out = min(max(x, -limit), limit).
module saturate #(
    parameter WIDTH = 64,
    parameter OUT = 16
) (
    input  wire signed [WIDTH-1:0] x,
    input  wire        [  OUT-2:0] limit,
    output wire signed [  OUT-1:0] out
);
  wire signed [WIDTH-1:0] high = $signed({1'b0, limit});

  assign out = (x > high) ? high : (x < -high) ? -high : x;
endmodule
