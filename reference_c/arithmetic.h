/* The primitives of the specification, A1 to A8, in integers of 64 bits.
 *
 * No function relies on what C99 leaves undefined or to the compiler: no sum or product leaves 64
 * bits, no negative number is shifted, and no shift exceeds 62. */
#ifndef INT8REF_ARITHMETIC_H
#define INT8REF_ARITHMETIC_H

#include <stdint.h>

int64_t smaller(int64_t a, int64_t b);
int64_t larger(int64_t a, int64_t b);
int64_t magnitude(int64_t x);
int64_t saturate(int64_t x, int64_t low, int64_t high);
int64_t power_of_two(int64_t exponent);
int64_t floor_shift(int64_t x, int64_t s);
int64_t floor_divide(int64_t x, int64_t divisor);
int64_t bit_length(int64_t x);

int64_t rounding_shift(int64_t x, int64_t s);
int64_t requantize(int64_t acc, int64_t m, int64_t s, int64_t low, int64_t high);
void reciprocal(int64_t x, int64_t *r, int64_t *k);
int64_t exp2_negative(int64_t z);
int64_t exp2_precise(int64_t z);
int64_t binary_logarithm(int64_t x);
int64_t hyperbolic_tangent(int64_t z);
int64_t soft_cap(int64_t x, int64_t m, int64_t s);
int64_t integer_root(int64_t x);

/* Prints an error in the form of printf, and ends the program. */
void fail(const char *format, ...);

#define require(condition, ...) ((condition) ? (void)0 : fail(__VA_ARGS__))

#endif
