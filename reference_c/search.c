#include "search.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BEAM = 64, MAX_SENTENCE = 1024, MAX_CHOICES = 8192 };

/* ---- Steps ---------------------------------------------------------------------------------- */

static void run_all(Program *p, enum Sequence sequence)
{
    int64_t i;
    for (i = 0; i < p->code[sequence].count; i++)
        run(&p->code[sequence].instruction[i], &p->memory);
}

/* Gives an input of 32 bits `rows` elements, and returns it. */
static Array *input(Program *p, enum Input name, int64_t rows)
{
    Array *made = value_at(&p->memory, name);
    require(made->bits == 32, "an input has %d bits, not 32", made->bits);
    shape(made, rows, 1, 1);
    return made;
}

void encode(Program *p, const List *source)
{
    int64_t n = source->count, i;
    Array *offsets = input(p, SOURCE_OFFSETS, 2);
    require(n <= MAX_SENTENCE, "a source of %ld tokens", (long)n);
    put(offsets, 0, 0, 0);
    put(offsets, 1, 0, n);
    for (i = 0; i < n; i++) {
        put(input(p, SOURCE_IDS, n), i, 0, source->number[i]);
        put(input(p, SOURCE_POSITIONS, n), i, 0, i);
        put(input(p, SOURCE_SENTENCE, n), i, 0, 0);
    }
    run_all(p, ENCODER);
}

/* The states before the first step: zeros, and histories without a step.  The list of states has
 * three numbers a state: the value, its successor, and 1 for a history. */
static void begin_states(Program *p)
{
    const List *states = &p->list[STATE];
    int64_t i, n;
    require(states->count % 3 == 0, "a line of state has not 3 numbers");
    for (i = 0; i < states->count; i += 3) {
        Array *state = value_at(&p->memory, states->number[i]);
        require(state->bits == value_at(&p->memory, states->number[i + 1])->bits, "a state of two types");
        shape(state, 1, states->number[i + 2] ? 0 : 1, p->list[VALUE].number[2 * states->number[i] + 1]);
        for (n = 0; n < count(state); n++)
            put(state, 0, n, 0);
    }
}

/* Each row that continues takes the states of its parent. */
static void advance_states(Program *p, const int64_t *parent, int64_t rows)
{
    const List *states = &p->list[STATE];
    int64_t i, r;
    for (i = 0; i < states->count; i += 3) {
        Array *state = value_at(&p->memory, states->number[i]);
        Array *next = value_at(&p->memory, states->number[i + 1]);
        size_t bytes = (size_t)(next->steps * next->width * (next->bits / 8));
        require(next->data != NULL && next != state, "a state has no successor");
        shape(state, rows, next->steps, next->width);
        for (r = 0; r < rows; r++) {
            require(parent[r] < next->rows, "a successor has too few rows");
            memcpy((char *)state->data + (size_t)r * bytes,
                   (const char *)next->data + (size_t)parent[r] * bytes, bytes);
        }
    }
}

/* Runs step t of the decoder, with a token for each row.  Returns the logits. */
static const Array *step(Program *p, const int64_t *token, int64_t rows, int64_t t)
{
    int64_t r;
    const Array *logits;
    for (r = 0; r < rows; r++) {
        put(input(p, TARGET_IDS, rows), r, 0, token[r]);
        put(input(p, TARGET_POSITIONS, rows), r, 0, t);
        put(input(p, TARGET_SENTENCE, rows), r, 0, 0);
    }
    run_all(p, DECODER);
    logits = value_at(&p->memory, only(p, LOGITS));
    require(logits->data != NULL && logits->rows == rows, "there are no logits");
    return logits;
}

/* Reads the start and the prefix.  Returns the logits that follow. */
static const Array *read_prefix(Program *p, const List *prefix)
{
    const int64_t first = 0;
    int64_t token = only(p, START), t = 0;
    const Array *logits;
    begin_states(p);
    for (logits = step(p, &token, 1, t); t < prefix->count; logits = step(p, &token, 1, t)) {
        token = prefix->number[t++];
        advance_states(p, &first, 1);
    }
    return logits;
}

static int is_end(const Program *p, int64_t token)
{
    int64_t i;
    for (i = 0; i < p->list[END].count; i++)
        if (p->list[END].number[i] == token)
            return 1;
    return 0;
}

/* ---- Greedy search -------------------------------------------------------------------------- */

static void greedy(Program *p, const List *prefix, int64_t limit, List *out)
{
    const int64_t first = 0;
    int64_t n;
    read_prefix(p, prefix);
    for (n = 1; ; n++) {
        int64_t token;
        run_all(p, CHOOSE);
        token = at(value_at(&p->memory, only(p, CHOICE)), 0, 0);
        if (is_end(p, token))
            return;
        add_number(out, token);
        if (n == limit)
            return;
        advance_states(p, &first, 1);
        step(p, &token, 1, prefix->count + n);
    }
}

