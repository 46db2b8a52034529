/* The operations that work row by row, as the specification defines them: one function each.
 *
 * r is a row and n is a column.  The ranges of constants are those of the tables of operands. */
#include "operations.h"

#include <stdlib.h>
#include <string.h>


/* Sinusoidal positions: the sine of a place on a circle of 1024 places. */
static int64_t wave_value(const Array *wave, int64_t location)
{
    int64_t quarter = location / 256 % 4, j = location % 256;
    int64_t found = at(wave, quarter % 2 == 0 ? j : 255 - j, 0);
    return quarter < 2 ? found : -found;
}

static int64_t sinusoid(const Array *frequencies, const Array *wave, int64_t p, int64_t column)
{
    int64_t half = frequencies->rows, i = column % half;
    int64_t turned = p * at(frequencies, i, 0) % power_of_two(32);
    return wave_value(wave, turned / power_of_two(22) + (column < half ? 0 : 256));
}

void embed(const Call *c)
{
    Array ids = operand(c, "ids", 32), table = operand(c, "table", 8);
    Array channels = optional(c, "channel_multiplier", 32), positions = optional(c, "positions", 32);
    Array places = optional(c, "position_table", 16);
    Array frequencies = optional(c, "frequencies", 32), wave = optional(c, "wave", 8);
    const int64_t most = power_of_two(30);
    int64_t m = channels.data ? 0 : constant(c, "multiplier", 0, most);
    int64_t mp = positions.data ? constant(c, "position_multiplier", 0, most) : 0;
    int64_t shift = constant(c, "shift", 1, 30), r, n;
    int64_t bits = has(c, "wide_bits") ? constant(c, "wide_bits", 1, smaller(shift, 15)) : 0;
    Array *out = result(c, "out", ids.rows, 1, table.width);
    Array *wide = result(c, "wide", ids.rows, 1, table.width);

    for (r = 0; r < ids.rows; r++)
        for (n = 0; n < table.width; n++) {
            int64_t id = at(&ids, r, 0), p = positions.data ? at(&positions, r, 0) : 0, y = 0;
            if (id != -1)
                y = at(&table, id, n) * (channels.data ? at(&channels, n, 0) : m);
            if (places.data)
                y += at(&places, p, n) * mp;
            else if (wave.data)
                y += sinusoid(&frequencies, &wave, p, n) * mp;
            put(out, r, n, saturate(rounding_shift(y, shift), -DATA, DATA));
            put(wide, r, n, saturate(rounding_shift(y, shift - bits), -WIDE, WIDE));
        }
}

/* sum_k x[k] * w[k], in blocks whose sums stay within 32 bits. */
static int64_t dot(const int8_t *x, const int8_t *w, int64_t columns)
{
    int64_t sum = 0, k = 0;
    while (k < columns) {
        int64_t end = smaller(k + 65536, columns);
        int32_t part = 0;
        for (; k < end; k++)
            part += x[k] * w[k];
        sum += part;
    }
    return sum;
}

void linear(const Call *c)
{
    Array x = operand(c, "x", 8), weight = operand(c, "weight", 8), bias = optional(c, "bias", 32);
    Array m = optional(c, "multiplier", 16), shift = optional(c, "shift", 8);
    int64_t b = has(c, "bias_shift") ? constant(c, "bias_shift", 0, 15) : 0, r, n;
    int64_t low = shift.data ? constant(c, "low", -DATA, DATA) : 0;
    int64_t high = shift.data ? constant(c, "high", low, DATA) : 0;
    Array *out = result(c, "out", x.rows, 1, weight.rows);
    require(weight.width == x.width, "the weights have %ld columns", (long)weight.width);

    for (n = 0; n < weight.rows; n++)
        for (r = 0; r < x.rows; r++) {
            int64_t acc = dot(row8(&x, r, 0, x.width), row8(&weight, n, 0, x.width), x.width);
            if (bias.data)
                acc += at(&bias, n, 0) * power_of_two(b);
            if (shift.data)
                acc = requantize(acc, m.data ? channel(&m, n) : 1, channel(&shift, n), low, high);
            put(out, r, n, acc);
        }
}

/* requantize and narrow: from 32 bits to 16, and from 16 bits to 8. */
static void convert(const Call *c, int64_t limit)
{
    Array x = operand(c, "x", 32), m = operand(c, "multiplier", 16), shift = operand(c, "shift", 8);
    Array *out = result(c, "out", x.rows, 1, x.width);
    int64_t r, n;
    for (r = 0; r < x.rows; r++)
        for (n = 0; n < x.width; n++)
            put(out, r, n, requantize(at(&x, r, n), channel(&m, n), at(&shift, 0, 0), -limit, limit));
}

void requantize_rows(const Call *c) { convert(c, constant(c, "limit", 1, WIDE)); }

void narrow(const Call *c) { convert(c, DATA); }

