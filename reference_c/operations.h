/* The operations of the specification.  The table in operations_table.c has their names. */
#ifndef INT8REF_OPERATIONS_H
#define INT8REF_OPERATIONS_H

#include "memory.h"

enum { DATA = 127, WIDE = 32767, MAX_WIDTH = 1048576, MAX_NORM = 8192, MAX_ROWS = 1024 };

/* x * m * 2^exponent + bias * 2^bias_shift: a branch of a sum, whose rows may have an exponent. */
typedef struct {
    Array x, m, exponent, bias;
    int64_t bias_shift;
} Branch;

Branch branch(const Call *c, const char *x, const char *m);
int64_t branch_value(const Branch *b, int64_t r, int64_t n);

void append(const Call *c);
void argmax(const Call *c);
void attention_polynomial(const Call *c);
void attention_softmax(const Call *c);
void embed(const Call *c);
void interpolate(const Call *c);
void layer_norm_l1(const Call *c);
void layer_norm_l2(const Call *c);
void linear(const Call *c);
void log_softmax(const Call *c);
void lookup(const Call *c);
void match_add(const Call *c);
void multiply(const Call *c);
void narrow(const Call *c);
void normalize(const Call *c);
void pool(const Call *c);
void requantize_rows(const Call *c);
void rescale(const Call *c);
void rms_norm(const Call *c);
void rms_norm_branch(const Call *c);
void rms_norm_heads(const Call *c);
void rotary(const Call *c);
void ssru(const Call *c);

#endif
