/* int8ref_c FOLDER [-b BEAM_SIZE] [-n MOST_TOKENS] [-s 1]
 *
 * FOLDER is a model of `python -m int8ref.export`: each line of standard input has the token ids of a
 * text, and each line of the output has the chosen tokens, or the row of an encoder.  Or FOLDER has
 * vectors of `python -m int8ref.vectors`: each operation runs, and its results are compared.
 *
 * -b  beam size (default: 0, greedy search)
 * -n  largest number of chosen tokens
 * -s  1: each line ends with " ||| ", the sum of the log-probabilities, and the score */
#include "search.h"
#include "vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads a line of token ids.  Returns 0 at the end of the input. */
static int read_ids(List *ids)
{
    int64_t id = -1;
    int c = getchar();
    ids->count = 0;
    if (c == EOF)
        return 0;
    for (; c != EOF; c = getchar()) {
        require(isdigit(c) || c == ' ' || c == '\n', "the input has more than token ids");
        if (isdigit(c))
            id = 10 * max(id, 0) + (c - '0');
        else if (id >= 0)
            add_number(ids, id), id = -1;
        require(id <= INT32_MAX, "a token id has more than 31 bits");
        if (c == '\n')
            break;
    }
    if (id >= 0)
        add_number(ids, id);
    return 1;
}

/* 5.4: the tokens of a text, cut, with the tokens around them. */
static List framed(const Program *p, const List *ids)
{
    const List *before = &p->list[BEFORE], *after = &p->list[AFTER];
    List made = {0, 0, NULL};
    int64_t room = only(p, MAX_SOURCE) - before->count - after->count;
    add_numbers(&made, before, 0, before->count);
    add_numbers(&made, ids, 0, min(ids->count, room));
    add_numbers(&made, after, 0, after->count);
    return made;
}

/* 7.7. */
static void translate(Program *p, const List *ids, int64_t beam_size, int64_t most, Result *result)
{
    const List *forced = &p->list[FORCED];
    if (ids->count == 0)
        return;
    List source = framed(p, ids);
    int64_t limit = min(source.count * only(p, FACTOR) / 100, only(p, MAX_STEPS) - forced->count);
    encode(p, &source);
    search(p, forced, max(1, min(limit, most)), beam_size, result);
    free(source.number);
}

/* 7.8. */
static void continue_text(Program *p, const List *ids, int64_t beam_size, int64_t most, Result *result)
{
    int64_t steps = only(p, MAX_STEPS), cut = ids->count < steps ? 0 : ids->count - steps / 2;
    List prompt = {0, 0, NULL};
    add_numbers(&prompt, ids, cut, ids->count);
    search(p, &prompt, min(most, steps - prompt.count), beam_size, result);
    free(prompt.number);
}

/* 7.9. */
static void embed_text(Program *p, const List *ids, List *out)
{
    List source = framed(p, ids);
    if (source.count > 0) {
        encode(p, &source);
        const Array *row = value_at(&p->memory, only(p, OUTPUT));
        for (int64_t n = 0; n < row->width; n++)
            add_number(out, at(row, 0, n));
    }
    free(source.number);
}

static void run_model(Program *p, int64_t beam_size, int64_t most, int64_t scores)
{
    List ids = {0, 0, NULL};
    Result result = {{0, 0, NULL}, 0, 0};
    while (read_ids(&ids)) {
        result.tokens.count = result.sum = result.score = 0;
        if (p->list[OUTPUT].count > 0)
            embed_text(p, &ids, &result.tokens);
        else if (p->list[MAX_SOURCE].count > 0)
            translate(p, &ids, beam_size, most, &result);
        else
            continue_text(p, &ids, beam_size, most, &result);
        for (int64_t i = 0; i < result.tokens.count; i++)
            printf(i > 0 ? " %ld" : "%ld", (long)result.tokens.number[i]);
        if (scores)
            printf(" ||| %ld %ld", (long)result.sum, (long)result.score);
        putchar('\n');
        fflush(stdout);
    }
    free(ids.number), free(result.tokens.number);
}

/* Reads an option and its number.  Returns whether both are right. */
static int read_option(const char *name, const char *text, int64_t option[3])
{
    static const char *const names[] = {"-b", "-n", "-s"};
    static const int64_t least[] = {0, 1, 0}, most[] = {64, 8192, 1};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            char *end;
            option[i] = strtol(text, &end, 10);
            return end != text && *end == 0 && option[i] >= least[i] && option[i] <= most[i];
        }
    return 0;
}

int main(int argc, char **argv)
{
    static Program program;
    int64_t option[] = {0, 8192, 0};
    int right = argc >= 2 && argc % 2 == 0;
    for (int i = 2; right && i < argc; i += 2)
        right = read_option(argv[i], argv[i + 1], option);
    if (!right || (option[2] && !option[0])) {
        fprintf(stderr, "usage: int8ref_c FOLDER [-b BEAM_SIZE] [-n MOST_TOKENS] [-s 1] < IDS\n");
        return 2;
    }
    if (is_vectors(argv[1]))
        return compare_vectors(argv[1]) > 0;
    read_program(&program, argv[1]);
    run_model(&program, option[0], option[1], option[2]);
    return 0;
}
