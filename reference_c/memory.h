/* Arrays, and the operands of an instruction.
 *
 * `at`, `channel` and `row8` read elements, and `put` writes them.  They check the index and the
 * width, so that no file can make an operation leave an array or drop a bit. */
#ifndef INT8REF_MEMORY_H
#define INT8REF_MEMORY_H

#include "arithmetic.h"

enum { MAX_FIELDS = 40, MAX_NAME = 32, MAX_WIDTH = 1 << 20 };

/* [rows, width]; a history is [rows, steps, width]; a vector has one column.
 * bits      of an element: 8, 16, 32 or 64
 * capacity  bytes that `data` can hold */
typedef struct {
    void *data;
    int bits;
    int64_t rows, steps, width, capacity;
} Array;

/* A field of an instruction.  Its number is the constant itself (kind '='), the number of an array of
 * the file ('@'), or the number of a value ('$'). */
typedef struct {
    char name[MAX_NAME], kind;
    int64_t number;
} Field;

typedef struct Call Call;

/* `primitive`: for the vectors of primitives, the function of one element. */
typedef struct {
    const char *name;
    void (*run)(const Call *);
    int64_t (*primitive)(const Call *, int64_t);
} Operation;

typedef struct {
    const Operation *operation;
    int fields;
    Field field[MAX_FIELDS];
} Instruction;

/* The arrays of a file, and the values that instructions compute. */
typedef struct {
    Array *arrays, *values;
    int64_t array_count, value_count;
} Memory;

struct Call {
    const Instruction *instruction;
    Memory *memory;
};

const Operation *find_operation(const char *name);
void run(const Instruction *instruction, Memory *memory);

void *allocate(int64_t count, int64_t size);
Array *value_at(Memory *memory, int64_t number);
int bits_of(int64_t bits);
int64_t elements(int64_t rows, int64_t steps, int64_t width);
int64_t count(const Array *a);
void shape(Array *a, int64_t rows, int64_t steps, int64_t width);

/* The content of a field.  `bits`: the most bits of an element.  `optional` and `result` return NULL
 * for an absent field. */
int64_t constant(const Call *c, const char *name, int64_t low, int64_t high);
int64_t constant_or(int64_t absent, const Call *c, const char *name, int64_t low, int64_t high);
const Array *operand(const Call *c, const char *name, int bits);
const Array *optional(const Call *c, const char *name, int bits);
Array *result(const Call *c, const char *name, int64_t rows, int64_t width);
Array *history(const Call *c, const char *name, int64_t rows, int64_t steps, int64_t width);

int64_t at(const Array *a, int64_t row, int64_t column);
int64_t channel(const Array *a, int64_t column);
const int8_t *row8(const Array *a, int64_t row, int64_t column, int64_t columns);
void put(Array *a, int64_t row, int64_t column, int64_t x);

#endif
