"""Forced decoding: what the model thinks of given translations, or of any given tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from int8ref.errors import WrongValueError
from int8ref.program.inputs import Batch
from int8ref.reference.log_softmax import log_softmax
from int8ref.search.decoder import Decoder, Scorer
from int8ref.search.hypothesis import (
    BeamOptions,
    Hypothesis,
    check_sequence,
    check_tokens,
    is_integer,
)
from int8ref.search.length import normalized, penalty
from int8ref.spec.limits import MAX_TOKENS


def forced(
    scorer: Scorer, batch: Batch, targets: Sequence[Sequence[int]], options: BeamOptions
) -> list[Hypothesis]:
    """The log-probability of each target and of the eos after it.

    `targets`: token ids of a translation of each sentence, without eos.  Of `options`, only the
    normalisation counts.  Every hypothesis that a beam search ends with eos gets its own numbers
    again.
    """
    return scored(scorer, batch, [[*target, scorer.program.eos] for target in targets], options)


def scored(
    scorer: Scorer, batch: Batch, paths: Sequence[Sequence[int]], options: BeamOptions
) -> list[Hypothesis]:
    """The log-probability of the tokens of each path; one that ends with eos is complete.

    There are one token and more; of `options`, only the normalisation counts.
    """
    program = scorer.program
    found = scorer.log_probabilities(batch, [program.start] * len(paths), paths)
    return [
        _scored(path, tokens, program.eos, options)
        for path, tokens in zip(paths, found, strict=True)
    ]


def log_probabilities(
    decoder: Decoder, batch: Batch, starts: Sequence[int], paths: Sequence[Sequence[int]]
) -> list[list[int]]:
    """See `Engine.log_probabilities`."""
    step = decoder.program.log_softmax
    session = decoder.session(batch)
    tokens: list[list[int]] = [[] for _ in paths]
    sentence = np.arange(len(paths))
    ids = np.array(starts, np.int32)
    while len(sentence):
        found = log_softmax(session.step(ids), step.multiplier, step.shift)
        length = len(tokens[sentence[0]])
        ids = np.array([paths[int(s)][length] for s in sentence], np.int32)
        for row, s in enumerate(sentence):
            tokens[s].append(int(found[row, ids[row]]))
        going = np.flatnonzero([length + 1 < len(paths[int(s)]) for s in sentence])
        if len(going) < len(sentence):
            ids, sentence = ids[going], sentence[going]
            session.select(going)
    return tokens


def _scored(
    path: Sequence[int], tokens: Sequence[int], eos: int, options: BeamOptions
) -> Hypothesis:
    complete = path[-1] == eos
    ids = tuple(path[:-1] if complete else path)
    divisor = penalty(options.normalization, options.alpha, len(tokens))
    return Hypothesis(ids, tuple(tokens), normalized(sum(tokens), divisor), complete)


def check_targets(
    targets: Sequence[Sequence[int]], sentences: int, eos: int, vocabulary: int
) -> None:
    """Raises ValueError for targets that cannot be translations of so many sentences."""
    check_sequence("targets", targets)
    if len(targets) != sentences:
        raise WrongValueError(f"{len(targets)} targets for {sentences} sentences")
    for index, target in enumerate(targets):
        check_sequence(f"target {index}", target)
        if len(target) >= MAX_TOKENS:
            raise WrongValueError(
                f"target {index} has {len(target)} tokens, more than {MAX_TOKENS - 1}"
            )
        check_tokens(f"target {index}", target, vocabulary, eos)


def check_paths(
    starts: Sequence[int], paths: Sequence[Sequence[int]], sentences: int, vocabulary: int
) -> None:
    """Raises ValueError for paths that cannot be followed from so many sentences."""
    for name, given in (("starts", starts), ("paths", paths)):
        check_sequence(name, given)
    if not len(starts) == len(paths) == sentences:
        raise WrongValueError(
            f"{len(starts)} starts and {len(paths)} paths for {sentences} sentences"
        )
    for index, (start, path) in enumerate(zip(starts, paths, strict=True)):
        check_sequence(f"path {index}", path)
        if not is_integer(start):
            raise WrongValueError(f"start {index} is {start!r}, not an integer")
        if not 1 <= len(path) <= MAX_TOKENS:
            raise WrongValueError(f"path {index} has {len(path)} tokens, not 1 to {MAX_TOKENS}")
        check_tokens(f"path {index}", path, vocabulary)
