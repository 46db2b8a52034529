#include "arithmetic.h"

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

int64_t saturate(int64_t x, int64_t low, int64_t high) { return smaller(larger(x, low), high); }

int64_t power_of_two(int64_t exponent)
{
    require(exponent >= 0 && exponent <= 62, "the power of two %d", (int)exponent);
    return (int64_t)1 << exponent;
}

/* floor(x / 2^s).  ~x is not negative where x is, and C99 defines the shift of such a number. */
int64_t floor_shift(int64_t x, int64_t s)
{
    require(s >= 0 && s <= 62, "a shift by %d", (int)s);
    return x >= 0 ? x >> s : ~(~x >> s);
}

/* floor(x / divisor), for a positive divisor. */
int64_t floor_divide(int64_t x, int64_t divisor)
{
    return x / divisor - (x % divisor < 0);
}

int64_t bit_length(int64_t x)
{
    int64_t bits = 0;
    for (; x > 0; x >>= 1)
        bits++;
    return bits;
}

/* A1: floor(x / 2^s + 1/2), by the bit that the shift drops last. */
int64_t rounding_shift(int64_t x, int64_t s)
{
    return s == 0 ? x : floor_shift(x, s) + (floor_shift(x, s - 1) & 1);
}

/* A2. */
int64_t requantize(int64_t acc, int64_t m, int64_t s, int64_t low, int64_t high)
{
    require(acc >= INT32_MIN && acc <= INT32_MAX, "an accumulator beyond 32 bits");
    require(m >= 0 && m <= INT32_MAX, "a multiplier beyond 31 bits");
    return saturate(rounding_shift(acc * m, s), low, high);
}

/* A3: 1 / x = r / 2^k. */
void reciprocal(int64_t x, int64_t *r, int64_t *k)
{
    require(x >= 1 && x < power_of_two(32), "a reciprocal out of range");
    *k = bit_length(x) + 29;
    *r = power_of_two(*k) / x;
}

/* c[0] + (f * (c[1] + (f * ... c[degree] >> bits)) >> bits), by Horner's rule; sign is 1 or -1. */
static int64_t polynomial(const int64_t *c, int degree, int64_t f, int64_t bits, int64_t sign)
{
    int64_t t = c[degree];
    while (degree-- > 0)
        t = c[degree] + sign * floor_shift(f * t, bits);
    return t;
}

/* A4: 2^14 * 2^(-z / 2^10). */
int64_t exp2_negative(int64_t z)
{
    static const int64_t c[] = {1048576, -726726, 251070, -55780, 7150};
    require(z >= 0 && z <= power_of_two(14), "an exponent out of range");
    return rounding_shift(polynomial(c, 4, z % 1024, 10, 1), 6 + z / 1024);
}

/* A5: 2^32 * 2^(-z / 2^20). */
int64_t exp2_precise(int64_t z)
{
    static const int64_t c[] = {2147483648, 1488514807, 515782930, 118750173, 19769302, 2029166};
    int64_t t;
    require(z >= 0 && z <= power_of_two(30), "an exponent out of range");
    t = polynomial(c, 5, z % 1048576, 20, -1);
    return floor_shift(2 * t, smaller(z / 1048576, 62));
}

/* A6: 2^20 * log2(x). */
int64_t binary_logarithm(int64_t x)
{
    int64_t result, y;
    int i;
    require(x >= 1 && x < power_of_two(62), "a logarithm out of range");
    result = bit_length(x) - 1;
    y = result > 30 ? x >> (result - 30) : x << (30 - result);
    for (i = 0; i < 21; i++) {
        int64_t bit;
        y = y * y >> 30;
        bit = y >> 31;
        y >>= bit;
        result = 2 * result + bit;
    }
    return (result + 1) >> 1;
}

/* A7: 2^30 * tanh(z * ln(2) / 2^21). */
int64_t hyperbolic_tangent(int64_t z)
{
    int64_t one = power_of_two(32), p = exp2_precise(magnitude(z));
    int64_t result = (one - p) * power_of_two(30) / (one + p);
    return z < 0 ? -result : result;
}

/* A8. */
int64_t soft_cap(int64_t x, int64_t m, int64_t s)
{
    int64_t most = power_of_two(30);
    return hyperbolic_tangent(saturate(rounding_shift(x * m, s), -most, most));
}

/* floor(sqrt(x)), bit by bit. */
int64_t integer_root(int64_t x)
{
    int64_t root = 0, bit;
    require(x >= 0 && x < power_of_two(62), "a root out of range");
    for (bit = power_of_two(30); bit > 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= x)
            root += bit;
    return root;
}