void multiply(const Call *c)
{
    Array a = operand(c, "a", 16), b = operand(c, "b", 8);
    Array m = operand(c, "multiplier", 16), shift = operand(c, "shift", 8);
    int64_t limit = constant(c, "limit", 1, WIDE), r, n;
    Array *out = result(c, "out", a.rows, 1, a.width);
    for (r = 0; r < a.rows; r++)
        for (n = 0; n < a.width; n++) {
            int64_t acc = at(&a, r, n) * at(&b, r, n);
            put(out, r, n, requantize(acc, channel(&m, n), at(&shift, 0, 0), -limit, limit));
        }
}

Branch branch(const Call *c, const char *x, const char *m)
{
    Branch b;
    b.x = operand(c, x, 32);
    b.m = operand(c, m, 16);
    b.exponent = optional(c, "exponent", 8);
    b.bias = optional(c, "bias", 16);
    require(!b.exponent.data == !b.bias.data, "an exponent without a bias, or a bias alone");
    b.bias_shift = b.bias.data ? constant(c, "bias_shift", 0, 40) : 0;
    return b;
}

int64_t branch_value(const Branch *b, int64_t r, int64_t n)
{
    int64_t y = at(&b->x, r, n) * channel(&b->m, n);
    if (b->bias.data) {
        int64_t e = at(&b->exponent, r, 0);
        require(e >= 0 && e <= 9, "an exponent of %ld", (long)e);
        y = y * power_of_two(e) + at(&b->bias, n, 0) * power_of_two(b->bias_shift);
    }
    return y;
}

void match_add(const Call *c)
{
    Branch a = branch(c, "a", "a_multiplier");
    Array b = operand(c, "b", 16), bm = operand(c, "b_multiplier", 16);
    int64_t b_shift = constant(c, "b_shift", 0, 30), shift = constant(c, "shift", 1, 61);
    int64_t limit = constant(c, "limit", 1, WIDE), r, n;
    Array *out = result(c, "out", b.rows, 1, b.width);
    for (r = 0; r < b.rows; r++)
        for (n = 0; n < b.width; n++) {
            int64_t y = at(&b, r, n) * channel(&bm, n) * power_of_two(b_shift);
            y += branch_value(&a, r, n);
            put(out, r, n, saturate(rounding_shift(y, shift), -limit, limit));
        }
}

void rescale(const Call *c)
{
    Array x = operand(c, "x", 16);
    int64_t low = constant(c, "low", -WIDE - 1, 0), r, n;
    Array *out = result(c, "out", x.rows, 1, x.width);
    Array *exponent = result(c, "exponent", x.rows, 1, 1);
    for (r = 0; r < x.rows; r++) {
        int64_t most = 0, e;
        for (n = 0; n < x.width; n++)
            most = larger(most, magnitude(larger(at(&x, r, n), low)));
        e = larger(bit_length(most) - 7, 0);
        for (n = 0; n < x.width; n++)
            put(out, r, n, saturate(rounding_shift(larger(at(&x, r, n), low), e), -DATA, DATA));
        put(exponent, r, 0, e);
    }
}

void append(const Call *c)
{
    Array x = operand(c, "x", 8), history = operand(c, "history", 8);
    int64_t column = constant(c, "column", 0, MAX_WIDTH), steps = history.steps, r, s, n;
    Array *next = result(c, "next_history", x.rows, steps + 1, history.width);
    for (r = 0; r < x.rows; r++)
        for (n = 0; n < history.width; n++) {
            for (s = 0; s < steps; s++)
                put(next, r * (steps + 1) + s, n, at(&history, r * steps + s, n));
            put(next, r * (steps + 1) + steps, n, at(&x, r, column + n));
        }
}

void lookup(const Call *c)
{
    Array x = operand(c, "x", 8), table = operand(c, "table", 16);
    int64_t blocks = has(c, "blocks") ? constant(c, "blocks", 1, 64) : 1;
    int64_t columns = x.width / blocks, r, n;
    Array *out = result(c, "out", x.rows, 1, x.width);
    require(columns * blocks == x.width, "%ld blocks of unequal size", (long)blocks);
    for (r = 0; r < x.rows; r++)
        for (n = 0; n < x.width; n++)
            put(out, r, n, at(&table, n / columns * 256 + at(&x, r, n) + 128, 0));
}

void interpolate(const Call *c)
{
    Array x = operand(c, "x", 16), table = operand(c, "table", 16);
    Array *out = result(c, "out", x.rows, 1, x.width);
    int64_t r, n;
    for (r = 0; r < x.rows; r++)
        for (n = 0; n < x.width; n++) {
            int64_t place = at(&x, r, n) + power_of_two(15), i = place / 128, f = place % 128;
            int64_t left = at(&table, i, 0), right = at(&table, i + 1, 0);
            put(out, r, n, rounding_shift(left * 128 + (right - left) * f, 7));
        }
}

