"""Attention of one head after another, in float32.

    score[j]    = ((q[0] * k[j, 0]) + q[1] * k[j, 1]) + ..., times the scale of the scores, plus
                  the addend of the distance if there is one, and cap * tanh(score[j] / cap) of it
                  in float64 if there is a cap
    weight[j]   = a softmax in float64, or a polynomial in float32 over its sum
    context[c]  = ((0 + weight[0] * v[0, c]) + weight[1] * v[1, c]) + ...

Sums go up the columns of a head, and up the keys.
"""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.functions import exp_of, tanh_of
from weights_import.arithmetic.kernel import kernel


@kernel
def attend(query, keys, values, spans, shape, factor, polynomial, addends, before, out):
    """The context [rows, heads * size] of every row of some sentences.

    query       [rows, heads * size]
    keys        a block a sentence in one row of numbers: the block is [key_heads * size, length]
    values      [rows of all sentences, key_heads * size]
    spans       a row a sentence: first row, last row, where its keys begin, the length of its
                block, its first value, keys that the first row sees, and how many more each next
                row sees
    shape       heads, group (heads of queries that share one of keys), size, and the number of
                the last keys that a row sees, or 0 for all
    factor      what products of queries and keys are multiplied by
    polynomial  [4, heads]: bias, |delta|, degree and cap; a degree of 0 is a softmax, and a cap of
                0 is none
    addends     [heads, distances]: see `addend.Addend`; [heads, 0] for none
    before      the column of `addends` for the row's own key
    """
    heads, group, size, window = shape
    longest = spans[:, 3].max()
    buffer = np.empty(longest, np.float32)
    powers = np.empty(longest, np.float64)
    for s in range(len(spans)):
        first, last, start, length, value, seen, more = spans[s]
        for h in range(heads):
            column, key_column = h * size, (h // group) * size
            for i in range(first, last):
                count = seen + (i - first) * more
                past = max(count - window, 0) if window > 0 else 0
                count -= past
                scores = buffer[:count]
                scores[:] = np.float32(0)
                for c in range(size):
                    q = query[i, column + c]
                    at = start + (key_column + c) * length + past
                    line = keys[at : at + count]
                    for j in range(count):
                        scores[j] += q * line[j]
                for j in range(count):
                    scores[j] *= factor
                if addends.shape[1] > 0:
                    place = count - 1 if more > 0 else i - first
                    _add(scores, addends[h], before - place)
                if polynomial[3, h] > 0:
                    _cap(scores, np.float64(polynomial[3, h]))
                if polynomial[2, h] == 0:
                    _softmax(scores, powers)
                else:
                    _polynomial(scores, polynomial[:, h])
                context = out[i, column : column + size]
                context[:] = np.float32(0)
                for j in range(count):
                    w = scores[j]
                    row = values[value + past + j, key_column : key_column + size]
                    for c in range(size):
                        context[c] += w * row[c]


@kernel
def _add(scores, addends, first):
    """Add to score j the addend first + j, or the nearest one, in place."""
    last = len(addends) - 1
    for j in range(len(scores)):
        scores[j] += addends[min(max(first + j, 0), last)]


@kernel
def _cap(scores, cap):
    """cap * tanh(score / cap), in place."""
    for j in range(len(scores)):
        scores[j] = np.float32(cap * tanh_of(np.float64(scores[j]) / cap))


@kernel
def _softmax(scores, powers):
    """exp(x - max) over the sum, in place; `powers` keeps the numerators."""
    largest = np.float32(-np.inf)
    for j in range(len(scores)):
        largest = max(largest, scores[j])
    total = 0.0
    for j in range(len(scores)):
        powers[j] = exp_of(np.float64(scores[j]) - np.float64(largest))
    for j in range(len(scores)):
        total += powers[j]
    for j in range(len(scores)):
        scores[j] = np.float32(powers[j] / total)


@kernel
def _polynomial(scores, constants):
    """[ReLU(score + b)]^degree + |delta| over the sum, in place (Lin et al. 2020, Eq. 11)."""
    bias, delta, degree = constants[0], constants[1], np.int64(constants[2])
    total = np.float32(0)
    for j in range(len(scores)):
        base = max(scores[j] + bias, np.float32(0))
        weight = base
        for _ in range(degree - 1):
            weight = weight * base
        scores[j] = weight + delta
        total += scores[j]
    if np.isinf(total):
        total = np.float32(np.nan)  # or all weights would be 0
    for j in range(len(scores)):
        scores[j] = scores[j] / total
