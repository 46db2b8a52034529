#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 131072 };

static const Call *running;

void fail(const char *format, ...)
{
    fflush(stdout);
    fprintf(stderr, "int8ref_c: error: %s", running ? running->instruction->operation->name : "");
    fputs(running ? ": " : "", stderr);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\n", stderr);
    exit(1);
}

void run(const Instruction *instruction, Memory *memory)
{
    Call call = {instruction, memory};
    running = &call;
    instruction->operation->run(&call);
    running = NULL;
}

/* ---- Arrays --------------------------------------------------------------------------------- */

void *allocate(int64_t count, int64_t size)
{
    require(count >= 0 && count <= power(32) / size, "too much memory");
    void *made = calloc((size_t)max(count, 1), (size_t)size);
    require(made != NULL, "no memory is left");
    return made;
}

Array *value_at(Memory *memory, int64_t number)
{
    require(number >= 0 && number < memory->value_count, "there is no value $%ld", (long)number);
    return &memory->values[number];
}

int bits_of(int64_t bits)
{
    require(bits == 8 || bits == 16 || bits == 32 || bits == 64, "elements of %ld bits", (long)bits);
    return (int)bits;
}

int64_t elements(int64_t rows, int64_t steps, int64_t width)
{
    const int64_t most = power(32);
    require(rows >= 1 && rows <= most && steps >= 0 && steps <= MAX_STEPS && width >= 1
                && width <= most && (steps == 0 || width <= most / (rows * steps)),
            "an array of %ld x %ld x %ld", (long)rows, (long)steps, (long)width);
    return rows * steps * width;
}

int64_t count(const Array *a) { return a->rows * a->steps * a->width; }

/* Gives an array its shape, and memory if it has too little.  The elements are not kept. */
void shape(Array *a, int64_t rows, int64_t steps, int64_t width)
{
    int64_t bytes = elements(rows, steps, width) * (a->bits / 8);
    if (bytes > a->capacity || a->data == NULL) {
        free(a->data);
        a->data = allocate(bytes, 1);
        a->capacity = bytes;
    }
    a->rows = rows, a->steps = steps, a->width = width;
}

/* ---- Fields --------------------------------------------------------------------------------- */

static const Field *find(const Call *c, const char *name)
{
    const Field *field = c->instruction->field;
    for (int i = 0; i < c->instruction->fields; i++)
        if (strcmp(field[i].name, name) == 0)
            return &field[i];
    return NULL;
}

int64_t constant(const Call *c, const char *name, int64_t low, int64_t high)
{
    const Field *field = find(c, name);
    require(field != NULL && field->kind == '=', "the constant %s is absent", name);
    require(field->number >= low && field->number <= high, "%s is out of range", name);
    return field->number;
}

int64_t constant_or(int64_t absent, const Call *c, const char *name, int64_t low, int64_t high)
{
    return find(c, name) == NULL ? absent : constant(c, name, low, high);
}

const Array *optional(const Call *c, const char *name, int bits)
{
    const Field *field = find(c, name);
    if (field == NULL)
        return NULL;
    const Array *found = NULL;
    if (field->kind == '$')
        found = value_at(c->memory, field->number);
    else if (field->kind == '@' && field->number >= 0 && field->number < c->memory->array_count)
        found = &c->memory->arrays[field->number];
    require(found != NULL && found->data != NULL, "there is no array for %s", name);
    require(found->bits <= bits, "%s has %d bits, not %d", name, found->bits, bits);
    return found;
}

const Array *operand(const Call *c, const char *name, int bits)
{
    require(find(c, name) != NULL, "the operand %s is absent", name);
    return optional(c, name, bits);
}

/* The value of a result must be no operand, because it gets a new shape here. */
Array *history(const Call *c, const char *name, int64_t rows, int64_t steps, int64_t width)
{
    const Field *field = find(c, name), *other = c->instruction->field;
    if (field == NULL)
        return NULL;
    require(field->kind == '$', "the result %s is not a value", name);
    for (int i = 0; i < c->instruction->fields; i++, other++)
        require(other == field || other->kind != '$' || other->number != field->number,
                "the result %s is an operand or another result", name);
    Array *made = value_at(c->memory, field->number);
    shape(made, rows, steps, width);
    return made;
}

Array *result(const Call *c, const char *name, int64_t rows, int64_t width)
{
    return history(c, name, rows, 1, width);
}

/* ---- Elements ------------------------------------------------------------------------------- */

/* The steps of a history count as rows. */
static int64_t place(const Array *a, int64_t row, int64_t column)
{
    require(row >= 0 && row < a->rows * a->steps, "there is no row %ld", (long)row);
    require(column >= 0 && column < a->width, "there is no column %ld", (long)column);
    return row * a->width + column;
}

int64_t at(const Array *a, int64_t row, int64_t column)
{
    int64_t i = place(a, row, column);
    switch (a->bits) {
    case 8: return ((const int8_t *)a->data)[i];
    case 16: return ((const int16_t *)a->data)[i];
    case 32: return ((const int32_t *)a->data)[i];
    default: return ((const int64_t *)a->data)[i];
    }
}

/* An element of a vector that has one element for all columns, or one for each column. */
int64_t channel(const Array *a, int64_t column) { return at(a, a->rows == 1 ? 0 : column, 0); }

const int8_t *row8(const Array *a, int64_t row, int64_t column, int64_t columns)
{
    require(a->bits == 8, "elements of %d bits, not 8", a->bits);
    place(a, row, column + columns - 1);
    return (const int8_t *)a->data + place(a, row, column);
}

/* An absent array takes no elements. */
void put(Array *a, int64_t row, int64_t column, int64_t x)
{
    if (a == NULL)
        return;
    int64_t i = place(a, row, column);
    require(a->bits == 64 || x == saturate(x, -power(a->bits - 1), power(a->bits - 1) - 1),
            "%ld has more than %d bits", (long)x, a->bits);
    switch (a->bits) {
    case 8: ((int8_t *)a->data)[i] = (int8_t)x; break;
    case 16: ((int16_t *)a->data)[i] = (int16_t)x; break;
    case 32: ((int32_t *)a->data)[i] = (int32_t)x; break;
    default: ((int64_t *)a->data)[i] = x;
    }
}
