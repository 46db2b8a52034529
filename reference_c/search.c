/* 7.1 to 7.6: steps, greedy search, beam search. */
#include "search.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BEAM = 64, MAX_SENTENCE = 131072, MAX_CHOICES = 8192 };

/* ---- Steps ---------------------------------------------------------------------------------- */

static void run_all(Program *p, enum Sequence sequence)
{
    for (int64_t i = 0; i < p->code[sequence].count; i++)
        run(&p->code[sequence].instruction[i], &p->memory);
}

static Array *input(Program *p, enum Input name, int64_t rows)
{
    Array *made = value_at(&p->memory, name);
    shape(made, rows, 1, 1);
    return made;
}

void encode(Program *p, const List *source)
{
    int64_t n = source->count;
    require(n <= MAX_SENTENCE, "a source of %ld tokens", (long)n);
    Array *ids = input(p, SOURCE_IDS, n), *positions = input(p, SOURCE_POSITIONS, n);
    Array *sentence = input(p, SOURCE_SENTENCE, n), *offsets = input(p, SOURCE_OFFSETS, 2);
    for (int64_t i = 0; i < n; i++) {
        put(ids, i, 0, source->number[i]);
        put(positions, i, 0, i);
        put(sentence, i, 0, 0);
    }
    put(offsets, 0, 0, 0);
    put(offsets, 1, 0, n);
    run_all(p, ENCODER);
}

/* Before the first step, a state is zero, and a history has no step.  The list of states has three
 * numbers for each: the value, its successor, and 1 for a history. */
static void begin_states(Program *p)
{
    const List *states = &p->list[STATE];
    require(states->count % 3 == 0, "a line of state has not 3 numbers");
    for (int64_t i = 0; i < states->count; i += 3) {
        Array *state = value_at(&p->memory, states->number[i]);
        shape(state, 1, states->number[i + 2] ? 0 : 1, p->list[VALUE].number[2 * states->number[i] + 1]);
        for (int64_t n = 0; n < count(state); n++)
            put(state, 0, n, 0);
    }
}

/* Each row that continues takes the states of its parent. */
static void advance_states(Program *p, const int64_t *parent, int64_t rows)
{
    const List *states = &p->list[STATE];
    for (int64_t i = 0; i < states->count; i += 3) {
        Array *state = value_at(&p->memory, states->number[i]);
        const Array *next = value_at(&p->memory, states->number[i + 1]);
        require(next->data != NULL && next != state, "a state has no successor");
        shape(state, rows, next->steps, next->width);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t t = 0; t < next->steps; t++)
                for (int64_t n = 0; n < next->width; n++)
                    put(state, r * next->steps + t, n, at(next, parent[r] * next->steps + t, n));
    }
}

/* Runs step t of the decoder on a token for each row. */
static void step(Program *p, const int64_t *token, int64_t rows, int64_t t)
{
    Array *ids = input(p, TARGET_IDS, rows), *positions = input(p, TARGET_POSITIONS, rows);
    Array *sentence = input(p, TARGET_SENTENCE, rows);
    for (int64_t r = 0; r < rows; r++) {
        put(ids, r, 0, token[r]);
        put(positions, r, 0, t);
        put(sentence, r, 0, 0);
    }
    run_all(p, DECODER);
}

/* Step 0 reads the start, and each further step reads a token of the prefix. */
static void read_prefix(Program *p, const List *prefix)
{
    const int64_t start = only(p, START), same = 0;
    begin_states(p);
    step(p, &start, 1, 0);
    for (int64_t t = 0; t < prefix->count; t++) {
        advance_states(p, &same, 1);
        step(p, &prefix->number[t], 1, t + 1);
    }
}

static int is_end(const Program *p, int64_t token)
{
    for (int64_t i = 0; i < p->list[END].count; i++)
        if (p->list[END].number[i] == token)
            return 1;
    return 0;
}

/* ---- Greedy search -------------------------------------------------------------------------- */

static void greedy(Program *p, const List *prefix, int64_t limit, Result *result)
{
    const int64_t same = 0;
    read_prefix(p, prefix);
    for (int64_t n = 1; ; n++) {
        run_all(p, CHOOSE);
        int64_t token = at(value_at(&p->memory, only(p, CHOICE)), 0, 0);
        if (is_end(p, token))
            return;
        add_number(&result->tokens, token);
        if (n == limit)
            return;
        advance_states(p, &same, 1);
        step(p, &token, 1, prefix->count + n);
    }
}

/* ---- Beam search ---------------------------------------------------------------------------- */

typedef struct {
    int64_t sum, logit, token, parent;
} Candidate;

typedef struct {
    int64_t sum, count, score, token[MAX_CHOICES];
} Hypothesis;

