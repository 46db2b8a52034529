#include "vectors.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>

/* A case: an instruction with its operands, the results that it must give, and those that it gives. */
typedef struct {
    Instruction instruction;
    Array operands[MAX_FIELDS], wanted[MAX_FIELDS], given[MAX_FIELDS];
    const char *name[MAX_FIELDS];
    Memory memory;
} Case;

/* FILE TYPE SIZE...  A file is in the folder of the case, or in the folder that cases share. */
static void read_stored(Array *a, const char *folder)
{
    const char *name = next_word(), *type = next_word(), *word;
    int64_t size[3] = {1, 1, 1};
    int dimensions = 0;
    require(name != NULL && type != NULL && strncmp(type, "int", 3) == 0, "a line of desc.txt is cut");
    require(strchr(strncmp(name, "../model/", 9) == 0 ? name + 9 : name, '/') == NULL,
            "'%.40s' is in another folder", name);
    a->bits = bits_of(number_in(type + 3));
    while ((word = next_word()) != NULL) {
        require(dimensions < 3, "an array of more than 3 dimensions");
        size[dimensions++] = number_in(word);
    }
    if (dimensions == 2)
        size[2] = size[1], size[1] = 1;
    FILE *file = open_file(folder, name);
    require(elements(size[0], size[1], size[2]) * (a->bits / 8) == size_of(file),
            "%s has not the size of its shape", name);
    shape(a, size[0], size[1], size[2]);
    read_array(a, file);
    fclose(file);
}

/* constant FIELD NUMBER; operand FIELD FILE TYPE SIZE...; result FIELD FILE TYPE SIZE... */
static void add_field(Case *c, const char *word, const char *name, const char *folder)
{
    require(c->instruction.fields < MAX_FIELDS && strlen(name) < MAX_NAME, "a field is too much");
    Field *field = &c->instruction.field[c->instruction.fields++];
    strcpy(field->name, name);
    if (strcmp(word, "constant") == 0) {
        field->kind = '=';
        field->number = number_in(next_word());
    } else if (strcmp(word, "operand") == 0) {
        field->kind = '@';
        field->number = c->memory.array_count++;
        read_stored(&c->operands[field->number], folder);
    } else {
        require(strcmp(word, "result") == 0, "desc.txt has the unknown word '%.40s'", word);
        field->kind = '$';
        field->number = c->memory.value_count++;
        read_stored(&c->wanted[field->number], folder);
        c->given[field->number].bits = c->wanted[field->number].bits;
        c->name[field->number] = field->name;
    }
}

static void read_case(Case *c, const char *folder)
{
    char line[MAX_LINE];
    FILE *file = open_file(folder, "desc.txt");
    for (const char *word; (word = first_word(file, line)) != NULL; ) {
        const char *name = next_word();
        require(name != NULL, "a line of desc.txt is cut");
        if (strcmp(word, "op") == 0)
            c->instruction.operation = find_operation(name);
        else if (strcmp(word, "intermediate") != 0)
            add_field(c, word, name, folder);
    }
    fclose(file);
    require(c->instruction.operation != NULL, "desc.txt has no operation");
    c->memory.arrays = c->operands;
    c->memory.values = c->given;
}

/* Prints the first difference of a result.  Returns whether there is one. */
static int differs(const Array *given, const Array *wanted, const char *name, const char *field)
{
    if (given->data == NULL || count(given) != count(wanted)) {
        printf("%s: %s has another shape\n", name, field);
        return 1;
    }
    for (int64_t i = 0; i < count(wanted); i++) {
        int64_t row = i / wanted->width, column = i % wanted->width;
        int64_t x = at(given, i / given->width, i % given->width), y = at(wanted, row, column);
        if (x != y) {
            printf("%s: %s[%ld, %ld] is %ld, not %ld\n", name, field, (long)row, (long)column, (long)x,
                   (long)y);
            return 1;
        }
    }
    return 0;
}

static int compare_case(const char *folder, const char *name)
{
    Case *c = allocate(1, sizeof *c);
    char path[MAX_PATH];
    int wrong = 0;
    require(strchr(name, '/') == NULL, "the case '%.40s' is in another folder", name);
    require(snprintf(path, sizeof path, "%s/%s", folder, name) < MAX_PATH, "a name is too long");
    read_case(c, path);
    run(&c->instruction, &c->memory);
    for (int i = 0; i < c->memory.value_count; i++)
        wrong |= differs(&c->given[i], &c->wanted[i], name, c->name[i]);
    for (int i = 0; i < MAX_FIELDS; i++)
        free(c->operands[i].data), free(c->wanted[i].data), free(c->given[i].data);
    free(c);
    return wrong;
}

int is_vectors(const char *folder)
{
    char path[MAX_PATH];
    if (snprintf(path, sizeof path, "%s/cases.txt", folder) >= MAX_PATH)
        return 0;
    FILE *file = fopen(path, "rb");
    return file != NULL && fclose(file) == 0;
}

int64_t compare_vectors(const char *folder)
{
    char line[MAX_LINE];
    int64_t cases = 0, wrong = 0;
    FILE *file = open_file(folder, "cases.txt");
    for (const char *name; (name = first_word(file, line)) != NULL; cases++)
        wrong += compare_case(folder, name);
    fclose(file);
    printf("%ld cases, %ld differ\n", (long)cases, (long)wrong);
    return wrong;
}
