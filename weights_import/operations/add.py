"""A residual sum: the result of a branch plus the stream that the branch read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from int8ref.reference.match_add import MAX_RAISE, MatchAdd
from int8ref.reference.narrow import Narrow
from weights_import.float_program import Operation
from weights_import.lowering.channel_scales import SPREAD
from weights_import.lowering.emitter import HEADROOM, Emitter
from weights_import.lowering.least_scales import BRANCH_BIAS_BITS, at_least, least_sum
from weights_import.lowering.scale_propagation import (
    DATA_MAX,
    WIDE_MAX,
    fixed_point,
    integer_bias,
    largest_shift,
)
from weights_import.lowering.scaled import WIDE_BITS, Scaled
from weights_import.operations.linear import Linear, product_of
from weights_import.operations.norm import least_stream
from weights_import.run import Run
from weights_import.tensors import Float32, Float64


@dataclass(frozen=True, kw_only=True)
class Add(Operation):
    """y = a + b: `a` a branch, mostly a product, and `b` the residual stream.

    The branch comes as accumulators.  Therefore it is rounded only once, to the bits of the
    residual.
    """

    a: str
    b: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.a, self.b

    @property
    def terms(self) -> tuple[str, ...]:
        return self.inputs

    def run(self, run: Run) -> Float32:
        return run.values[self.a] + run.values[self.b]

    def absorbs(self, emitter: Emitter, value: str) -> bool:
        return value == self.b and isinstance(emitter.producers[self.a], Linear)

    def absorb(self, emitter: Emitter, value: str, constant: Float32) -> None:
        emitter.add_bias(product_of(emitter, self.a).name, constant)

    def lower(self, emitter: Emitter) -> None:
        branch, stream = emitter.producers[self.a].branch(emitter), emitter.stream(self.b)
        narrows = self._read_by_products(emitter)
        limit = WIDE_MAX if emitter.wide_residual or narrows else DATA_MAX
        scale = self._scale(emitter, branch, stream, limit)
        made = Scaled(f"{self.out}.wide" if narrows else self.out, scale)
        emitter.add(MatchAdd(
            a=branch.name,
            b=stream.name,
            limit=limit,
            out=made.name,
            **_factors(emitter, self.out, branch, stream, scale),
        ))  # fmt: skip
        emitter.scaled[self.out] = self._narrowed(emitter, made) if narrows else made

    def _read_by_products(self, emitter: Emitter) -> bool:
        """Whether products read the sum itself, and not a norm of it."""
        users = emitter.consumers[self.out]
        return any(user.column_sizes(emitter, self.out) is not None for user in users)

    def _narrowed(self, emitter: Emitter, x: Scaled) -> Scaled:
        """The sum in 8 bits beside its 16 bits."""
        scale = x.scale * 2.0**WIDE_BITS
        fields = emitter.factors(self.out, x.scale / scale, 1)
        emitter.add(Narrow(x=x.name, out=self.out, **fields))
        return Scaled(self.out, scale, wide=x.name)

    def _scale(self, emitter: Emitter, branch: Scaled, stream: Scaled, limit: int) -> Float64:
        """The scale of the sum, which a norm reads; products read it with a scale a channel."""
        least = max(
            least_sum(branch.scale, stream.scale, branch.bias), least_stream(emitter, self.out)
        )
        if self._read_by_products(emitter):
            return at_least(emitter.input_scale(self.out, SPREAD) * 2.0**-WIDE_BITS, least)
        headroom = HEADROOM if emitter.wide_residual else 1.0
        wanted = emitter.observed.maximum(self.out) * headroom / limit
        return np.array([max(wanted, least)])


def _factors(
    emitter: Emitter, out: str, branch: Scaled, stream: Scaled, scale: Float64
) -> dict[str, Any]:
    """The factors that bring both terms, and the bias of the branch, to the scale of the sum."""
    ratios = branch.scale / scale, stream.scale / scale
    largest_a, largest_b = (float(ratio.max()) for ratio in ratios)
    shift = min(
        largest_shift(largest_a, WIDE_MAX, 61),
        largest_shift(largest_b, WIDE_MAX << MAX_RAISE, 61),
    )
    if branch.bias is not None:
        largest_bias = float((np.abs(branch.bias) / scale).max())
        shift = min(shift, largest_shift(largest_bias, WIDE_MAX << BRANCH_BIAS_BITS, 61))
    b_shift = max(0, shift - largest_shift(largest_b, WIDE_MAX, 61))
    a, b = (
        fixed_point(ratio, bits).astype(np.int16)
        for ratio, bits in zip(ratios, (shift, shift - b_shift), strict=True)
    )
    fields: dict[str, Any] = {
        "a_multiplier": emitter.tensor(f"{out}.branch_multiplier", a),
        "b_multiplier": emitter.tensor(f"{out}.residual_multiplier", b),
        "b_shift": b_shift,
        "shift": shift,
    }
    if branch.bias is not None:
        unit = scale * float(np.ldexp(1.0, -shift))
        bias, bits = integer_bias(branch.bias, unit, BRANCH_BIAS_BITS)
        fields |= {"exponent": branch.exponent, "bias_shift": bits}
        fields["bias"] = emitter.tensor(f"{out}.branch_bias", bias)
    return fields
