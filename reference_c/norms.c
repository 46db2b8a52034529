/* 6.12 to 6.17: norms of rows. */
#include "operations.h"

enum { MAX_NORM = 8192 };

/* c divided by a deviation, with 10 fraction bits. */
static int64_t normed(int64_t c, Reciprocal s) { return A1(c * s.r, s.k - 10); }

/* The sums of a row of n columns: of x, of x^2, and of |n * x - sum|. */
typedef struct {
    int64_t n, x, squares, magnitudes;
} Sums;

static Sums sums_of(const Array *x, int64_t r)
{
    Sums sum = {x->width, 0, 0, 0};
    require(sum.n <= MAX_NORM, "a norm of %ld columns", (long)sum.n);
    for (int64_t i = 0; i < sum.n; i++) {
        sum.x += at(x, r, i);
        sum.squares += at(x, r, i) * at(x, r, i);
    }
    for (int64_t i = 0; i < sum.n; i++)
        sum.magnitudes += magnitude(sum.n * at(x, r, i) - sum.x);
    return sum;
}

static int64_t deviation_l1(Sums sum, int64_t epsilon)
{
    return (sum.magnitudes + sum.n - 1) / sum.n + epsilon;
}

static int64_t deviation_l2(Sums sum, int64_t epsilon)
{
    return isqrt(sum.n * sum.squares - sum.x * sum.x + epsilon);
}

static int64_t deviation_rms(Sums sum, int64_t epsilon)
{
    return isqrt(sum.n * sum.squares + epsilon);
}

static void norm(const Call *c, int centred, int64_t largest, int64_t (*deviation)(Sums, int64_t))
{
    const Array *x = operand(c, "x", 16), *gain = operand(c, "gain", 16);
    const Array *bias = operand(c, "bias", 16);
    int64_t bias_shift = constant(c, "bias_shift", 0, 15), shift = constant(c, "shift", 1, 30);
    int64_t epsilon = constant(c, "epsilon", 0, largest);
    int64_t wide_bits = constant_or(0, c, "wide_bits", 0, shift);
    Array *out = result(c, "out", x->rows, x->width), *wide = result(c, "wide", x->rows, x->width);
    for (int64_t r = 0; r < x->rows; r++) {
        Sums sum = sums_of(x, r);
        Reciprocal s = A3(max(deviation(sum, epsilon), 1));
        for (int64_t i = 0; i < x->width; i++) {
            int64_t t = normed(sum.n * at(x, r, i) - (centred ? sum.x : 0), s);
            int64_t y = t * at(gain, i, 0) + at(bias, i, 0) * power(bias_shift);
            put(out, r, i, saturate8(A1(y, shift)));
            put(wide, r, i, saturate16(A1(y, shift - wide_bits)));
        }
    }
}

void layer_norm_l1(const Call *c) { norm(c, 1, power(30), deviation_l1); }

void layer_norm_l2(const Call *c) { norm(c, 1, power(60), deviation_l2); }

void rms_norm(const Call *c) { norm(c, 0, power(60), deviation_rms); }

void rms_norm_heads(const Call *c)
{
    const Array *x = operand(c, "x", 16), *gain = operand(c, "gain", 16);
    int64_t column = constant(c, "column", 0, MAX_WIDTH), heads = constant(c, "heads", 1, 512);
    int64_t d = constant(c, "head_width", 1, MAX_NORM), shift = constant(c, "shift", 1, 30);
    int64_t epsilon = constant(c, "epsilon", 0, power(60));
    Array *out = result(c, "out", x->rows, x->width);
    EACH_ELEMENT(x, r, n)
        put(out, r, n, at(x, r, n));
    for (int64_t r = 0; r < x->rows; r++)
        for (int64_t h = 0; h < heads; h++) {
            int64_t first = column + h * d, squares = 0;
            for (int64_t i = 0; i < d; i++)
                squares += at(x, r, first + i) * at(x, r, first + i);
            Reciprocal s = A3(max(isqrt(d * squares + epsilon), 1));
            for (int64_t i = 0; i < d; i++) {
                int64_t t = normed(d * at(x, r, first + i), s);
                put(out, r, first + i, saturate16(A1(t * at(gain, h * d + i, 0), shift)));
            }
        }
}

void rms_norm_branch(const Call *c)
{
    Branch b = branch_of(c, "x", "multiplier");
    const Array *gain = operand(c, "gain", 16);
    int64_t shift = constant(c, "shift", 1, 30), epsilon = constant(c, "epsilon", 0, power(30));
    int64_t epsilon_shift = constant(c, "epsilon_shift", 0, 255), n = b.x->width;
    Array *out = result(c, "out", b.x->rows, n);
    require(n <= MAX_NORM, "a norm of %ld columns", (long)n);
    for (int64_t r = 0; r < b.x->rows; r++) {
        int64_t most = 0, u[MAX_NORM], squares = 0;
        for (int64_t i = 0; i < n; i++)
            most = max(most, magnitude(branch_at(&b, r, i)));
        int64_t e = max(bit_length(most) - 15, 0), d = epsilon_shift - 2 * e;
        for (int64_t i = 0; i < n; i++) {
            u[i] = saturate16(A1(branch_at(&b, r, i), e));
            squares += u[i] * u[i];
        }
        int64_t scaled = d < 0 ? floor_shift(epsilon, min(-d, 62)) : epsilon * power(min(d, 30));
        Reciprocal s = A3(max(isqrt(n * squares + scaled), 1));
        for (int64_t i = 0; i < n; i++)
            put(out, r, i, saturate16(A1(normed(n * u[i], s) * at(gain, i, 0), shift)));
    }
}

void normalize(const Call *c)
{
    const Array *x = operand(c, "x", 16);
    int64_t length = constant(c, "length", 1, WIDE);
    Array *out = result(c, "out", x->rows, x->width);
    for (int64_t r = 0; r < x->rows; r++) {
        Reciprocal s = A3(max(isqrt(sums_of(x, r).squares * power(16)), 1));
        for (int64_t i = 0; i < x->width; i++)
            put(out, r, i, saturate8(A1(at(x, r, i) * length * s.r, s.k - 8)));
    }
}
