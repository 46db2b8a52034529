"""Aligns target tokens with source tokens by the attention weights of the decoder.

The attention is the last attention of the decoder whose keys are the source.  For a recurrent
decoder (SSRU), the first head alone counts, because Marian trains this head of its small models on
alignments (guided alignment).  For other decoders, the mean of all heads counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.engines.engine import Engine
from int8ref.errors import UserError
from int8ref.options import AlignmentKind
from int8ref.program.inputs import Batch
from int8ref.program.program import Program, SourceFrame, Tensors
from int8ref.reference.attention import Attention
from int8ref.results import Alignment
from int8ref.text.decimals import share

SHARE_BITS = 30
"""Bits of the share of a head: enough to keep different weights of a head different."""

Int64 = npt.NDArray[np.int64]


class AlignmentError(UserError, ValueError):
    """The model cannot align.  The message says why."""


def aligning_attention(program: Program) -> tuple[Any, range]:
    """Return the attention that aligns, and the heads that count.  Raises `AlignmentError`."""
    found = [i for i in program.decoder if isinstance(i, Attention) and i.key_offsets is not None]
    if not found:
        raise AlignmentError("nothing to align by: the decoder has no attention to the source")
    recurrent = any(instruction.op == "ssru" for instruction in program.decoder)
    return found[-1], range(1 if recurrent else found[-1].heads)


def alignment_weights(
    engine: Engine,
    tensors: Tensors,
    sources: Batch,
    owners: Sequence[int],
    targets: Sequence[Sequence[int]],
) -> list[Int64]:
    """Return the weights of each target: int64 [tokens of the target, tokens of its framed source].

    The decoder runs over the given targets.  `owners`: the index of the source of each target.  A
    weight is the sum over the heads of floor(2^30 * p / sum(p)), where p are the weights of a head.
    Therefore all heads have the same influence.
    """
    attention, heads = aligning_attention(engine.program)
    seen: dict[str, npt.NDArray[Any]] = {}

    def observe(name: str, value: npt.NDArray[Any]) -> None:
        if name in (attention.query, attention.key):
            seen[name] = value

    out = [
        np.zeros((len(target), len(sources[owner])), np.int64)
        for target, owner in zip(targets, owners, strict=True)
    ]
    begins = [0, *itertools.accumulate(len(source) for source in sources)]
    session = engine.session(sources, observe)
    rows = [row for row, target in enumerate(targets) if target]
    session.select(np.array([owners[row] for row in rows], np.int64))
    ids = [engine.program.start] * len(rows)
    for step in itertools.count():
        if not rows:
            break
        session.step(np.array(ids, np.int32))
        for row, query in zip(rows, seen[attention.query], strict=True):
            keys = seen[attention.key][slice(*begins[owners[row] : owners[row] + 2])]
            for head in heads:
                weights = _head_weights(attention, tensors, head, query, keys)
                out[row][step] += (weights << SHARE_BITS) // weights.sum()
        going = [place for place, row in enumerate(rows) if len(targets[row]) > step + 1]
        rows = [rows[place] for place in going]
        ids = [targets[row][step] for row in rows]
        session.select(np.array(going, np.int64))
    return out


def _head_weights(
    attention: Any,
    tensors: Tensors,
    head: int,
    query: npt.NDArray[np.int8],
    keys: npt.NDArray[np.int8],
) -> Int64:
    """Return the weights of one head for one row of queries: int64 [keys].

    The attention is over the source, where a row has no place among its keys.
    """
    width, shared = attention.head_width, head // (attention.group or 1)
    q, k = attention.query_column + head * width, attention.key_column + shared * width
    columns = query[None, q : q + width].astype(np.int64), keys[:, k : k + width].astype(np.int64)
    weights: Int64 = attention.weigher(tensors)(*columns, head, np.zeros(1, np.int64))[0]
    return weights


def describe(weights: Int64, kind: AlignmentKind, frame: SourceFrame) -> Alignment:
    """Return the `Alignment` of a translation from its weights.

    `weights`: int64 [tokens of the translation, tokens of the source with `frame`].  Points refer
    to tokens of the text, never to the frame.
    """
    own = weights[:, len(frame.before) : weights.shape[1] - len(frame.after)]
    best: list[int] = own.argmax(axis=1).tolist() if own.shape[1] else []
    points = tuple((source, target) for target, source in enumerate(best))
    if kind == "hard":
        return Alignment(points)
    rows = [[int(weight) for weight in row] for row in weights]
    shares = tuple(tuple(share(w, sum(row)) for w in row) for row in rows)
    return Alignment(points, shares, len(frame.before))
