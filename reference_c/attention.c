/* 6.19 to 6.21: both kinds of attention. */
#include "operations.h"

/* The keys that a row sees, for one head: rows first, first + 1, ... of key and value.  own: the key
 * of the row itself, counted from first. */
typedef struct {
    int64_t head, first, keys, own;
} View;

/* Turns the scores of a block of keys into weights, in place, and returns the level of the block. */
typedef int64_t Weigh(const Call *c, const View *block, int64_t *w);

/* Octaves with 10 fraction bits, for the distance between the levels of two blocks. */
typedef int64_t Far(const Call *c, int64_t h, int64_t distance);

enum { BLOCK = 1024, MAX_KEYS = 131072, MAX_BLOCKS = MAX_KEYS / BLOCK };

/* The sums of the blocks of one row and head, and at last those of all blocks in sum[0], acc[0]. */
typedef struct {
    int64_t level[MAX_BLOCKS], sum[MAX_BLOCKS], acc[MAX_BLOCKS][512];
} Sums;

static View view_of(const Call *c, int64_t r, const Array *key)
{
    const Array *sentence = optional(c, "sentence", 32), *offsets = optional(c, "key_offsets", 32);
    View view = {0, 0, 0, 0};
    if (sentence && offsets) {
        view.first = at(offsets, at(sentence, r, 0), 0);
        view.keys = at(offsets, at(sentence, r, 0) + 1, 0) - view.first;
        view.own = r - view.first;
    } else {
        view.keys = min(constant_or(MAX_WIDTH, c, "window", 1, MAX_WIDTH), key->steps);
        view.first = (r + 1) * key->steps - view.keys;
        view.own = view.keys - 1;
    }
    require(view.keys >= 1 && view.keys <= MAX_KEYS, "a row sees %ld keys", (long)view.keys);
    return view;
}

static int64_t dot(const int8_t *x, const int8_t *y, int64_t d)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += x[i] * y[i];
    return sum;
}

static void join(const Call *c, Far *far, int64_t h, int64_t blocks, int64_t d, Sums *s)
{
    int64_t most = s->level[0], factor[MAX_BLOCKS], sum = 0;
    for (int64_t b = 1; b < blocks; b++)
        most = max(most, s->level[b]);
    for (int64_t b = 0; b < blocks; b++) {
        factor[b] = A9(min(far(c, h, most - s->level[b]), 22 * 1024));
        sum += s->sum[b] * factor[b];
    }
    int64_t drop = bit_length(sum - 1) - 24;
    s->sum[0] = A1(sum, drop);
    for (int64_t i = 0; i < d; i++) {
        int64_t acc = 0;
        for (int64_t b = 0; b < blocks; b++)
            acc += s->acc[b][i] * factor[b];
        s->acc[0][i] = A1(acc, drop);
    }
}

static void attend(const Call *c, Weigh *weigh, Far *far)
{
    static Sums sums;
    const Array *query = operand(c, "query", 8), *key = operand(c, "key", 8);
    const Array *value = operand(c, "value", 8), *shifts = operand(c, "context_shift", 8);
    const Array *multipliers = operand(c, "context_multiplier", 32);
    int64_t heads = constant(c, "heads", 1, 256), d = constant(c, "head_width", 1, 512);
    int64_t group = constant_or(1, c, "group", 1, heads), limit = constant(c, "limit", 1, WIDE);
    int64_t query_column = constant(c, "query_column", 0, MAX_WIDTH);
    int64_t key_column = constant(c, "key_column", 0, MAX_WIDTH);
    int64_t value_column = constant(c, "value_column", 0, MAX_WIDTH);
    Array *out = result(c, "out", query->rows, heads * d);
    for (int64_t r = 0; r < query->rows; r++)
        for (int64_t h = 0; h < heads; h++) {
            const int8_t *q = row8(query, r, query_column + h * d, d);
            int64_t g = h / group, w[BLOCK], blocks = 0;
            View view = view_of(c, r, key);
            for (int64_t j = 0; j < view.keys; j += BLOCK, blocks++) {
                View block = {h, view.first + j, min(view.keys - j, BLOCK), view.own - j};
                int64_t sum = 0, *acc = sums.acc[blocks];
                for (int64_t n = 0; n < block.keys; n++)
                    w[n] = dot(q, row8(key, block.first + n, key_column + g * d, d), d);
                sums.level[blocks] = weigh(c, &block, w);
                for (int64_t i = 0; i < d; i++)
                    acc[i] = 0;
                for (int64_t n = 0; n < block.keys; n++) {
                    const int8_t *v = row8(value, block.first + n, value_column + g * d, d);
                    sum += w[n];
                    for (int64_t i = 0; i < d; i++)
                        acc[i] += w[n] * v[i];
                }
                sums.sum[blocks] = sum;
            }
            if (blocks > 1)
                join(c, far, h, blocks, d, &sums);
            Reciprocal s = A3(sums.sum[0]);
            int64_t m = floor_shift(s.r * at(multipliers, h, 0), 30);
            int64_t shift = s.k + at(shifts, h, 0) - 30;
            for (int64_t i = 0; i < d; i++)
                put(out, r, h * d + i, A2(sums.acc[0][i], m, shift, -limit, limit));
        }
}

