/* Operations by name.  Vectors have the primitives too: each runs on every element of x. */
#include "operations.h"

#include <string.h>

static int64_t number(const Call *c, const char *name)
{
    return constant(c, name, INT64_MIN, INT64_MAX);
}

static int64_t a1(const Call *c, int64_t x) { return A1(x, number(c, "shift")); }

static int64_t a2(const Call *c, int64_t x)
{
    int64_t low = number(c, "low"), high = number(c, "high");
    return A2(x, number(c, "multiplier"), number(c, "shift"), low, high);
}

static int64_t a3(const Call *c, int64_t x) { return (void)c, A3(x).r; }

static int64_t a4(const Call *c, int64_t x) { return (void)c, A4(x); }
static int64_t a9(const Call *c, int64_t x) { return (void)c, A9(x); }

static int64_t a5(const Call *c, int64_t x) { return (void)c, A5(x); }

static int64_t a6(const Call *c, int64_t x) { return (void)c, A6(x); }

static int64_t a7(const Call *c, int64_t x) { return (void)c, A7(x); }

static int64_t a8(const Call *c, int64_t x)
{
    return A8(x, number(c, "multiplier"), number(c, "shift"));
}

static int64_t clamp(const Call *c, int64_t x)
{
    return saturate(x, number(c, "low"), number(c, "high"));
}

static int64_t root(const Call *c, int64_t x) { return (void)c, isqrt(x); }

static int64_t length(const Call *c, int64_t x) { return (void)c, bit_length(x); }

/* The operand is named x, acc or z.  The result is out, or r and k of A3. */
static void each(const Call *c)
{
    const Array *x = optional(c, "x", 64), *acc = optional(c, "acc", 64);
    x = x ? x : acc ? acc : operand(c, "z", 64);
    Array *out = result(c, "out", x->rows, 1), *r = result(c, "r", x->rows, 1);
    Array *k = result(c, "k", x->rows, 1);
    for (int64_t i = 0; i < x->rows; i++) {
        int64_t y = c->instruction->operation->primitive(c, at(x, i, 0));
        put(out, i, 0, y);
        put(r, i, 0, y);
        if (k)
            put(k, i, 0, A3(at(x, i, 0)).k);
    }
}

#define ROW(name) {#name, name, NULL},

static const Operation TABLE[] = {
    OPERATIONS(ROW)
    {"arithmetic.rounding_shift_right", each, a1}, {"arithmetic.requantize", each, a2},
    {"arithmetic.reciprocal", each, a3},           {"arithmetic.exp2_negative", each, a4},
    {"arithmetic.exp2_factor", each, a9},
    {"arithmetic.exp2_precise", each, a5},         {"arithmetic.log2", each, a6},
    {"arithmetic.tanh", each, a7},                 {"arithmetic.soft_cap", each, a8},
    {"arithmetic.isqrt", each, root},              {"arithmetic.bit_length", each, length},
    {"arithmetic.saturate", each, clamp},
};

const Operation *find_operation(const char *name)
{
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
        if (strcmp(TABLE[i].name, name) == 0)
            return &TABLE[i];
    fail("there is no operation %s", name);
    return NULL;
}
