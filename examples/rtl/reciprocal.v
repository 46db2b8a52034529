// r = floor(2^k / x) for k = bit_length(x) + 29 (A3): a long division, one bit in each clock.
//
// x lies in [1, 2^32).  The result r has at most 31 bits.
module reciprocal (
    input  wire        clk,
    input  wire        rst,
    input  wire        start,
    input  wire [31:0] x,
    output reg         done,
    output reg  [30:0] r,
    output reg  [ 5:0] k
);
  reg [ 5:0] length;  // bit_length(x)
  integer i;
  always @* begin
    length = 6'd0;
    for (i = 0; i < 32; i = i + 1) if (x[i]) length = i + 1;
  end

  // The dividend 2^k is a one and then k zeros.  The first bits of the quotient are 0.
  reg         busy;
  reg  [ 5:0] left;  // bits of the dividend that are left
  reg  [32:0] rest;
  wire [32:0] next = {rest[31:0], left == k};
  wire        fits = next >= {1'b0, x};

  always @(posedge clk) begin
    done <= 1'b0;
    if (rst) busy <= 1'b0;
    else if (start) begin
      busy <= 1'b1;
      k    <= length + 6'd29;
      left <= length + 6'd29;
      rest <= 33'd0;
      r    <= 31'd0;
    end else if (busy) begin
      rest <= fits ? next - {1'b0, x} : next;
      r    <= {r[29:0], fits};
      left <= left - 6'd1;
      busy <= left != 6'd0;
      done <= left == 6'd0;
    end
  end
endmodule