static int64_t largest(const int64_t *x, int64_t keys)
{
    int64_t most = x[0];
    for (int64_t j = 1; j < keys; j++)
        most = max(most, x[j]);
    return most;
}

static int64_t weigh_softmax(const Call *c, const View *view, int64_t *w)
{
    const Array *limit = operand(c, "score_limit", 32), *addend = optional(c, "addend", 32);
    const Array *multiplier = operand(c, "score_multiplier", 32);
    const Array *cap = optional(c, "cap_multiplier", 32);
    int64_t before = constant_or(0, c, "before", 0, MAX_KEYS - 1);
    int64_t after = constant_or(0, c, "after", 0, MAX_KEYS - 1);
    int64_t shift = constant(c, "score_shift", 1, 30), cap_shift = constant_or(1, c, "cap_shift", 1, 62);
    int64_t h = view->head;
    require(!addend || !cap, "an addend and a soft cap");
    for (int64_t j = 0; j < view->keys; j++) {
        if (addend)
            w[j] += at(addend, h, saturate(j - view->own, -before, after) + before);
        if (cap)
            w[j] = A1(A8(w[j], at(cap, h, 0), cap_shift), 10);
    }
    int64_t most = largest(w, view->keys);
    for (int64_t j = 0; j < view->keys; j++)
        w[j] = A4(A1(min(most - w[j], at(limit, h, 0)) * at(multiplier, h, 0), shift));
    return most;
}

static int64_t far_softmax(const Call *c, int64_t h, int64_t distance)
{
    const Array *multiplier = operand(c, "score_multiplier", 32);
    return A1(distance * at(multiplier, h, 0), constant(c, "score_shift", 1, 30));
}

static int64_t weigh_polynomial(const Call *c, const View *view, int64_t *w)
{
    const Array *bias = operand(c, "score_bias", 32), *shift = operand(c, "score_shift", 8);
    const Array *delta = operand(c, "delta_multiplier", 32);
    const Array *delta_shift = operand(c, "delta_shift", 8);
    int64_t degree = constant(c, "degree", 1, 4), h = view->head;
    for (int64_t j = 0; j < view->keys; j++)
        w[j] = max(w[j] + at(bias, h, 0), 0);
    int64_t e = max(bit_length(largest(w, view->keys)) - 15, at(shift, h, 0));
    int64_t d = A1(at(delta, h, 0), min(at(delta_shift, h, 0) + degree * (e - at(shift, h, 0)), 62));
    for (int64_t j = 0; j < view->keys; j++) {
        int64_t u = A1(w[j], e), square = A1(u * u, 15);
        int64_t powers[] = {u * 32768, u * u, square * u, square * square};
        w[j] = powers[degree - 1] + d;
    }
    int64_t g = bit_length(largest(w, view->keys)) - 14;
    for (int64_t j = 0; j < view->keys; j++)
        w[j] = g < 0 ? w[j] * power(-g) : A1(w[j], g);
    return g + degree * e;
}

static int64_t far_polynomial(const Call *c, int64_t h, int64_t distance)
{
    return (void)c, (void)h, distance * 1024;
}

void attention_softmax(const Call *c) { attend(c, weigh_softmax, far_softmax); }

void attention_polynomial(const Call *c) { attend(c, weigh_polynomial, far_polynomial); }
