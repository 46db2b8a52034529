/* Decoding: from token ids to token ids, as the section Decoding of the specification defines it. */
#ifndef INT8REF_SEARCH_H
#define INT8REF_SEARCH_H

#include "program.h"

/* Runs the encoder on the tokens of a source, with the tokens around it. */
void encode(Program *p, const List *source);

/* The chosen tokens.  Beam search gives the sum of their log-probabilities and the score too. */
typedef struct {
    List tokens;
    int64_t sum, score;
} Result;

/* prefix      tokens that the decoder reads before the search
 * limit       the largest number of choices
 * beam_size   1 to 64; 0 is greedy search */
void search(Program *p, const List *prefix, int64_t limit, int64_t beam_size, Result *result);

#endif
