/* An exported model: program.txt, a line for each fact, and arrays.bin. */
#ifndef INT8REF_PROGRAM_H
#define INT8REF_PROGRAM_H

#include "memory.h"

/* The lines of numbers, by their first word.  The numbers of all lines of a word are one list. */
enum Word {
    ARITHMETIC, START, END, BEFORE, AFTER, FORCED, MAX_SOURCE, MAX_STEPS, FACTOR, PENALTY, STATE,
    LOGITS, CHOICE, LOG_PROBABILITY, OUTPUT, ARRAY, VALUE, WORDS
};

/* The lines of instructions, by their first word. */
enum Sequence { ENCODER, DECODER, CHOOSE, SCORE, SEQUENCES };

/* The first values: the inputs of a run.  All other values are states and results. */
enum Input {
    SOURCE_IDS, SOURCE_POSITIONS, SOURCE_SENTENCE, SOURCE_OFFSETS, TARGET_IDS, TARGET_POSITIONS,
    TARGET_SENTENCE
};

typedef struct {
    int64_t count, capacity, *number;
} List;

typedef struct {
    int64_t count, capacity;
    Instruction *instruction;
} Code;

typedef struct {
    List list[WORDS];
    Code code[SEQUENCES];
    Memory memory;
} Program;

void add_number(List *list, int64_t number);
void add_numbers(List *list, const List *more, int64_t first, int64_t end);
int64_t only(const Program *p, enum Word word);
void read_program(Program *p, const char *folder);

#endif
