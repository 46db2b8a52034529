/* The operations of the specification: one function each. */
#ifndef INT8REF_OPERATIONS_H
#define INT8REF_OPERATIONS_H

#include "memory.h"

#define OPERATIONS(X) \
    X(append) X(argmax) X(attention_polynomial) X(attention_softmax) X(embed) X(interpolate) \
    X(layer_norm_l1) X(layer_norm_l2) X(linear) X(log_softmax) X(lookup) X(match_add) X(multiply) \
    X(narrow) X(normalize) X(pool) X(requantize) X(rescale) X(rms_norm) X(rms_norm_branch) \
    X(rms_norm_heads) X(rotary) X(ssru)

#define DECLARATION(name) void name(const Call *c);
OPERATIONS(DECLARATION)

/* For every row r and every column n of an array. */
#define EACH_ELEMENT(a, r, n) \
    for (int64_t r = 0; r < (a)->rows; r++) \
        for (int64_t n = 0; n < (a)->width; n++)

enum { WIDE = 32767, MAX_ROWS = 1024 };

/* x * multiplier * 2^exponent + bias * 2^bias_shift: a matrix product whose rows may have been
 * rescaled.  The last two are absent together. */
typedef struct {
    const Array *x, *multiplier, *exponent, *bias;
    int64_t bias_shift;
} Branch;

Branch branch_of(const Call *c, const char *x, const char *multiplier);
int64_t branch_at(const Branch *b, int64_t r, int64_t n);

#endif
