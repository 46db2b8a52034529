"""Forced decoding: the log-probabilities of given translations, or of any given tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from int8ref.errors import WrongValueError
from int8ref.search.decoder import Decoder, Scorer
from int8ref.search.hypothesis import BeamOptions, Hypothesis
from int8ref.search.length import normalized, penalty
from int8ref.search.request import Path


def score(scorer: Scorer, paths: Sequence[Path], options: BeamOptions) -> list[Hypothesis]:
    """Given translations as hypotheses.  A hypothesis is complete if its tokens end with eos.

    Only the normalisation of `options` matters.  A hypothesis that a beam search found gets the
    same numbers here.  Raises ValueError if a path has an eos before its last token.
    `log_probabilities` may raise too.
    """
    eos = scorer.program.eos
    found = scorer.log_probabilities(paths)  # first, because it checks the paths
    for index, path in enumerate(paths):
        if eos in path.tokens[:-1]:
            raise WrongValueError(f"path {index} has the token id {eos} before its last")
    return [
        _scored(path.tokens, tokens, eos, options)
        for path, tokens in zip(paths, found, strict=True)
    ]


def log_probabilities(decoder: Decoder, paths: Sequence[Path]) -> list[list[int]]:
    """See `engines.engine.Engine.log_probabilities`."""
    step = decoder.program.softmax
    session = decoder.session([path.ids for path in paths])
    given = [[*path.prefix, *path.tokens] for path in paths]
    gains: list[list[int]] = [[] for _ in paths]
    sentence = np.arange(len(paths))
    ids = np.array([path.start for path in paths], np.int32)
    while len(sentence):
        found = step.of(session.step(ids))
        length = len(gains[sentence[0]])
        ids = np.array([given[int(s)][length] for s in sentence], np.int32)
        for row, s in enumerate(sentence):
            gains[s].append(int(found[row, ids[row]]))
        going = np.flatnonzero([length + 1 < len(given[int(s)]) for s in sentence])
        if len(going) < len(sentence):
            ids, sentence = ids[going], sentence[going]
            session.select(going)
    return [found[len(path.prefix) :] for found, path in zip(gains, paths, strict=True)]


def _scored(
    path: Sequence[int], tokens: Sequence[int], eos: int, options: BeamOptions
) -> Hypothesis:
    complete = path[-1] == eos
    ids = tuple(path[:-1] if complete else path)
    divisor = penalty(options.normalization, options.alpha, len(tokens))
    return Hypothesis(ids, tuple(tokens), normalized(sum(tokens), divisor), complete)
