/* Both kinds of attention, as the specification defines them. */
#include "operations.h"

#include <stdlib.h>

/* The keys that a row sees: rows first to first + keys - 1 of the key operand; own: which of them
 * is the row itself, where query and key are of one sequence. */
typedef struct {
    int64_t head, first, keys, own;
} View;

/* Turns the scores of a view into weights, in place. */
typedef void Weigher(const Call *c, const View *view, int64_t *score);

static int64_t dot(const int8_t *x, const int8_t *y, int64_t columns)
{
    int64_t sum = 0, i;
    for (i = 0; i < columns; i++)
        sum += x[i] * y[i];
    return sum;
}

/* The keys of a row of a source, or of a row with a history. */
static View view_of(const Call *c, int64_t r, const Array *key)
{
    Array sentence = optional(c, "sentence", 32), offsets = optional(c, "key_offsets", 32);
    View v = {0, r * key->steps, key->steps, key->steps - 1};
    if (sentence.data) {
        int64_t s = at(&sentence, r, 0);
        v.first = at(&offsets, s, 0);
        v.keys = at(&offsets, s + 1, 0) - v.first;
        v.own = r - v.first;
    } else if (has(c, "window")) {
        int64_t seen = smaller(constant(c, "window", 1, MAX_WIDTH), v.keys);
        v.first += v.keys - seen;
        v.keys = seen;
        v.own = seen - 1;
    }
    require(v.keys >= 1 && v.keys <= MAX_ROWS, "a row sees %ld keys", (long)v.keys);
    return v;
}

static void attend(const Call *c, Weigher *weigh)
{
    Array query = operand(c, "query", 8), key = operand(c, "key", 8), value = operand(c, "value", 8);
    Array multipliers = operand(c, "context_multiplier", 32), shifts = operand(c, "context_shift", 8);
    int64_t heads = constant(c, "heads", 1, 256), d = constant(c, "head_width", 1, 512);
    int64_t query_column = constant(c, "query_column", 0, MAX_WIDTH);
    int64_t key_column = constant(c, "key_column", 0, MAX_WIDTH);
    int64_t value_column = constant(c, "value_column", 0, MAX_WIDTH);
    int64_t limit = constant(c, "limit", 1, WIDE), w[MAX_ROWS], r, h, i, j;
    int64_t group = has(c, "group") ? constant(c, "group", 1, heads) : 1;
    Array *out = result(c, "out", query.rows, 1, heads * d);

    for (r = 0; r < query.rows; r++) {
        View view = view_of(c, r, &key);
        for (h = 0; h < heads; h++) {
            const int8_t *q = row8(&query, r, query_column + h * d, d);
            int64_t shared = h / group * d, sum = 0, reciprocal_r, k, m, shift;
            view.head = h;
            for (j = 0; j < view.keys; j++)
                w[j] = dot(q, row8(&key, view.first + j, key_column + shared, d), d);
            weigh(c, &view, w);
            for (j = 0; j < view.keys; j++)
                sum += w[j];
            reciprocal(sum, &reciprocal_r, &k);
            m = floor_shift(reciprocal_r * at(&multipliers, h, 0), 30);
            shift = k + at(&shifts, h, 0) - 30;
            for (i = 0; i < d; i++) {
                int64_t acc = 0;
                for (j = 0; j < view.keys; j++)
                    acc += w[j] * at(&value, view.first + j, value_column + shared + i);
                put(out, r, h * d + i, requantize(acc, m, shift, -limit, limit));
            }
        }
    }
}

static int64_t largest(const int64_t *x, int64_t n)
{
    int64_t most = x[0], j;
    for (j = 1; j < n; j++)
        most = larger(most, x[j]);
    return most;
}

static void softmax_weights(const Call *c, const View *view, int64_t *score)
{
    Array multiplier = operand(c, "score_multiplier", 32), limit = operand(c, "score_limit", 32);
    Array addend = optional(c, "addend", 32), cap = optional(c, "cap_multiplier", 32);
    int64_t shift = constant(c, "score_shift", 1, 30), h = view->head, most, j;
    require(!addend.data || !cap.data, "an addend and a soft cap");
    if (addend.data) {
        int64_t before = constant(c, "before", 0, 1023), after = constant(c, "after", 0, 1023);
        for (j = 0; j < view->keys; j++)
            score[j] += at(&addend, h, saturate(j - view->own, -before, after) + before);
    }
    if (cap.data) {
        int64_t cap_shift = constant(c, "cap_shift", 1, 62);
        for (j = 0; j < view->keys; j++)
            score[j] = rounding_shift(soft_cap(score[j], at(&cap, h, 0), cap_shift), 10);
    }
    most = largest(score, view->keys);
    for (j = 0; j < view->keys; j++) {
        int64_t distance = smaller(most - score[j], at(&limit, h, 0));
        score[j] = exp2_negative(rounding_shift(distance * at(&multiplier, h, 0), shift));
    }
}

static void polynomial_weights(const Call *c, const View *view, int64_t *score)
{
    Array bias = operand(c, "score_bias", 32), shift = operand(c, "score_shift", 8);
    Array delta = operand(c, "delta_multiplier", 32), delta_shift = operand(c, "delta_shift", 8);
    int64_t degree = constant(c, "degree", 1, 4), h = view->head, e, d, g, j;
    int64_t least = saturate(at(&shift, h, 0), 0, 16);
    for (j = 0; j < view->keys; j++)
        score[j] = larger(score[j] + at(&bias, h, 0), 0);
    e = larger(bit_length(largest(score, view->keys)) - 15, least);
    d = smaller(at(&delta_shift, h, 0) + degree * (e - least), 62);
    d = rounding_shift(at(&delta, h, 0), d);
    for (j = 0; j < view->keys; j++) {
        int64_t u = rounding_shift(score[j], e), square = rounding_shift(u * u, 15);
        const int64_t power[] = {u * power_of_two(15), u * u, square * u, square * square};
        score[j] = power[degree - 1] + d;
    }
    g = bit_length(largest(score, view->keys)) - 14;
    for (j = 0; j < view->keys; j++)
        score[j] = g < 0 ? score[j] * power_of_two(-g) : rounding_shift(score[j], g);
}

void attention_softmax(const Call *c) { attend(c, softmax_weights); }

void attention_polynomial(const Call *c) { attend(c, polynomial_weights); }
