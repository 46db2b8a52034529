/* The files of an exported folder: lines of words, and arrays. */
#ifndef INT8REF_FILES_H
#define INT8REF_FILES_H

#include "memory.h"

#include <stdio.h>

enum { MAX_LINE = 8192, MAX_PATH = 4096 };

FILE *open_file(const char *folder, const char *name);
int64_t size_of(FILE *file);
void read_array(Array *a, FILE *file);

/* The first word of the next line, which is empty for an empty line; NULL at the end of the file.
 * `next_word` gives the other words. */
const char *first_word(FILE *file, char *line);
const char *next_word(void);
int64_t number_in(const char *word);

#endif
