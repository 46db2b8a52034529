/* Arrays of 8, 16, 32 or 64 bits, and the operands of an instruction.
 *
 * Every element is read by `at` or `row8` and written by `put`, which check the index and the width.
 * Therefore no file makes an operation leave an array or drop a bit. */
#ifndef INT8REF_MEMORY_H
#define INT8REF_MEMORY_H

#include "arithmetic.h"

enum { MAX_FIELDS = 40, MAX_NAME = 32 };

/* [rows, width]; a history is [rows, steps, width]; a vector has one column.  `data` is NULL for an
 * absent operand.  `capacity`: bytes that `data` can hold. */
typedef struct {
    void *data;
    int bits;
    int64_t rows, steps, width, capacity;
} Array;

/* NAME=NUMBER: a constant.  NAME=@NUMBER: an array of the file.  NAME=$NUMBER: a value. */
typedef struct {
    char name[MAX_NAME], kind;
    int64_t number;
} Field;

typedef struct Call Call;

typedef struct {
    const char *name;
    void (*run)(const Call *);
} Operation;

typedef struct {
    const Operation *operation;
    int fields;
    Field field[MAX_FIELDS];
} Instruction;

/* The arrays of the file, and the values that instructions compute. */
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
void shape(Array *a, int64_t rows, int64_t steps, int64_t width);
int64_t elements(int64_t rows, int64_t steps, int64_t width);
int64_t count(const Array *a);

int has(const Call *c, const char *name);
int64_t constant(const Call *c, const char *name, int64_t low, int64_t high);
Array operand(const Call *c, const char *name, int bits);
Array optional(const Call *c, const char *name, int bits);
Array *result(const Call *c, const char *name, int64_t rows, int64_t steps, int64_t width);

int64_t at(const Array *a, int64_t row, int64_t column);
int64_t channel(const Array *a, int64_t column);
const int8_t *row8(const Array *a, int64_t row, int64_t column, int64_t columns);
void put(Array *a, int64_t row, int64_t column, int64_t x);

#endif
