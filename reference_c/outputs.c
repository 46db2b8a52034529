/* 6.23 to 6.25: one row for a sentence, and functions of logits. */
#include "operations.h"

#include <stdlib.h>

void pool(const Call *c)
{
    enum { ALL, FIRST, LAST };
    const Array *x = operand(c, "x", 16), *offsets = operand(c, "offsets", 32);
    const Array *multiplier = operand(c, "multiplier", 16), *shift = operand(c, "shift", 8);
    int64_t rows = constant(c, "rows", ALL, LAST), limit = constant(c, "limit", 1, WIDE);
    require(at(shift, 0, 0) <= 40, "a shift by %ld", (long)at(shift, 0, 0));
    Array *out = result(c, "out", offsets->rows - 1, x->width);
    EACH_ELEMENT(out, b, n) {
        int64_t first = at(offsets, b, 0), end = at(offsets, b + 1, 0), sum = 0;
        require(end > first && end - first <= MAX_ROWS, "a sentence of %ld rows", (long)(end - first));
        if (rows == FIRST)
            end = first + 1;
        if (rows == LAST)
            first = end - 1;
        for (int64_t r = first; r < end; r++)
            sum += at(x, r, n);
        int64_t divisor = (end - first) * power(at(shift, 0, 0));
        int64_t mean = floor_divide(2 * sum * channel(multiplier, n) + divisor, 2 * divisor);
        put(out, b, n, saturate(mean, -limit, limit));
    }
}

void argmax(const Call *c)
{
    const Array *x = operand(c, "x", 32);
    Array *out = result(c, "out", x->rows, 1);
    for (int64_t r = 0; r < x->rows; r++) {
        int64_t best = 0;
        for (int64_t n = 1; n < x->width; n++)
            if (at(x, r, n) > at(x, r, best))
                best = n;
        put(out, r, 0, best);
    }
}

void log_softmax(const Call *c)
{
    const Array *x = operand(c, "x", 32);
    int64_t multiplier = constant(c, "multiplier", 1, power(30) - 1);
    int64_t shift = constant(c, "shift", 0, 36), cap_shift = constant_or(1, c, "cap_shift", 1, 62);
    int64_t cap = constant_or(0, c, "cap_multiplier", 1, INT32_MAX);
    int64_t *z = allocate(x->width, sizeof *z);
    Array *out = result(c, "out", x->rows, x->width);
    for (int64_t r = 0; r < x->rows; r++) {
        int64_t most = INT32_MIN, total = 0;
        for (int64_t n = 0; n < x->width; n++) {
            z[n] = cap ? A8(at(x, r, n), cap, cap_shift) : at(x, r, n);
            most = max(most, z[n]);
        }
        for (int64_t n = 0; n < x->width; n++) {
            z[n] = min(A1((most - z[n]) * multiplier, shift), power(30));
            total += A5(z[n]);
        }
        int64_t norm = A6(total) - 32 * power(20);
        for (int64_t n = 0; n < x->width; n++)
            put(out, r, n, max(-z[n] - norm, -power(30)));
    }
    free(z);
}
