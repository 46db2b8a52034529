/* 6.7 to 6.11, 6.18, 6.22: operations on the elements of rows. */
#include "operations.h"

Branch branch_of(const Call *c, const char *x, const char *multiplier)
{
    Branch b = {operand(c, x, 32), operand(c, multiplier, 16), optional(c, "exponent", 8),
                optional(c, "bias", 16), constant_or(0, c, "bias_shift", 0, 40)};
    require(!b.exponent == !b.bias, "an exponent or a bias alone");
    return b;
}

int64_t branch_at(const Branch *b, int64_t r, int64_t n)
{
    int64_t y = at(b->x, r, n) * channel(b->multiplier, n);
    if (!b->exponent)
        return y;
    int64_t e = at(b->exponent, r, 0);
    require(e >= 0 && e <= 9, "an exponent of %ld", (long)e);
    return y * power(e) + at(b->bias, n, 0) * power(b->bias_shift);
}

void match_add(const Call *c)
{
    Branch a = branch_of(c, "a", "a_multiplier");
    const Array *b = operand(c, "b", 16), *b_multiplier = operand(c, "b_multiplier", 16);
    int64_t b_shift = constant(c, "b_shift", 0, 30), shift = constant(c, "shift", 1, 61);
    int64_t limit = constant(c, "limit", 1, WIDE);
    Array *out = result(c, "out", b->rows, b->width);
    EACH_ELEMENT(b, r, n) {
        int64_t total = branch_at(&a, r, n) + at(b, r, n) * channel(b_multiplier, n) * power(b_shift);
        put(out, r, n, saturate(A1(total, shift), -limit, limit));
    }
}

void multiply(const Call *c)
{
    const Array *a = operand(c, "a", 16), *b = operand(c, "b", 8);
    const Array *multiplier = operand(c, "multiplier", 16), *shift = operand(c, "shift", 8);
    int64_t limit = constant(c, "limit", 1, WIDE);
    Array *out = result(c, "out", a->rows, a->width);
    EACH_ELEMENT(a, r, n) {
        int64_t acc = at(a, r, n) * at(b, r, n);
        put(out, r, n, A2(acc, channel(multiplier, n), at(shift, 0, 0), -limit, limit));
    }
}

void lookup(const Call *c)
{
    const Array *x = operand(c, "x", 8), *table = operand(c, "table", 16);
    int64_t blocks = constant_or(1, c, "blocks", 1, 64);
    Array *out = result(c, "out", x->rows, x->width);
    EACH_ELEMENT(x, r, n) {
        int64_t block = n * blocks / x->width;
        put(out, r, n, at(table, 256 * block + at(x, r, n) + 128, 0));
    }
}

void interpolate(const Call *c)
{
    const Array *x = operand(c, "x", 16), *table = operand(c, "table", 16);
    Array *out = result(c, "out", x->rows, x->width);
    EACH_ELEMENT(x, r, n) {
        int64_t i = (at(x, r, n) + 32768) / 128, f = (at(x, r, n) + 32768) % 128;
        int64_t left = at(table, i, 0), right = at(table, i + 1, 0);
        put(out, r, n, A1(left * 128 + (right - left) * f, 7));
    }
}

void ssru(const Call *c)
{
    const Array *x = operand(c, "x", 16), *gate = operand(c, "gate", 16);
    const Array *state = operand(c, "state", 16);
    Array *next = result(c, "next_state", x->rows, x->width);
    Array *out = result(c, "out", x->rows, x->width);
    EACH_ELEMENT(x, r, n) {
        int64_t f = max(at(gate, r, n), 0);
        int64_t y = A1(f * at(state, r, n) + (32768 - f) * at(x, r, n), 15);
        put(next, r, n, y);
        put(out, r, n, max(y, 0));
    }
}

void append(const Call *c)
{
    const Array *x = operand(c, "x", 8), *old = operand(c, "history", 8);
    int64_t column = constant(c, "column", 0, MAX_WIDTH), steps = old->steps;
    Array *next = history(c, "next_history", x->rows, steps + 1, old->width);
    for (int64_t r = 0; r < x->rows; r++)
        for (int64_t n = 0; n < old->width; n++) {
            for (int64_t t = 0; t < steps; t++)
                put(next, r * (steps + 1) + t, n, at(old, r * steps + t, n));
            put(next, r * (steps + 1) + steps, n, at(x, r, column + n));
        }
}

void rotary(const Call *c)
{
    const Array *x = operand(c, "x", 16), *positions = operand(c, "positions", 32);
    const Array *cosine = operand(c, "cosine", 16), *sine = operand(c, "sine", 16);
    const Array *multiplier = operand(c, "multiplier", 16), *shift = operand(c, "shift", 8);
    int64_t heads = constant(c, "heads", 1, 512), d = constant(c, "head_width", 2, x->width / heads);
    int64_t pairs = constant(c, "pairs", 1, d / 2);
    Array *out = result(c, "out", x->rows, x->width);
    EACH_ELEMENT(x, r, n) {
        int64_t p = at(positions, r, 0), i = n < heads * d ? n % d : d, acc = at(x, r, n) * 16384;
        if (i < pairs)
            acc = at(x, r, n) * at(cosine, p, i) - at(x, r, n + pairs) * at(sine, p, i);
        else if (i < 2 * pairs)
            acc = at(x, r, n - pairs) * at(sine, p, i - pairs) + at(x, r, n) * at(cosine, p, i - pairs);
        put(out, r, n, A2(acc, channel(multiplier, n), at(shift, 0, 0), -127, 127));
    }
}
