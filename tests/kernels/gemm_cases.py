"""Fixed pseudo-random cases of every GEMM kernel, and one digest of their results.

python gemm_cases.py                   every kernel, for the CPU that Numba compiles for
python gemm_cases.py TRIPLE FEATURES   gemm_i32 in the tiles of another instruction set; equivalent
                                       IR replaces its dot-product instruction
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.host import cpu
from tests.helpers.memory import assert_untouched_behind, guarded
from tests.kernels.quad_weights import within_quads

SHAPES = [
    (1, 1, 1),
    (1, 130, 64),
    (2, 65, 5),
    (3, 64, 8),
    (4, 17, 63),
    (5, 48, 31),
    (6, 64, 64),
    (7, 70, 129),
    (13, 100, 40),
    (16, 64, 64),
    (31, 70, 128),
    (32, 130, 192),
    (53, 64, 320),
    (900, 65, 448),
]
EXTREMES = [(-128, -128), (-128, 127), (127, -128), (127, 127)]


def exact(x: NDArray[np.int8], weight: NDArray[np.int8], bias: NDArray[np.int32]) -> NDArray[Any]:
    """Return x .  W^T + bias mod 2^32, by float64 BLAS, which is exact below 2^53."""
    product = x.astype(np.float64) @ weight.T.astype(np.float64)
    return (product.astype(np.int64) + bias).astype(np.int32)


@dataclass
class Case:
    x: NDArray[np.int8]
    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int16]
    shift: NDArray[np.int8]  # 16 to 46; the first one belongs to the multipliers
    low: int
    high: int
    columns: int
    tokens: NDArray[np.int32]  # columns in any order, also repeated

    def expected(self) -> dict[str, NDArray[Any]]:
        acc = exact(self.x, self.weight, self.bias)
        wide = acc.astype(np.int64)
        scaled = shift_right(wide * self.multiplier, self.shift[:1].astype(np.int64))
        few = self.few.astype(np.int32)
        # the kernel also wraps here
        shifted = (acc + (np.int32(1) << (few - np.int32(1)))) >> few
        head = acc[:, : self.columns]
        return {
            "i32": acc,
            "quads": exact(self.x, within_quads(self.weight), self.bias),
            "chosen": acc[:, self.tokens],
            "requantize": np.clip(scaled, self.low, self.high).astype(np.int8),
            "shift": np.clip(shifted, self.low, self.high).astype(np.int8),
            "index": head.argmax(axis=1).astype(np.int32),
            "value": head.max(axis=1),
        }

    @property
    def few(self) -> NDArray[np.int8]:
        """Shifts for the shift-only kernel, 1 to 30."""
        return np.maximum(self.shift - np.int8(16), np.int8(1))

    def computed(self, i32_only: bool = False) -> dict[str, NDArray[Any]]:
        """Return the results of the kernels.  Guard bytes detect writes beyond the arrays."""
        from tests.kernels import products as gemm

        (m, k), n = self.x.shape, len(self.weight)
        workspace = guarded((gemm.workspace_bytes(m, k),), np.uint8)
        sums = guarded((m, n), np.int32)
        operands = self.x, gemm.pack(self.weight), gemm.start_values(self.weight, self.bias)
        gemm.gemm_i32(*operands, sums, workspace)
        out = {"i32": sums, "quads": self._quads(workspace)}
        if not i32_only:
            scaled, shifted = guarded((m, n), np.int8), guarded((m, n), np.int8)
            index, value = guarded((m,), np.int32), guarded((m,), np.int32)
            factors, bounds = (self.multiplier, self.shift[:1]), (self.low, self.high)
            gemm.gemm_requantize(*operands, *factors, *bounds, scaled, workspace)
            gemm.gemm_shift(*operands, self.few, *bounds, shifted, workspace)
            gemm.gemm_argmax(*operands, self.columns, index, value, workspace)
            self._compare_coarse(index, value)
            out |= {"requantize": scaled, "shift": shifted, "index": index, "value": value}
            out["chosen"] = guarded((m, len(self.tokens)), np.int32)
            for row, chosen in zip(self.x, out["chosen"], strict=True):
                gemm.gemm_chosen(row, self.weight, operands[2], self.tokens, chosen, workspace)
        assert_untouched_behind(workspace, *out.values())
        return out

    def _quads(self, workspace: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the product with a weight whose sums of four products fit in 16 bits.

        The function computes these sums if the CPU supports them.
        """
        from int8ref.kernels.gemm.quads import usable
        from int8ref.spec.pair_sums import OFFSET
        from tests.kernels import products as gemm

        weight = within_quads(self.weight)
        quads = usable(weight)
        start = gemm.start_values(weight, self.bias, OFFSET if quads else None)
        sums = guarded((len(self.x), len(weight)), np.int32)
        product = gemm.gemm_quads if quads else gemm.gemm_i32
        product(self.x, gemm.pack(weight), start, sums, workspace)
        return sums

    def _compare_coarse(self, index: NDArray[np.int32], value: NDArray[np.int32]) -> None:
        """Assert that the search by coarse weights, if they are useful, gives the same result."""
        from int8ref.kernels.gemm.coarse_layout import coarse_workspace, pack_coarse, useful
        from tests.kernels import products as gemm

        weight, bias = self.weight[: self.columns], self.bias[: self.columns]
        if not useful(weight.shape[1], bias):
            return
        coarse = pack_coarse(weight, bias)
        workspace = guarded((coarse_workspace(coarse),), np.uint8)
        found = guarded(index.shape, np.int32), guarded(value.shape, np.int32)
        packed = coarse.weight, coarse.start, coarse.length
        gemm.gemm_coarse_argmax(
            self.x, *packed, weight, gemm.start_values(weight, bias), *found, workspace
        )
        assert np.array_equal(found, (index, value)), "coarse argmax"
        assert_untouched_behind(workspace, *found)


