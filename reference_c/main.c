/* int8ref_c FOLDER [-b BEAM_SIZE] [-n MOST_TOKENS]
 *
 * The folder is a model of `python -m int8ref.export`: it reads token ids from standard input, a text
 * a line, and writes token ids, or the row of an encoder.  Or the folder has vectors of
 * `python -m int8ref.vectors`: each operation is computed, and its results are compared. */
#include "search.h"
#include "vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads one line of token ids.  Returns 0 at the end of the input. */
static int read_ids(List *ids)
{
    int64_t number = -1;
    int c, any = 0;
    ids->count = 0;
    while ((c = getchar()) != EOF) {
        any = 1;
        require(isdigit(c) || c == ' ' || c == '\n', "the input has a byte that is no part of an id");
        if (isdigit(c)) {
            number = larger(number, 0) * 10 + (c - '0');
            require(number <= INT32_MAX, "a token id has more than 31 bits");
        } else if (number >= 0) {
            add_number(ids, number);
            number = -1;
        }
        if (c == '\n')
            return 1;
    }
    if (number >= 0)
        add_number(ids, number);
    return any;
}

static void append_to(List *list, const List *more, int64_t first, int64_t end)
{
    int64_t i;
    for (i = first; i < end; i++)
        add_number(list, more->number[i]);
}

/* The tokens of a source: cut, with the tokens around it. */
static List framed(const Program *p, const List *ids)
{
    const List *before = &p->list[BEFORE], *after = &p->list[AFTER];
    List made = {0, 0, NULL};
    int64_t room = only(p, MAX_SOURCE) - before->count - after->count;
    append_to(&made, before, 0, before->count);
    append_to(&made, ids, 0, smaller(ids->count, larger(room, 0)));
    append_to(&made, after, 0, after->count);
    return made;
}

static void translate(Program *p, const List *ids, int64_t beam_size, int64_t most, List *out)
{
    const List *forced = &p->list[FORCED];
    List source = framed(p, ids);
    int64_t limit = smaller(source.count * only(p, FACTOR) / 100, only(p, MAX_STEPS) - forced->count);
    if (ids->count > 0) {
        encode(p, &source);
        search(p, forced, larger(1, smaller(limit, most)), beam_size, out);
    }
    free(source.number);
}

static void continue_text(Program *p, const List *ids, int64_t beam_size, int64_t most, List *out)
{
    int64_t steps = only(p, MAX_STEPS), cut = ids->count < steps ? 0 : ids->count - steps / 2;
    List prompt = {0, 0, NULL};
    append_to(&prompt, ids, cut, ids->count);
    search(p, &prompt, smaller(most, steps - prompt.count), beam_size, out);
    free(prompt.number);
}

static void embed_text(Program *p, const List *ids, List *out)
{
    List source = framed(p, ids);
    const Array *row = value_at(&p->memory, only(p, OUTPUT));
    int64_t i;
    if (source.count > 0) {
        encode(p, &source);
        for (i = 0; i < row->width; i++)
            add_number(out, at(row, 0, i));
    }
    free(source.number);
}

static void run_model(Program *p, int64_t beam_size, int64_t most)
{
    List ids = {0, 0, NULL}, out = {0, 0, NULL};
    int64_t i;
    while (read_ids(&ids)) {
        out.count = 0;
        if (p->list[OUTPUT].count > 0)
            embed_text(p, &ids, &out);
        else if (p->list[MAX_SOURCE].count > 0)
            translate(p, &ids, beam_size, most, &out);
        else
            continue_text(p, &ids, beam_size, most, &out);
        for (i = 0; i < out.count; i++)
            printf(i > 0 ? " %ld" : "%ld", (long)out.number[i]);
        putchar('\n');
        fflush(stdout);
    }
    free(ids.number), free(out.number);
}

/* The number after an option, from 1 to `most`. */
static int64_t option(const char *text, int64_t most)
{
    char *end;
    long found = text == NULL ? 0 : strtol(text, &end, 10);
    if (found < 1 || found > most || *end != 0) {
        fprintf(stderr, "int8ref reference: an option needs a number from 1 to %ld\n", (long)most);
        exit(2);
    }
    return found;
}

int main(int argc, char **argv)
{
    static Program program;
    int64_t beam_size = 1, most = 8192;
    int i;
    if (argc < 2 || argc % 2 != 0) {
        fprintf(stderr, "usage: int8ref_c FOLDER [-b BEAM_SIZE] [-n MOST_TOKENS] < IDS\n");
        return 2;
    }
    for (i = 2; i < argc; i += 2)
        if (strcmp(argv[i], "-b") == 0)
            beam_size = option(argv[i + 1], 64);
        else if (strcmp(argv[i], "-n") == 0)
            most = option(argv[i + 1], 8192);
        else {
            fprintf(stderr, "int8ref reference: there is no option %s\n", argv[i]);
            return 2;
        }
    if (is_vectors(argv[1]))
        return compare_vectors(argv[1]) > 0;
    read_program(&program, argv[1]);
    run_model(&program, beam_size, most);
    return 0;
}
