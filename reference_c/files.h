/* Files of an exported folder: names, lines of words, arrays. */
#ifndef INT8REF_FILES_H
#define INT8REF_FILES_H

#include "memory.h"

#include <stdio.h>

enum { MAX_LINE = 8192, MAX_PATH = 4096 };

FILE *open_file(const char *folder, const char *name);
int64_t size_of(FILE *file);
int64_t number_in(const char *text);
char *next_line(FILE *file, char *line);
void read_array(Array *a, FILE *file);

#endif
