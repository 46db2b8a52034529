#include "vectors.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>

/* A case: an instruction, its operands, the results that it must have, and the results it has. */
typedef struct {
    Instruction instruction;
    Array operands[MAX_FIELDS], wanted[MAX_FIELDS], got[MAX_FIELDS];
    Memory memory;
    int result_field[MAX_FIELDS];
} Case;

/* FILE DTYPE and the shape, such as `x.bin int8 4 16`.  A file is in the folder of the case or in the
 * folder of the arrays that cases share. */
static void read_stored(Array *a, const char *folder)
{
    const char *name = strtok(NULL, " "), *dtype = strtok(NULL, " "), *word;
    int64_t size[4] = {1, 1, 1, 1};
    int n = 0;
    FILE *file;
    require(name != NULL && dtype != NULL && strncmp(dtype, "int", 3) == 0, "a line of desc.txt is cut");
    require(strchr(strncmp(name, "../model/", 9) == 0 ? name + 9 : name, '/') == NULL,
            "the file '%.40s' is in another folder", name);
    while ((word = strtok(NULL, " ")) != NULL) {
        require(n < 3, "an array of more than 3 dimensions");
        size[n++] = number_in(word);
    }
    a->bits = bits_of(number_in(dtype + 3));
    file = open_file(folder, name);
    if (n == 2)
        size[2] = size[1], size[1] = 1;
    require(elements(size[0], size[1], size[2]) * (a->bits / 8) == size_of(file),
            "%.40s has not the size of its shape", name);
    shape(a, size[0], size[1], size[2]);
    read_array(a, file);
    fclose(file);
}

/* Reads desc.txt: a line for the operation, and for each constant, operand and result. */
static void read_case(Case *c, const char *folder)
{
    char line[MAX_LINE], *word;
    FILE *file = open_file(folder, "desc.txt");
    while ((word = next_line(file, line)) != NULL) {
        Field *field = &c->instruction.field[c->instruction.fields];
        const char *name = strtok(NULL, " ");
        require(name != NULL && strlen(name) < 64, "a line of desc.txt is cut");
        if (strcmp(word, "op") == 0) {
            c->instruction.operation = find_operation(name);
            continue;
        }
        if (strcmp(word, "intermediate") == 0)
            continue;
        require(strlen(name) < MAX_NAME && c->instruction.fields < MAX_FIELDS, "too many fields");
        strcpy(field->name, name);
        if (strcmp(word, "constant") == 0) {
            field->kind = '=';
            field->number = number_in(strtok(NULL, " "));
        } else if (strcmp(word, "operand") == 0) {
            field->kind = '@';
            field->number = c->memory.array_count++;
            read_stored(&c->operands[field->number], folder);
        } else {
            require(strcmp(word, "result") == 0, "desc.txt has the unknown word '%.40s'", word);
            field->kind = '$';
            field->number = c->memory.value_count++;
            read_stored(&c->wanted[field->number], folder);
            c->got[field->number].bits = c->wanted[field->number].bits;
            c->result_field[field->number] = c->instruction.fields;
        }
        c->instruction.fields++;
    }
    fclose(file);
    require(c->instruction.operation != NULL, "desc.txt has no operation");
    c->memory.arrays = c->operands;
    c->memory.values = c->got;
}

/* Prints the first difference of a result.  Returns whether there is one. */
static int differs(const Case *c, int64_t n, const char *name)
{
    const Array *got = &c->got[n], *wanted = &c->wanted[n];
    const char *field = c->instruction.field[c->result_field[n]].name;
    int64_t i;
    if (got->data == NULL || count(got) != count(wanted)) {
        printf("%s: %s has another shape\n", name, field);
        return 1;
    }
    for (i = 0; i < count(wanted); i++) {
        int64_t row = i / wanted->width, column = i % wanted->width;
        int64_t found = at(got, i / got->width, i % got->width), right = at(wanted, row, column);
        if (found != right) {
            printf("%s: %s[%ld, %ld] is %ld, not %ld\n", name, field, (long)row, (long)column,
                   (long)found, (long)right);
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
    int64_t i;
    require(strchr(name, '/') == NULL, "the case '%.40s' is in another folder", name);
    require(snprintf(path, sizeof path, "%s/%s", folder, name) < MAX_PATH, "a name is too long");
    read_case(c, path);
    run(&c->instruction, &c->memory);
    for (i = 0; i < c->memory.value_count; i++)
        wrong |= differs(c, i, name);
    for (i = 0; i < MAX_FIELDS; i++)
        free(c->operands[i].data), free(c->wanted[i].data), free(c->got[i].data);
    free(c);
    return wrong;
}

int is_vectors(const char *folder)
{
    char path[MAX_PATH];
    FILE *file = NULL;
    if (snprintf(path, sizeof path, "%s/cases.txt", folder) < MAX_PATH)
        file = fopen(path, "rb");
    if (file != NULL)
        fclose(file);
    return file != NULL;
}

int64_t compare_vectors(const char *folder)
{
    char line[MAX_LINE], *name;
    int64_t cases = 0, wrong = 0;
    FILE *file = open_file(folder, "cases.txt");
    while ((name = next_line(file, line)) != NULL) {
        wrong += compare_case(folder, name);
        cases++;
    }
    fclose(file);
    printf("%ld cases, %ld differ\n", (long)cases, (long)wrong);
    return wrong;
}
