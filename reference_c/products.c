/* 6.2 to 6.6: embeddings, matrix products, changes of scale. */
#include "operations.h"

/* 6.2.1: the sine of a place on a circle of 1,024 places. */
static int64_t wave_value(const Array *wave, int64_t location)
{
    int64_t q = location / 256 % 4, j = location % 256;
    int64_t x = at(wave, q % 2 == 0 ? j : 255 - j, 0);
    return q < 2 ? x : -x;
}

static int64_t wave_row(const Array *frequencies, const Array *wave, int64_t p, int64_t n)
{
    int64_t half = frequencies->rows;
    int64_t location = p * at(frequencies, n % half, 0) % power(32) / power(22);
    return wave_value(wave, n < half ? location : location + 256);
}

void embed(const Call *c)
{
    const Array *ids = operand(c, "ids", 32), *positions = optional(c, "positions", 32);
    const Array *table = operand(c, "table", 8), *places = optional(c, "position_table", 16);
    const Array *frequencies = optional(c, "frequencies", 32), *wave = optional(c, "wave", 8);
    const Array *channel_multiplier = optional(c, "channel_multiplier", 32);
    int64_t multiplier = constant(c, "multiplier", 0, power(30));
    int64_t position_multiplier = constant_or(0, c, "position_multiplier", 0, power(30));
    int64_t shift = constant(c, "shift", 1, 30), wide_bits = constant_or(0, c, "wide_bits", 1, shift);
    Array *out = result(c, "out", ids->rows, table->width);
    Array *wide = result(c, "wide", ids->rows, table->width);
    for (int64_t r = 0; r < ids->rows; r++)
        for (int64_t n = 0; n < table->width; n++) {
            int64_t id = at(ids, r, 0), p = positions ? at(positions, r, 0) : 0, position = 0;
            int64_t token = id == -1 ? 0 : at(table, id, n);
            if (places)
                position = at(places, p, n);
            else if (frequencies && wave)
                position = wave_row(frequencies, wave, p, n);
            int64_t y = token * (channel_multiplier ? at(channel_multiplier, n, 0) : multiplier)
                        + position * position_multiplier;
            put(out, r, n, saturate8(A1(y, shift)));
            put(wide, r, n, saturate16(A1(y, shift - wide_bits)));
        }
}

/* sum_k x[k] * w[k], in blocks whose sums have at most 31 bits. */
static int64_t products(const int8_t *x, const int8_t *w, int64_t inputs)
{
    int64_t sum = 0;
    for (int64_t k = 0; k < inputs; ) {
        int32_t part = 0;
        for (int64_t end = min(k + 65536, inputs); k < end; k++)
            part += x[k] * w[k];
        sum += part;
    }
    return sum;
}

void linear(const Call *c)
{
    const Array *x = operand(c, "x", 8), *weight = operand(c, "weight", 8);
    const Array *bias = optional(c, "bias", 32);
    const Array *multiplier = optional(c, "multiplier", 16), *shift = optional(c, "shift", 8);
    int64_t bias_shift = constant_or(0, c, "bias_shift", 0, 15), inputs = x->width;
    int64_t low = constant_or(-127, c, "low", -127, 127), high = constant_or(127, c, "high", low, 127);
    Array *out = result(c, "out", x->rows, weight->rows);
    require(weight->width == inputs, "weights of %ld inputs", (long)weight->width);
    for (int64_t n = 0; n < weight->rows; n++)
        for (int64_t r = 0; r < x->rows; r++) {
            int64_t acc = products(row8(x, r, 0, inputs), row8(weight, n, 0, inputs), inputs);
            if (bias)
                acc += at(bias, n, 0) * power(bias_shift);
            if (shift)
                acc = A2(acc, multiplier ? channel(multiplier, n) : 1, channel(shift, n), low, high);
            put(out, r, n, acc);
        }
}

static void change_scale(const Call *c, int bits, int64_t limit)
{
    const Array *x = operand(c, "x", bits);
    const Array *multiplier = operand(c, "multiplier", 16), *shift = operand(c, "shift", 8);
    Array *out = result(c, "out", x->rows, x->width);
    EACH_ELEMENT(x, r, n)
        put(out, r, n, A2(at(x, r, n), channel(multiplier, n), at(shift, 0, 0), -limit, limit));
}

void requantize(const Call *c) { change_scale(c, 32, constant(c, "limit", 1, WIDE)); }

void narrow(const Call *c) { change_scale(c, 16, 127); }

void rescale(const Call *c)
{
    const Array *x = operand(c, "x", 16);
    int64_t low = constant(c, "low", -32768, 0);
    Array *out = result(c, "out", x->rows, x->width), *exponent = result(c, "exponent", x->rows, 1);
    for (int64_t r = 0; r < x->rows; r++) {
        int64_t most = 0;
        for (int64_t n = 0; n < x->width; n++)
            most = max(most, magnitude(max(at(x, r, n), low)));
        int64_t e = max(bit_length(most) - 7, 0);
        for (int64_t n = 0; n < x->width; n++)
            put(out, r, n, saturate8(A1(max(at(x, r, n), low), e)));
        put(exponent, r, 0, e);
    }
}
