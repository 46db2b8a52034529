/* Golden vectors: a folder of `python -m int8ref.vectors`. */
#ifndef INT8REF_VECTORS_H
#define INT8REF_VECTORS_H

#include <stdint.h>

int is_vectors(const char *folder);

/* Computes each case and compares its results.  Returns the number of cases that differ. */
int64_t compare_vectors(const char *folder);

#endif