void pool(const Call *c)
{
    enum { MEAN, FIRST, LAST };
    Array x = operand(c, "x", 16), offsets = operand(c, "offsets", 32);
    Array m = operand(c, "multiplier", 16), shift = operand(c, "shift", 8);
    int64_t rows = constant(c, "rows", MEAN, LAST), limit = constant(c, "limit", 1, WIDE), s, n, r;
    Array *out = result(c, "out", offsets.rows - 1, 1, x.width);
    for (s = 0; s < offsets.rows - 1; s++) {
        int64_t first = at(&offsets, s, 0), end = at(&offsets, s + 1, 0), divisor;
        require(end > first && end - first <= MAX_ROWS, "a sentence of %ld rows", (long)(end - first));
        if (rows == FIRST)
            end = first + 1;
        if (rows == LAST)
            first = end - 1;
        divisor = (end - first) * power_of_two(saturate(at(&shift, 0, 0), 0, 40));
        for (n = 0; n < x.width; n++) {
            int64_t sum = 0;
            for (r = first; r < end; r++)
                sum += at(&x, r, n);
            sum = floor_divide(2 * sum * channel(&m, n) + divisor, 2 * divisor);
            put(out, s, n, saturate(sum, -limit, limit));
        }
    }
}

void rotary(const Call *c)
{
    Array x = operand(c, "x", 16), positions = operand(c, "positions", 32);
    Array cosine = operand(c, "cosine", 16), sine = operand(c, "sine", 16);
    Array m = operand(c, "multiplier", 16), shift = operand(c, "shift", 8);
    int64_t heads = constant(c, "heads", 1, 512), width = constant(c, "head_width", 2, x.width / heads);
    int64_t pairs = constant(c, "pairs", 1, width / 2), r, n;
    Array *out = result(c, "out", x.rows, 1, x.width);
    for (r = 0; r < x.rows; r++)
        for (n = 0; n < x.width; n++) {
            int64_t p = at(&positions, r, 0), i = n % width, acc = at(&x, r, n) * power_of_two(14);
            if (n < heads * width && i < pairs)
                acc = at(&x, r, n) * at(&cosine, p, i) - at(&x, r, n + pairs) * at(&sine, p, i);
            else if (n < heads * width && i < 2 * pairs)
                acc = at(&x, r, n - pairs) * at(&sine, p, i - pairs)
                      + at(&x, r, n) * at(&cosine, p, i - pairs);
            put(out, r, n, requantize(acc, channel(&m, n), at(&shift, 0, 0), -DATA, DATA));
        }
}

void ssru(const Call *c)
{
    Array x = operand(c, "x", 16), gate = operand(c, "gate", 16), state = operand(c, "state", 16);
    Array *next = result(c, "next_state", x.rows, 1, x.width);
    Array *out = result(c, "out", x.rows, 1, x.width);
    int64_t r, n;
    for (r = 0; r < x.rows; r++)
        for (n = 0; n < x.width; n++) {
            int64_t f = larger(at(&gate, r, n), 0), rest = power_of_two(15) - f;
            int64_t y = rounding_shift(f * at(&state, r, n) + rest * at(&x, r, n), 15);
            put(next, r, n, y);
            put(out, r, n, larger(y, 0));
        }
}

void argmax(const Call *c)
{
    Array x = operand(c, "x", 32);
    Array *out = result(c, "out", x.rows, 1, 1);
    int64_t r, n;
    for (r = 0; r < x.rows; r++) {
        int64_t best = 0;
        for (n = 1; n < x.width; n++)
            if (at(&x, r, n) > at(&x, r, best))
                best = n;
        put(out, r, 0, best);
    }
}

void log_softmax(const Call *c)
{
    Array x = operand(c, "x", 32);
    int64_t m = constant(c, "multiplier", 1, power_of_two(30) - 1), s = constant(c, "shift", 0, 36);
    int64_t cap = has(c, "cap_multiplier") ? constant(c, "cap_multiplier", 1, INT32_MAX) : 0;
    int64_t cap_shift = cap ? constant(c, "cap_shift", 1, 62) : 0, r, n;
    int64_t *z = allocate(x.width, sizeof *z);
    Array *out = result(c, "out", x.rows, 1, x.width);
    for (r = 0; r < x.rows; r++) {
        int64_t most = INT32_MIN, sum = 0, norm;
        for (n = 0; n < x.width; n++) {
            z[n] = cap ? soft_cap(at(&x, r, n), cap, cap_shift) : at(&x, r, n);
            most = larger(most, z[n]);
        }
        for (n = 0; n < x.width; n++) {
            z[n] = smaller(rounding_shift((most - z[n]) * m, s), power_of_two(30));
            sum += exp2_precise(z[n]);
        }
        norm = binary_logarithm(sum) - 32 * power_of_two(20);
        for (n = 0; n < x.width; n++)
            put(out, r, n, larger(-z[n] - norm, -power_of_two(30)));
    }
    free(z);
}
