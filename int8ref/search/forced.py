"""Forced decoding: the log-probabilities of given translations, or of any given tokens."""

from __future__ import annotations

from collections.abc import Sequence

from int8ref.errors import WrongValueError
from int8ref.search.decoder import Decoder, Scorer, step_by_step
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
    softmax = decoder.program.softmax
    gains: list[list[int]] = [[] for _ in paths]
    for place, step, logits in step_by_step(decoder, paths):
        gains[place].append(int(softmax.of(logits)[0, paths[place].given[step]]))
    return [found[len(path.prefix) :] for found, path in zip(gains, paths, strict=True)]


def _scored(
    path: Sequence[int], tokens: Sequence[int], eos: int, options: BeamOptions
) -> Hypothesis:
    complete = path[-1] == eos
    ids = tuple(path[:-1] if complete else path)
    divisor = penalty(options.normalization, options.alpha, len(tokens))
    return Hypothesis(ids, tuple(tokens), normalized(sum(tokens), divisor), complete)
