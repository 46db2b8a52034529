/* The primitives, with the names of the specification: A1 to A8, isqrt, bit_length, saturate.
 *
 * Nothing here is left to the compiler: no sum or product leaves 64 bits, no negative number is
 * shifted, and no shift exceeds 62. */
#ifndef INT8REF_ARITHMETIC_H
#define INT8REF_ARITHMETIC_H

#include <stdint.h>

typedef struct {
    int64_t r, k;
} Reciprocal;

int64_t A1(int64_t x, int64_t s);
int64_t A2(int64_t acc, int64_t m, int64_t s, int64_t low, int64_t high);
Reciprocal A3(int64_t x);
int64_t A4(int64_t z);
int64_t A9(int64_t z);
int64_t A5(int64_t z);
int64_t A6(int64_t x);
int64_t A7(int64_t z);
int64_t A8(int64_t x, int64_t m, int64_t s);
int64_t isqrt(int64_t x);
int64_t bit_length(int64_t x);
int64_t saturate(int64_t x, int64_t low, int64_t high);
int64_t saturate8(int64_t x);
int64_t saturate16(int64_t x);

int64_t min(int64_t a, int64_t b);
int64_t max(int64_t a, int64_t b);
int64_t magnitude(int64_t x);
int64_t power(int64_t exponent);
int64_t floor_shift(int64_t x, int64_t s);
int64_t floor_divide(int64_t x, int64_t divisor);

/* Prints an error in the form of printf, and ends the program. */
void fail(const char *format, ...);

#define require(condition, ...) ((condition) ? (void)0 : fail(__VA_ARGS__))

#endif
