"""The functions from scores to weights of an attention: softmax and polynomial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from int8ref.reference.attention_polynomial import BASE_BITS, AttentionPolynomial
from int8ref.reference.attention_softmax import CAP_BITS, AttentionSoftmax
from int8ref.spec.instruction import Instruction
from weights_import.arithmetic.functions import log2, power
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import SMALLEST
from weights_import.lowering.scale_propagation import LOG2_E, cap_factors, dyadic, fixed_point
from weights_import.operations.addend import Addend
from weights_import.tensors import Float32, Float64

SCORE_SHIFT = 16
SCORE_RANGE = 2**14
"""Range of exp2_negative: 16 octaves of 2^10."""
LARGEST_DELTA = 2.0**28
"""The largest |delta| of a polynomial, in its units."""
LEAST_UNIT = 2.0**-28
"""The least unit of a score, as a share of the bias of a polynomial, or of the root of |delta|."""


@dataclass(frozen=True)
class Softmax:
    """exp(score - max) over the sum (Vaswani et al. 2017, Eq. 1).

    Scores may have an addend by distance, or a `cap`: cap * tanh(score / cap) replaces the score
    (Gemma Team 2024b, section 2).
    """

    addend: Addend | None = None
    cap: float = 0.0
    instruction: type[Instruction] = AttentionSoftmax

    @property
    def ignores_constants(self) -> bool:
        """Whether a constant that is added to all scores changes nothing."""
        return not self.cap

    def shapes(self, heads: int) -> dict[str, tuple[int, ...]]:
        """The names and the shapes of its tensors."""
        return {self.addend.table: (heads, self.addend.distances)} if self.addend else {}

    def addends(self, tensors: Mapping[str, Float32], heads: int) -> tuple[Float32, int]:
        """The table of addends and its `before`, as `attend` takes them."""
        if self.addend is None:
            return no_addends(heads)
        return tensors[self.addend.table], self.addend.before

    def constants(self, tensors: Mapping[str, Float32], heads: int) -> Float32:
        """Bias, |delta|, degree and cap of each head, as `attend` takes them."""
        found = np.zeros((4, heads), np.float32)
        found[3] = self.cap
        return found

    def least_score(self, tensors: Mapping[str, Float32], size: int, positions: int) -> float:
        """The least product of the scales of queries and keys, for a number of positions."""
        if self.addend is None:
            return SMALLEST
        return max(self.addend.least_score(tensors, positions) * float(np.sqrt(size)), SMALLEST)

    def operands(self, emitter: Emitter, name: str, score: Float64, size: int) -> dict[str, Any]:
        """The operands of the softmax, for the scale of query . key of each head.

        If a unit of the score is more than SCORE_RANGE, all keys but the largest weigh nothing.
        They weigh nothing at SCORE_RANGE too, so SCORE_RANGE replaces this unit.
        """
        temperature = np.sqrt(size) / LOG2_E
        unit, capped = score / temperature * 2**10, dict[str, Any]()
        if self.cap:
            multiplier, shift = cap_factors(score / np.sqrt(size), self.cap)
            kept = emitter.tensor(f"{name}.cap_multiplier", multiplier)
            capped = {"cap_multiplier": kept, "cap_shift": shift}
            unit = np.full_like(score, self.cap * LOG2_E * 2**10 * 2.0**-CAP_BITS)
        unit = np.minimum(unit, SCORE_RANGE)
        multiplier = np.maximum(fixed_point(unit, SCORE_SHIFT), 1)
        limit = np.maximum(SCORE_RANGE * 2**SCORE_SHIFT // multiplier, 1)
        added = self.addend.operands(emitter, name, score / np.sqrt(size)) if self.addend else {}
        return added | {
            "score_multiplier": emitter.tensor(f"{name}.score_multiplier", multiplier),
            "score_limit": emitter.tensor(f"{name}.score_limit", limit.astype(np.int32)),
            "score_shift": SCORE_SHIFT,
            **capped,
        }


@dataclass(frozen=True)
class Polynomial:
    """[ReLU(score + b)]^degree + |delta| over the sum (Lin et al. 2020, Eq. 11).

    `bias` and `delta` name tensors [heads].
    """

    degree: int
    bias: str
    delta: str
    instruction: type[Instruction] = AttentionPolynomial
    ignores_constants: bool = False

    def shapes(self, heads: int) -> dict[str, tuple[int, ...]]:
        """The names and the shapes of its tensors."""
        return dict.fromkeys((self.bias, self.delta), (heads,))

    def addends(self, tensors: Mapping[str, Float32], heads: int) -> tuple[Float32, int]:
        """No addends, as `attend` takes them."""
        return no_addends(heads)

    def constants(self, tensors: Mapping[str, Float32], heads: int) -> Float32:
        """Bias, |delta|, degree and cap of each head, as `attend` takes them."""
        degree = np.full(heads, self.degree, np.float32)
        delta = np.abs(tensors[self.delta])
        return np.stack([tensors[self.bias], delta, degree, np.zeros_like(degree)])

    def least_score(self, tensors: Mapping[str, Float32], size: int, positions: int) -> float:
        """The least product of the scales of queries and keys.

        The bias and |delta| must fit in 32 bits of its units.
        """
        bias, delta = (float(np.abs(tensors[n]).max()) for n in (self.bias, self.delta))
        root = float(power(np.array(delta), 1 / self.degree)) if delta else 0.0
        return max(max(bias, root) * LEAST_UNIT * float(np.sqrt(size)), SMALLEST)

    def operands(self, emitter: Emitter, name: str, score: Float64, size: int) -> dict[str, Any]:
        """The operands of the polynomial, for the scale of query . key of each head.

        The units of the polynomial grow with the shift of its base.  The shift is the least shift
        at which |delta| fits in these units.
        """
        tensors, degree, unit = emitter.model.tensors, self.degree, score / np.sqrt(size)
        bias = tensors[self.bias].astype(np.float64)
        units = np.ldexp(np.abs(tensors[self.delta]).astype(np.float64), BASE_BITS * (2 - degree))
        for _ in range(degree):
            units = units / unit
        shift = np.maximum(np.ceil(log2(np.maximum(units, 1) / LARGEST_DELTA) / degree), 0)
        shift = shift.astype(np.int64)
        multiplier, bits = dyadic(np.maximum(np.ldexp(units, -degree * shift), 1), 2, 31)
        return {
            "degree": degree,
            "score_bias": emitter.tensor(f"{name}.score_bias", fixed_point(bias / unit, 0)),
            "score_shift": emitter.tensor(f"{name}.score_shift", shift.astype(np.int8)),
            "delta_multiplier": emitter.tensor(f"{name}.delta_multiplier", multiplier),
            "delta_shift": emitter.tensor(f"{name}.delta_shift", bits),
        }


def no_addends(heads: int) -> tuple[Float32, int]:
    """What `attend` takes where scores have no addends."""
    return np.zeros((heads, 0), np.float32), 0
