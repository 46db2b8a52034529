#include "program.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>

enum { FORM = 1, VERSION = 3 };

static const char *const WORD[WORDS] = {
    "arithmetic", "start", "end", "before", "after", "forced", "max_source", "max_steps", "factor",
    "penalty", "state", "logits", "choice", "log_probability", "output", "array", "value"};
static const char *const SEQUENCE[SEQUENCES] = {"encoder", "decoder", "choose", "score"};

/* Returns the old elements in memory that has room for one more. */
static void *grown(void *old, int64_t count, int64_t *capacity, int64_t size)
{
    if (count < *capacity)
        return old;
    *capacity = max(2 * count, 16);
    void *made = allocate(*capacity, size);
    if (count > 0)
        memcpy(made, old, (size_t)(count * size));
    free(old);
    return made;
}

void add_number(List *list, int64_t number)
{
    list->number = grown(list->number, list->count, &list->capacity, sizeof number);
    list->number[list->count++] = number;
}

void add_numbers(List *list, const List *more, int64_t first, int64_t end)
{
    for (int64_t i = first; i < end; i++)
        add_number(list, more->number[i]);
}

/* The number of a word that has exactly one.  It has at most 31 bits. */
int64_t only(const Program *p, enum Word word)
{
    require(p->list[word].count == 1, "program.txt has not one number of %s", WORD[word]);
    int64_t number = p->list[word].number[0];
    require(number >= -1 && number <= INT32_MAX, "the number of %s is out of range", WORD[word]);
    return number;
}

/* NAME=NUMBER, NAME=@NUMBER or NAME=$NUMBER. */
static Field field_in(const char *word)
{
    Field field = {{0}, '=', 0};
    size_t length = strcspn(word, "=");
    require(length < MAX_NAME && word[length] == '=', "'%.40s' is not a field", word);
    memcpy(field.name, word, length);
    word += length + 1;
    if (*word == '@' || *word == '$')
        field.kind = *word++;
    field.number = number_in(word);
    return field;
}

static void add_instruction(Code *code, const char *operation)
{
    code->instruction = grown(code->instruction, code->count, &code->capacity, sizeof(Instruction));
    Instruction *made = &code->instruction[code->count++];
    made->operation = find_operation(operation ? operation : "");
    for (const char *word; (word = next_word()) != NULL; made->fields++) {
        require(made->fields < MAX_FIELDS, "an instruction has too many fields");
        made->field[made->fields] = field_in(word);
    }
}

static int index_of(const char *word, const char *const *words, int count)
{
    int i = 0;
    while (i < count && strcmp(word, words[i]) != 0)
        i++;
    return i;
}

static void read_line(Program *p, const char *word)
{
    if (*word == 0 || strcmp(word, "name") == 0 || strcmp(word, "sha256") == 0)
        return;
    int sequence = index_of(word, SEQUENCE, SEQUENCES), list = index_of(word, WORD, WORDS);
    if (sequence < SEQUENCES) {
        add_instruction(&p->code[sequence], next_word());
        return;
    }
    require(list < WORDS, "program.txt has the unknown word '%.40s'", word);
    while ((word = next_word()) != NULL)
        add_number(&p->list[list], number_in(word));
}

/* array BITS ROWS STEPS WIDTH OFFSET: the arrays follow each other in arrays.bin. */
static void read_arrays(Program *p, const char *folder)
{
    FILE *file = open_file(folder, "arrays.bin");
    int64_t size = size_of(file), offset = 0;
    require(p->list[ARRAY].count % 5 == 0, "a line of array has not 5 numbers");
    p->memory.array_count = p->list[ARRAY].count / 5;
    p->memory.arrays = allocate(p->memory.array_count, sizeof(Array));
    for (int64_t i = 0; i < p->memory.array_count; i++) {
        const int64_t *n = &p->list[ARRAY].number[5 * i];
        Array *a = &p->memory.arrays[i];
        a->bits = bits_of(n[0]);
        require(n[4] >= offset && n[4] <= size, "the arrays overlap, or arrays.bin is too short");
        require(elements(n[1], n[2], n[3]) * (a->bits / 8) <= size - n[4], "arrays.bin is too short");
        for (; offset < n[4]; offset++)
            fgetc(file);
        shape(a, n[1], n[2], n[3]);
        read_array(a, file);
        offset += count(a) * (a->bits / 8);
    }
    fclose(file);
}

/* value BITS WIDTH. */
static void declare_values(Program *p)
{
    require(p->list[VALUE].count % 2 == 0, "a line of value has not 2 numbers");
    p->memory.value_count = p->list[VALUE].count / 2;
    p->memory.values = allocate(p->memory.value_count, sizeof(Array));
    for (int64_t i = 0; i < p->memory.value_count; i++)
        p->memory.values[i].bits = bits_of(p->list[VALUE].number[2 * i]);
}

void read_program(Program *p, const char *folder)
{
    char line[MAX_LINE];
    FILE *file = open_file(folder, "program.txt");
    const char *word = first_word(file, line);
    require(word != NULL && strcmp(word, "int8ref-export") == 0 && number_in(next_word()) == FORM,
            "program.txt is not an export of form %d", FORM);
    while ((word = first_word(file, line)) != NULL)
        read_line(p, word);
    fclose(file);
    require(only(p, ARITHMETIC) == VERSION, "the arithmetic is not version %d", VERSION);
    read_arrays(p, folder);
    declare_values(p);
}
