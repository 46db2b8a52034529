// root = floor(sqrt(x)) for x below 2^62: one bit of the root in each of 31 clocks.
module isqrt (
    input  wire        clk,
    input  wire        rst,
    input  wire        start,
    input  wire [61:0] x,
    output reg         done,
    output reg  [61:0] root
);
  reg  [61:0] rest;
  reg  [61:0] bit_now;
  wire [61:0] trial = root + bit_now;

  always @(posedge clk) begin
    done <= 1'b0;
    if (rst) bit_now <= 62'd0;
    else if (start) begin
      rest    <= x;
      root    <= 62'd0;
      bit_now <= 62'd1 << 60;
    end else if (bit_now != 62'd0) begin
      if (rest >= trial) begin
        rest <= rest - trial;
        root <= (root >> 1) + bit_now;
      end else root <= root >> 1;
      bit_now <= bit_now >> 2;
      done    <= bit_now == 62'd1;
    end
  end
endmodule
