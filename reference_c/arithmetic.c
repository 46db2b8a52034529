#include "arithmetic.h"

int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

int64_t saturate(int64_t x, int64_t low, int64_t high) { return min(max(x, low), high); }

int64_t saturate8(int64_t x) { return saturate(x, -127, 127); }

int64_t saturate16(int64_t x) { return saturate(x, -32767, 32767); }

/* 2^exponent. */
int64_t power(int64_t exponent)
{
    require(exponent >= 0 && exponent <= 62, "the power 2^%ld", (long)exponent);
    return (int64_t)1 << exponent;
}

/* floor(x / 2^s).  ~x is not negative where x is, and C99 defines the shift of such a number. */
int64_t floor_shift(int64_t x, int64_t s)
{
    require(s >= 0 && s <= 62, "a shift by %ld", (long)s);
    return x >= 0 ? x >> s : ~(~x >> s);
}

/* floor(x / divisor), for a positive divisor. */
int64_t floor_divide(int64_t x, int64_t divisor) { return x / divisor - (x % divisor < 0); }

/* The e with 2^(e-1) <= x < 2^e, and 0 for x = 0. */
int64_t bit_length(int64_t x)
{
    int64_t e = 0;
    for (; x > 0; x >>= 1)
        e++;
    return e;
}

/* Rounding shift: floor(x / 2^s + 1/2).  It adds the last bit that the shift drops. */
int64_t A1(int64_t x, int64_t s)
{
    return s == 0 ? x : floor_shift(x, s) + (floor_shift(x, s - 1) & 1);
}

/* Requantisation. */
int64_t A2(int64_t acc, int64_t m, int64_t s, int64_t low, int64_t high)
{
    require(acc >= INT32_MIN && acc <= INT32_MAX, "an accumulator of more than 32 bits");
    require(m >= 0 && m <= INT32_MAX, "a multiplier of more than 31 bits");
    return saturate(A1(acc * m, s), low, high);
}

/* Reciprocal: 1 / x = r / 2^k. */
Reciprocal A3(int64_t x)
{
    require(x >= 1 && x < power(32), "the reciprocal of %ld", (long)x);
    int64_t k = bit_length(x) + 29;
    return (Reciprocal){power(k) / x, k};
}

/* Power of two: 2^14 * 2^(-z / 2^10), from 2^20 * 2^(-f / 2^10). */
static int64_t fraction_power(int64_t f)
{
    int64_t t = 7150;
    t = -55780 + floor_shift(f * t, 10);
    t = 251070 + floor_shift(f * t, 10);
    t = -726726 + floor_shift(f * t, 10);
    return 1048576 + floor_shift(f * t, 10);
}

int64_t A4(int64_t z)
{
    require(z >= 0 && z <= power(14), "the exponent %ld", (long)z);
    return A1(fraction_power(z & 1023), 6 + (z >> 10));
}

/* Factor of a block of keys: 2^20 * 2^(-z / 2^10). */
int64_t A9(int64_t z)
{
    require(z >= 0 && z <= 22 * power(10), "the exponent %ld", (long)z);
    return A1(fraction_power(z & 1023), z >> 10);
}

/* Precise power of two: 2^32 * 2^(-z / 2^20). */
int64_t A5(int64_t z)
{
    require(z >= 0 && z <= power(30), "the exponent %ld", (long)z);
    int64_t i = z >> 20, f = z & 1048575, t = 2029166;
    t = 19769302 - (f * t >> 20);
    t = 118750173 - (f * t >> 20);
    t = 515782930 - (f * t >> 20);
    t = 1488514807 - (f * t >> 20);
    t = 2147483648 - (f * t >> 20);
    return 2 * t >> min(i, 62);
}

/* Binary logarithm: 2^20 * log2(x), one bit after another. */
int64_t A6(int64_t x)
{
    require(x >= 1 && x < power(62), "the logarithm of %ld", (long)x);
    int64_t e = bit_length(x) - 1, result = e;
    int64_t y = e > 30 ? x >> (e - 30) : x << (30 - e);
    for (int i = 0; i < 21; i++) {
        y = y * y >> 30;
        int64_t bit = y >> 31;
        y = y >> bit;
        result = 2 * result + bit;
    }
    return (result + 1) >> 1;
}

/* Hyperbolic tangent: 2^30 * tanh(z * ln(2) / 2^21). */
int64_t A7(int64_t z)
{
    int64_t p = A5(magnitude(z));
    int64_t result = (power(32) - p) * power(30) / (power(32) + p);
    return z < 0 ? -result : result;
}

/* Soft cap. */
int64_t A8(int64_t x, int64_t m, int64_t s)
{
    return A7(saturate(A1(x * m, s), -power(30), power(30)));
}

/* floor(sqrt(x)), one bit after another. */
int64_t isqrt(int64_t x)
{
    require(x >= 0 && x < power(62), "the root of %ld", (long)x);
    int64_t root = 0;
    for (int64_t bit = power(30); bit > 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= x)
            root += bit;
    return root;
}