def shift_right(x: NDArray[Any], shift: NDArray[Any]) -> NDArray[Any]:
    """Return x / 2^shift, rounded half up, without the sum that the kernel computes."""
    return (x >> shift) + ((x >> (shift - 1)) & 1)


def make_case(
    random: np.random.Generator, m: int, n: int, k: int, extreme: tuple[int, int] | None = None
) -> Case:
    x, weight = (random.integers(-128, 128, size).astype(np.int8) for size in ((m, k), (n, k)))
    if extreme:
        x[:], weight[:] = extreme
    spread = int(random.choice([1 << 31, 1 << 16, 2]))  # 2 gives many ties
    low, high = [(-127, 127), (0, 127), (-128, 100)][random.integers(3)]
    return Case(
        x,
        weight,
        bias=random.integers(-spread, spread, n).astype(np.int32),
        multiplier=random.integers(0, 2**15, n).astype(np.int16),
        shift=random.integers(16, 47, n).astype(np.int8),
        low=low,
        high=high,
        columns=int(random.integers(1, n + 1)),
        tokens=random.integers(0, n, int(random.integers(1, 12))).astype(np.int32),
    )


def cases() -> Iterator[Case]:
    random = np.random.default_rng(2020)
    for shape in SHAPES:
        yield make_case(random, *shape)
    for extreme in EXTREMES:
        yield make_case(random, 3, 66, 72, extreme)


def digest(outcomes: Iterator[dict[str, NDArray[Any]]]) -> str:
    whole = hashlib.sha256()
    for outcome in outcomes:
        for name in sorted(outcome):
            whole.update(outcome[name].tobytes())
    return whole.hexdigest()


def pretend(triple: str, features: str) -> None:
    """Select the target of another CPU, but never emit its instructions for products of bytes."""
    cpu.cpu = lambda: (triple, "", features)

    from llvmlite import ir

    from int8ref.kernels.gemm import dot, target
    from int8ref.kernels.ir.vector import add_pairs

    def step(self: Any, builder: ir.IRBuilder, sums: Any, left: Any, right: Any) -> Any:
        count = self.columns * 4
        many, wide = (ir.VectorType(ir.IntType(bits), count) for bits in (8, 32))
        extend = builder.zext if target.TARGET.operand == "u8" else builder.sext
        a = extend(builder.bitcast(left, many), wide)
        b = builder.sext(builder.bitcast(right, many), wide)
        return builder.add(sums, add_pairs(builder, add_pairs(builder, builder.mul(a, b))))

    def two_steps(self: Any, builder: ir.IRBuilder, sums: Any, left: Any, right: Any) -> Any:
        count = self.columns * 4
        many, wide = (ir.VectorType(ir.IntType(bits), count) for bits in (8, 32))
        for raised, weights in zip(left, right, strict=True):
            a = builder.zext(builder.bitcast(raised, many), wide)
            b = builder.sext(builder.bitcast(weights, many), wide)
            added = add_pairs(builder, add_pairs(builder, builder.mul(a, b)))
            sums = builder.add(sums, added)
        return sums

    dot.FourWay.step = step  # type: ignore[method-assign]
    dot.QuadProducts.step = two_steps  # type: ignore[method-assign]


if __name__ == "__main__":
    imitate = len(sys.argv) > 1
    if imitate:
        pretend(*sys.argv[1:])
    from int8ref.kernels.gemm.target import TARGET

    print(TARGET.name, digest(case.computed(imitate) for case in cases()))
