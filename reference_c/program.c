#include "program.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>

enum { FORM = 1, VERSION = 3 };

static const char *const WORD[WORDS] = {
    "arithmetic", "start", "end", "before", "after", "forced", "max_source", "max_steps", "factor",
    "penalty", "state", "logits", "choice", "log_probability", "output", "array", "value"};
static const char *const SEQUENCE[SEQUENCES] = {"encoder", "decoder", "choose", "score"};

/* Returns memory for one element more than `count`, with the old elements. */
static void *grown(void *old, int64_t count, int64_t *capacity, size_t size)
{
    void *made = old;
    if (count == *capacity) {
        *capacity = larger(2 * count, 16);
        made = allocate(*capacity, (int64_t)size);
        if (old != NULL)
            memcpy(made, old, (size_t)count * size);
        free(old);
    }
    return made;
}

void add_number(List *list, int64_t number)
{
    list->number = grown(list->number, list->count, &list->capacity, sizeof number);
    list->number[list->count++] = number;
}

/* Returns the number of a word that has exactly one. */
int64_t only(const Program *p, enum Word word)
{
    require(p->list[word].count == 1, "program.txt has not one number of %s", WORD[word]);
    return p->list[word].number[0];
}

/* NAME=NUMBER, NAME=@NUMBER or NAME=$NUMBER. */
static Field field_in(char *text)
{
    Field field;
    char *equals = strchr(text, '=');
    require(equals != NULL && equals - text < MAX_NAME, "'%.40s' is not a field", text);
    memset(&field, 0, sizeof field);
    memcpy(field.name, text, (size_t)(equals - text));
    field.kind = equals[1] == '@' || equals[1] == '$' ? equals[1] : '=';
    field.number = number_in(equals + (field.kind == '=' ? 1 : 2));
    return field;
}

static void add_instruction(Code *code, char *word)
{
    Instruction *made;
    code->instruction = grown(code->instruction, code->count, &code->capacity, sizeof *made);
    made = &code->instruction[code->count++];
    memset(made, 0, sizeof *made);
    require(word != NULL, "program.txt has an instruction without an operation");
    made->operation = find_operation(word);
    while ((word = strtok(NULL, " ")) != NULL) {
        require(made->fields < MAX_FIELDS, "an instruction has too many fields");
        made->field[made->fields++] = field_in(word);
    }
}

static void read_line(Program *p, const char *word)
{
    int i;
    if (*word == 0 || strcmp(word, "name") == 0 || strcmp(word, "sha256") == 0)
        return;
    for (i = 0; i < SEQUENCES; i++)
        if (strcmp(word, SEQUENCE[i]) == 0) {
            add_instruction(&p->code[i], strtok(NULL, " "));
            return;
        }
    for (i = 0; i < WORDS && strcmp(word, WORD[i]) != 0; i++)
        ;
    require(i < WORDS, "program.txt has the unknown word '%.40s'", word);
    while ((word = strtok(NULL, " ")) != NULL)
        add_number(&p->list[i], number_in(word));
}

/* array BITS ROWS STEPS WIDTH OFFSET.  The arrays lie one after another in arrays.bin. */
static void read_arrays(Program *p, const char *folder)
{
    const int64_t *n = p->list[ARRAY].number;
    FILE *file = open_file(folder, "arrays.bin");
    int64_t i, offset = 0, size = size_of(file);
    require(p->list[ARRAY].count % 5 == 0, "a line of array has not 5 numbers");
    p->memory.array_count = p->list[ARRAY].count / 5;
    p->memory.arrays = allocate(p->memory.array_count, sizeof(Array));
    for (i = 0; i < p->memory.array_count; i++, n += 5) {
        Array *a = &p->memory.arrays[i];
        a->bits = bits_of(n[0]);
        require(n[4] >= offset && n[4] <= size, "the arrays overlap or lie beyond arrays.bin");
        require(elements(n[1], n[2], n[3]) * (a->bits / 8) <= size - n[4], "arrays.bin is too short");
        for (; offset < n[4]; offset++)
            fgetc(file);
        shape(a, n[1], n[2], n[3]);
        read_array(a, file);
        offset += count(a) * (a->bits / 8);
    }
    require(fgetc(file) == EOF, "arrays.bin is too long");
    fclose(file);
}

/* value BITS WIDTH. */
static void declare_values(Program *p)
{
    const int64_t *n = p->list[VALUE].number;
    int64_t i;
    require(p->list[VALUE].count % 2 == 0, "a line of value has not 2 numbers");
    p->memory.value_count = p->list[VALUE].count / 2;
    p->memory.values = allocate(p->memory.value_count, sizeof(Array));
    for (i = 0; i < p->memory.value_count; i++, n += 2) {
        require(n[1] >= 1 && n[1] <= power_of_two(31), "a value of %ld columns", (long)n[1]);
        p->memory.values[i].bits = bits_of(n[0]);
        p->memory.values[i].width = n[1];
    }
}

void read_program(Program *p, const char *folder)
{
    char line[MAX_LINE], *word;
    FILE *file = open_file(folder, "program.txt");
    memset(p, 0, sizeof *p);
    word = next_line(file, line);
    require(word != NULL && strcmp(word, "int8ref-export") == 0 && number_in(strtok(NULL, " ")) == FORM,
            "program.txt is not an export of the form %d", FORM);
    while ((word = next_line(file, line)) != NULL)
        read_line(p, word);
    fclose(file);
    require(only(p, ARITHMETIC) == VERSION, "the arithmetic is not of version %d", VERSION);
    read_arrays(p, folder);
    declare_values(p);
}
