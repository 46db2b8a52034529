/* The operations that norm a row, as the specification defines them. */
#include "operations.h"


/* n times the deviation of a row: its sum, its sum of squares, its sum of |c|. */
typedef struct {
    int64_t n, sum, squares, magnitudes, epsilon;
} Moments;

static int64_t deviation_l2(const Moments *a)
{
    return integer_root(a->n * a->squares - a->sum * a->sum + a->epsilon);
}

static int64_t deviation_l1(const Moments *a)
{
    return (a->magnitudes + a->n - 1) / a->n + a->epsilon;
}

static int64_t deviation_rms(const Moments *a)
{
    return integer_root(a->n * a->squares + a->epsilon);
}

/* 1 / max(deviation, 1) = r / 2^k. */
typedef struct {
    int64_t r, k;
} Factor;

static Factor factor_of(int64_t deviation)
{
    Factor f;
    reciprocal(larger(deviation, 1), &f.r, &f.k);
    return f;
}

/* c / deviation with 10 fraction bits. */
static int64_t normed(int64_t c, Factor f) { return rounding_shift(c * f.r, f.k - 10); }

static void norm(const Call *c, int centred, int64_t most_epsilon, int64_t (*deviation)(const Moments *))
{
    Array x = operand(c, "x", 16), gain = operand(c, "gain", 16), bias = operand(c, "bias", 16);
    int64_t bias_shift = constant(c, "bias_shift", 0, 15), shift = constant(c, "shift", 1, 30);
    int64_t epsilon = constant(c, "epsilon", 0, most_epsilon), n = x.width, r, i;
    int64_t bits = has(c, "wide_bits") ? constant(c, "wide_bits", 0, smaller(shift, 15)) : 0;
    Array *out = result(c, "out", x.rows, 1, n), *wide = result(c, "wide", x.rows, 1, n);
    require(n <= MAX_NORM, "a norm of %ld columns", (long)n);

    for (r = 0; r < x.rows; r++) {
        Moments a = {n, 0, 0, 0, epsilon};
        Factor f;
        for (i = 0; i < n; i++) {
            a.sum += at(&x, r, i);
            a.squares += at(&x, r, i) * at(&x, r, i);
        }
        for (i = 0; i < n; i++)
            a.magnitudes += magnitude(n * at(&x, r, i) - a.sum);
        f = factor_of(deviation(&a));
        for (i = 0; i < n; i++) {
            int64_t t = normed(n * at(&x, r, i) - (centred ? a.sum : 0), f);
            int64_t y = t * at(&gain, i, 0) + at(&bias, i, 0) * power_of_two(bias_shift);
            put(out, r, i, saturate(rounding_shift(y, shift), -DATA, DATA));
            put(wide, r, i, saturate(rounding_shift(y, shift - bits), -WIDE, WIDE));
        }
    }
}

void layer_norm_l1(const Call *c) { norm(c, 1, power_of_two(30), deviation_l1); }

void layer_norm_l2(const Call *c) { norm(c, 1, power_of_two(60), deviation_l2); }

void rms_norm(const Call *c) { norm(c, 0, power_of_two(60), deviation_rms); }

void rms_norm_heads(const Call *c)
{
    Array x = operand(c, "x", 16), gain = operand(c, "gain", 16);
    int64_t column = constant(c, "column", 0, MAX_WIDTH), heads = constant(c, "heads", 1, 512);
    int64_t d = constant(c, "head_width", 1, MAX_NORM), shift = constant(c, "shift", 1, 30);
    int64_t epsilon = constant(c, "epsilon", 0, power_of_two(60)), r, n, i;
    Array *out = result(c, "out", x.rows, 1, x.width);
    for (r = 0; r < x.rows; r++) {
        for (n = 0; n < x.width; n++)
            put(out, r, n, at(&x, r, n));
        for (n = 0; n < heads; n++) {
            int64_t first = column + n * d;
            Moments a = {d, 0, 0, 0, epsilon};
            Factor f;
            for (i = first; i < first + d; i++)
                a.squares += at(&x, r, i) * at(&x, r, i);
            f = factor_of(deviation_rms(&a));
            for (i = first; i < first + d; i++) {
                int64_t y = normed(d * at(&x, r, i), f) * at(&gain, i - column, 0);
                put(out, r, i, saturate(rounding_shift(y, shift), -WIDE, WIDE));
            }
        }
    }
}

void rms_norm_branch(const Call *c)
{
    Branch b = branch(c, "x", "multiplier");
    Array gain = operand(c, "gain", 16);
    int64_t shift = constant(c, "shift", 1, 30), epsilon = constant(c, "epsilon", 0, power_of_two(30));
    int64_t epsilon_shift = constant(c, "epsilon_shift", 0, 255), n = b.x.width, r, i;
    Array *out = result(c, "out", b.x.rows, 1, n);
    require(n <= MAX_NORM, "a norm of %ld columns", (long)n);
    for (r = 0; r < b.x.rows; r++) {
        Moments a = {n, 0, 0, 0, epsilon};
        int64_t most = 0, e, places;
        Factor f;
        for (i = 0; i < n; i++)
            most = larger(most, magnitude(branch_value(&b, r, i)));
        e = larger(bit_length(most) - 15, 0);
        places = smaller(epsilon_shift - 2 * e, 30);
        a.epsilon = places < 0 ? floor_shift(epsilon, smaller(-places, 62)) : epsilon * power_of_two(places);
        for (i = 0; i < n; i++) {
            int64_t u = saturate(rounding_shift(branch_value(&b, r, i), e), -WIDE, WIDE);
            a.squares += u * u;
        }
        f = factor_of(deviation_rms(&a));
        for (i = 0; i < n; i++) {
            int64_t u = saturate(rounding_shift(branch_value(&b, r, i), e), -WIDE, WIDE);
            int64_t y = normed(n * u, f) * at(&gain, i, 0);
            put(out, r, i, saturate(rounding_shift(y, shift), -WIDE, WIDE));
        }
    }
}

void normalize(const Call *c)
{
    Array x = operand(c, "x", 16);
    int64_t length = constant(c, "length", 1, WIDE), r, i;
    Array *out = result(c, "out", x.rows, 1, x.width);
    for (r = 0; r < x.rows; r++) {
        int64_t squares = 0;
        Factor f;
        for (i = 0; i < x.width; i++)
            squares += at(&x, r, i) * at(&x, r, i);
        require(squares < power_of_two(46), "a row of %ld columns", (long)x.width);
        f = factor_of(integer_root(squares * power_of_two(16)));
        for (i = 0; i < x.width; i++) {
            int64_t y = rounding_shift(at(&x, r, i) * length * f.r, f.k - 8);
            put(out, r, i, saturate(y, -DATA, DATA));
        }
    }
}