static int64_t score(const Program *p, int64_t sum, int64_t n)
{
    int64_t penalty = p->list[PENALTY].number[n - 1];
    return floor_divide(sum * power(17) + penalty, 2 * penalty);
}

/* The choices of a hypothesis: the tokens with the largest logits.  Of equal logits, the lower token
 * comes first.  Returns their number. */
static int64_t choices_of(const Array *logits, int64_t row, int64_t most, Candidate *best)
{
    int64_t kept = 0, i;
    for (int64_t n = 0; n < logits->width; n++) {
        int64_t logit = at(logits, row, n);
        if (kept == most && logit <= best[kept - 1].logit)
            continue;
        kept = min(kept + 1, most);
        for (i = kept - 1; i > 0 && best[i - 1].logit < logit; i--)
            best[i] = best[i - 1];
        best[i] = (Candidate){0, logit, n, row};
    }
    return kept;
}

/* The larger sum, then the hypothesis with the lower rank, then the larger logit, then the lower
 * token. */
static int compare_candidates(const void *left, const void *right)
{
    const Candidate *a = left, *b = right;
    if (a->sum != b->sum)
        return a->sum > b->sum ? -1 : 1;
    if (a->parent != b->parent)
        return a->parent < b->parent ? -1 : 1;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : 1;
}

/* All choices of all live hypotheses, ranked.  Returns their number. */
static int64_t candidates_of(Program *p, const Hypothesis *live, int64_t beam_size, Candidate *all)
{
    run_all(p, SCORE);
    const Array *logits = value_at(&p->memory, only(p, LOGITS));
    const Array *gains = value_at(&p->memory, only(p, LOG_PROBABILITY));
    int64_t found = 0;
    for (int64_t r = 0; r < logits->rows; r++)
        for (int64_t end = found + choices_of(logits, r, beam_size, all + found); found < end; found++)
            all[found].sum = live[r].sum + at(gains, r, all[found].token);
    qsort(all, (size_t)found, sizeof *all, compare_candidates);
    return found;
}

/* n_best is 1: only the best complete hypothesis is kept.  Of equal scores, it is the first. */
static void beam(Program *p, const List *prefix, int64_t limit, int64_t beam_size, Result *result)
{
    Hypothesis *live = allocate(MAX_BEAM, sizeof *live), *next = allocate(MAX_BEAM, sizeof *next);
    Hypothesis *best = allocate(1, sizeof *best);
    Candidate *all = allocate(MAX_BEAM * MAX_BEAM, sizeof *all);
    int64_t complete = 0, rows = 1, parent[MAX_BEAM], token[MAX_BEAM];
    read_prefix(p, prefix);
    for (int64_t n = 1; ; n++) {
        int64_t placed = min(beam_size - complete, candidates_of(p, live, beam_size, all));
        rows = 0;
        for (int64_t i = 0; i < placed; i++) {
            Hypothesis *made = &next[rows];
            const Hypothesis *old = &live[all[i].parent];
            memcpy(made->token, old->token, (size_t)(n - 1) * sizeof *old->token);
            made->token[n - 1] = all[i].token;
            made->sum = all[i].sum;
            made->count = n;
            if (!is_end(p, all[i].token)) {
                parent[rows] = all[i].parent;
                token[rows++] = all[i].token;
                continue;
            }
            made->score = score(p, made->sum, n);
            made->count = n - 1;
            if (complete++ == 0 || made->score > best->score)
                *best = *made;
        }
        Hypothesis *swapped = live;
        live = next, next = swapped;
        if (n == limit || rows == 0 || (complete > 0 && score(p, live[0].sum, limit) <= best->score))
            break;
        advance_states(p, parent, rows);
        step(p, token, rows, prefix->count + n);
    }
    if (complete == 0) {
        *best = live[0];
        best->score = score(p, best->sum, best->count);
    }
    result->sum = best->sum;
    result->score = best->score;
    for (int64_t i = 0; i < best->count; i++)
        add_number(&result->tokens, best->token[i]);
    free(live), free(next), free(best), free(all);
}

void search(Program *p, const List *prefix, int64_t limit, int64_t beam_size, Result *result)
{
    require(limit >= 1 && limit <= MAX_CHOICES, "a limit of %ld tokens", (long)limit);
    require(beam_size >= 0 && beam_size <= MAX_BEAM, "a beam of %ld", (long)beam_size);
    if (beam_size == 0) {
        greedy(p, prefix, limit, result);
        return;
    }
    require(p->list[PENALTY].count >= limit, "there are too few penalties");
    for (int64_t n = 0; n < limit; n++)
        require(p->list[PENALTY].number[n] >= 1 && p->list[PENALTY].number[n] <= power(60),
                "a penalty is out of range");
    beam(p, prefix, limit, beam_size, result);
}
