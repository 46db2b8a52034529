/* The names of the operations, and of the primitives as vectors call them. */
#include "operations.h"

#include <stddef.h>
#include <string.h>

/* A primitive runs on each element of its operand, of 64 bits. */
static void each(const Call *c, const char *name, int64_t (*function)(const Call *, int64_t))
{
    Array x = operand(c, name, 64);
    Array *out = result(c, "out", x.rows, 1, 1);
    int64_t i;
    for (i = 0; i < x.rows; i++)
        put(out, i, 0, function(c, at(&x, i, 0)));
}

static int64_t number(const Call *c, const char *name)
{
    return constant(c, name, INT32_MIN, INT32_MAX);
}

static int64_t a1(const Call *c, int64_t x) { return rounding_shift(x, number(c, "shift")); }

static int64_t a2(const Call *c, int64_t x)
{
    int64_t m = number(c, "multiplier"), s = number(c, "shift");
    return requantize(x, m, s, number(c, "low"), number(c, "high"));
}

static int64_t a8(const Call *c, int64_t x)
{
    return soft_cap(x, number(c, "multiplier"), number(c, "shift"));
}

static int64_t a4(const Call *c, int64_t x) { return (void)c, exp2_negative(x); }

static int64_t a5(const Call *c, int64_t x) { return (void)c, exp2_precise(x); }

static int64_t a6(const Call *c, int64_t x) { return (void)c, binary_logarithm(x); }

static int64_t a7(const Call *c, int64_t x) { return (void)c, hyperbolic_tangent(x); }

static int64_t root(const Call *c, int64_t x) { return (void)c, integer_root(x); }

static int64_t bits(const Call *c, int64_t x) { return (void)c, bit_length(x); }

static void rounding_shifts(const Call *c) { each(c, "x", a1); }

static void requantizations(const Call *c) { each(c, "acc", a2); }

static void soft_caps(const Call *c) { each(c, "x", a8); }

static void negative_exponents(const Call *c) { each(c, "z", a4); }

static void precise_exponents(const Call *c) { each(c, "z", a5); }

static void logarithms(const Call *c) { each(c, "x", a6); }

static void tangents(const Call *c) { each(c, "z", a7); }

static void roots(const Call *c) { each(c, "x", root); }

static void bit_lengths(const Call *c) { each(c, "x", bits); }

static void reciprocals(const Call *c)
{
    Array x = operand(c, "x", 64);
    Array *r = result(c, "r", x.rows, 1, 1), *k = result(c, "k", x.rows, 1, 1);
    int64_t i;
    for (i = 0; i < x.rows; i++) {
        int64_t inverse, exponent;
        reciprocal(at(&x, i, 0), &inverse, &exponent);
        put(r, i, 0, inverse);
        put(k, i, 0, exponent);
    }
}

static const Operation OPERATIONS[] = {
    {"append", append},
    {"argmax", argmax},
    {"attention_polynomial", attention_polynomial},
    {"attention_softmax", attention_softmax},
    {"embed", embed},
    {"interpolate", interpolate},
    {"layer_norm_l1", layer_norm_l1},
    {"layer_norm_l2", layer_norm_l2},
    {"linear", linear},
    {"log_softmax", log_softmax},
    {"lookup", lookup},
    {"match_add", match_add},
    {"multiply", multiply},
    {"narrow", narrow},
    {"normalize", normalize},
    {"pool", pool},
    {"requantize", requantize_rows},
    {"rescale", rescale},
    {"rms_norm", rms_norm},
    {"rms_norm_branch", rms_norm_branch},
    {"rms_norm_heads", rms_norm_heads},
    {"rotary", rotary},
    {"ssru", ssru},
    {"arithmetic.rounding_shift_right", rounding_shifts},
    {"arithmetic.requantize", requantizations},
    {"arithmetic.reciprocal", reciprocals},
    {"arithmetic.exp2_negative", negative_exponents},
    {"arithmetic.exp2_precise", precise_exponents},
    {"arithmetic.log2", logarithms},
    {"arithmetic.tanh", tangents},
    {"arithmetic.soft_cap", soft_caps},
    {"arithmetic.isqrt", roots},
    {"arithmetic.bit_length", bit_lengths},
};

const Operation *find_operation(const char *name)
{
    size_t i;
    for (i = 0; i < sizeof OPERATIONS / sizeof *OPERATIONS; i++)
        if (strcmp(OPERATIONS[i].name, name) == 0)
            return &OPERATIONS[i];
    fail("there is no operation %s", name);
    return NULL;
}