/* ---- Beam search ---------------------------------------------------------------------------- */

typedef struct {
    int64_t sum, logit, token, parent;
} Candidate;

typedef struct {
    int64_t sum;
    int32_t token[MAX_CHOICES];
} Hypothesis;

static int64_t score(const Program *p, int64_t sum, int64_t n)
{
    int64_t penalty = p->list[PENALTY].number[n - 1];
    return floor_divide(sum * power_of_two(17) + penalty, 2 * penalty);
}

/* Keeps the `beam_size` tokens of a row with the largest logits, the best first. */
static int64_t choices_of(const Array *logits, int64_t row, int64_t beam_size, Candidate *best)
{
    int64_t kept = 0, n, i;
    for (n = 0; n < logits->width; n++) {
        int64_t logit = at(logits, row, n);
        if (kept == beam_size && logit <= best[kept - 1].logit)
            continue;
        kept = smaller(kept + 1, beam_size);
        for (i = kept - 1; i > 0 && best[i - 1].logit < logit; i--)
            best[i] = best[i - 1];
        best[i].logit = logit;
        best[i].token = n;
        best[i].parent = row;
    }
    return kept;
}

/* The larger sum, then the better hypothesis, then the larger logit, then the lower token. */
static int compare_candidates(const void *left, const void *right)
{
    const Candidate *a = left, *b = right;
    if (a->sum != b->sum)
        return a->sum > b->sum ? -1 : 1;
    if (a->parent != b->parent)
        return a->parent < b->parent ? -1 : 1;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

/* All choices of all live hypotheses, ranked.  Returns their number. */
static int64_t candidates_of(Program *p, const Hypothesis *live, int64_t beam_size, Candidate *all)
{
    const Array *logits = value_at(&p->memory, only(p, LOGITS)), *gains;
    int64_t found = 0, r, i;
    run_all(p, SCORE);
    gains = value_at(&p->memory, only(p, LOG_PROBABILITY));
    for (r = 0; r < logits->rows; r++) {
        int64_t kept = choices_of(logits, r, beam_size, all + found);
        for (i = found; i < found + kept; i++)
            all[i].sum = live[r].sum + at(gains, r, all[i].token);
        found += kept;
    }
    qsort(all, (size_t)found, sizeof *all, compare_candidates);
    return found;
}

static void beam(Program *p, const List *prefix, int64_t limit, int64_t beam_size, List *out)
{
    Hypothesis *live = allocate(MAX_BEAM, sizeof *live), *next = allocate(MAX_BEAM, sizeof *next);
    Hypothesis *best = allocate(1, sizeof *best), *swapped;
    Candidate *all = allocate(MAX_BEAM * MAX_BEAM, sizeof *all);
    int64_t complete = 0, best_count = 0, best_score = 0, n, i;
    read_prefix(p, prefix);
    for (n = 1; ; n++) {
        int64_t parent[MAX_BEAM], token[MAX_BEAM], rows = 0;
        int64_t placed = smaller(beam_size - complete, candidates_of(p, live, beam_size, all));
        for (i = 0; i < placed; i++) {
            Hypothesis *made = &next[rows];
            memcpy(made->token, live[all[i].parent].token, (size_t)(n - 1) * sizeof *made->token);
            made->token[n - 1] = (int32_t)all[i].token;
            made->sum = all[i].sum;
            if (!is_end(p, all[i].token)) {
                parent[rows] = all[i].parent;
                token[rows++] = all[i].token;
                continue;
            }
            if (complete++ == 0 || score(p, made->sum, n) > best_score) {
                best_score = score(p, made->sum, n);
                best_count = n - 1;
                *best = *made;
            }
        }
        swapped = live, live = next, next = swapped;
        if (n == limit || rows == 0 || (complete > 0 && score(p, live[0].sum, limit) <= best_score))
            break;
        advance_states(p, parent, rows);
        step(p, token, rows, prefix->count + n);
    }
    if (complete == 0) {
        *best = live[0];
        best_count = n;
    }
    for (i = 0; i < best_count; i++)
        add_number(out, best->token[i]);
    free(live), free(next), free(best), free(all);
}

void search(Program *p, const List *prefix, int64_t limit, int64_t beam_size, List *out)
{
    int64_t i;
    require(limit >= 1 && limit <= MAX_CHOICES, "a limit of %ld tokens", (long)limit);
    require(beam_size >= 1 && beam_size <= MAX_BEAM, "a beam of %ld", (long)beam_size);
    if (beam_size == 1) {
        greedy(p, prefix, limit, out);
        return;
    }
    require(p->list[PENALTY].count >= limit, "there are too few penalties");
    for (i = 0; i < limit; i++)
        require(p->list[PENALTY].number[i] >= 1 && p->list[PENALTY].number[i] <= power_of_two(60),
                "a penalty is out of range");
    beam(p, prefix, limit, beam_size, out);
}
