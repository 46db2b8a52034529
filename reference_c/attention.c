/* 6.19 to 6.21: both kinds of attention. */
#include "operations.h"

/* The keys that a row sees, for one head: rows first, first + 1, ... of key and value.  own: the key
 * of the row itself, counted from first. */
typedef struct {
    int64_t head, first, keys, own;
} View;

/* Turns the scores of a view into weights, in place. */
typedef void Weigh(const Call *c, const View *view, int64_t *w);

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
    require(view.keys >= 1 && view.keys <= MAX_ROWS, "a row sees %ld keys", (long)view.keys);
    return view;
}

static int64_t dot(const int8_t *x, const int8_t *y, int64_t d)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < d; i++)
        sum += x[i] * y[i];
    return sum;
}

static void attend(const Call *c, Weigh *weigh)
{
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
            int64_t g = h / group, w[MAX_ROWS], sum = 0, acc[512] = {0};
            View view = view_of(c, r, key);
            view.head = h;
            for (int64_t j = 0; j < view.keys; j++)
                w[j] = dot(q, row8(key, view.first + j, key_column + g * d, d), d);
            weigh(c, &view, w);
            for (int64_t j = 0; j < view.keys; j++) {
                const int8_t *v = row8(value, view.first + j, value_column + g * d, d);
                sum += w[j];
                for (int64_t i = 0; i < d; i++)
                    acc[i] += w[j] * v[i];
            }
            Reciprocal s = A3(sum);
            int64_t m = floor_shift(s.r * at(multipliers, h, 0), 30);
            int64_t shift = s.k + at(shifts, h, 0) - 30;
            for (int64_t i = 0; i < d; i++)
                put(out, r, h * d + i, A2(acc[i], m, shift, -limit, limit));
        }
}

static int64_t largest(const int64_t *x, int64_t keys)
{
    int64_t most = x[0];
    for (int64_t j = 1; j < keys; j++)
        most = max(most, x[j]);
    return most;
}

static void weigh_softmax(const Call *c, const View *view, int64_t *w)
{
    const Array *limit = operand(c, "score_limit", 32), *addend = optional(c, "addend", 32);
    const Array *multiplier = operand(c, "score_multiplier", 32);
    const Array *cap = optional(c, "cap_multiplier", 32);
    int64_t before = constant_or(0, c, "before", 0, 1023), after = constant_or(0, c, "after", 0, 1023);
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
}

static void weigh_polynomial(const Call *c, const View *view, int64_t *w)
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
}

void attention_softmax(const Call *c) { attend(c, weigh_softmax); }

void attention_polynomial(const Call *c) { attend(c, weigh_polynomial); }
