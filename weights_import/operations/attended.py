"""The operands of an attention, and the arrangement of its heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from weights_import.float_program import Operation
from weights_import.operations.attention_scores import Polynomial, Softmax
from weights_import.operations.heads import Heads

Over = Literal["source", "target"]
"""A row sees the keys of all rows of its source, or of the target up to itself."""


@dataclass(frozen=True, kw_only=True)
class Attended(Operation):
    """The operands of an attention.

    query, key, value   products; queries and keys may have norms (`head_norm.HeadNorm`)
    scores              the function from scores to weights: `Softmax` or `Polynomial`
    """

    query: str
    key: str
    value: str
    heads: Heads
    over: Over
    scores: Softmax | Polynomial

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.query, self.key, self.value

    @property
    def weights(self) -> tuple[str, ...]:
        return tuple(self.scores.shapes(self.heads.count))
