"""Instruction sets: the dot product of the CPU, and the tile of accumulators in its registers.

The choice depends only on the feature string for which Numba compiles.  The same string is the key
of Numba's cache on disk, so that code, cache and CPU cannot disagree.  Nothing else may decide,
because an LLVM intrinsic that the target lacks aborts the process.

    name       inner instruction                 left operand   columns / register   registers
    amx        tdpbusd      (u8 * s8, 64 k),     u8             16                   32
               for 16 rows and more, else as vnni512
    vnni512    vpdpbusd zmm  (u8 * s8, four k)   u8             16                   32
    vnni256    vpdpbusd ymm  (u8 * s8, four k)   u8              8                   16
    sdot       sdot          (s8 * s8, four k)   s8              4                   32
    generic    plain vector IR (s16, two k):     s16            bits / 64            32 or 16
               LLVM makes it vpmaddwd, pmaddwd, smlal and so on

The u8 trick.  vpdpbusd multiplies unsigned bytes by signed bytes.  If the top bit of a signed byte
a is flipped, and the byte is read as unsigned, its value is a + 128:

    sum_k (a[k] + 128) * w[k] = sum_k a[k] * w[k] + 128 * sum_k w[k]

The last term depends only on the weight.  It is subtracted from the start values of the
accumulators (`layout.start_values`).  vpdpbusd does not saturate, and addition modulo 2^32 is
associative.  Therefore the result is exact modulo 2^32, whatever the intermediate sums are.
Without a bias, the final sum fits in int32 for K <= 131071 and all int8 values, because
131071 * 128 * 128 < 2^31.

Pair products.  The product of two s16 that hold int8 values is at most 2^14, and the sum of two
such products at most 2^15.  Both are exact in int32, where addition modulo 2^32 is associative.
"""

from __future__ import annotations

import msgspec
import numpy as np

from int8ref.host.cpu import cpu

TILE_ROWS = 6  # rows of the tallest tile of accumulators
MATRIX_ROWS = 16  # rows of a matrix register


class InstructionSet(msgspec.Struct, frozen=True):
    """A row of the table above; `intrinsic` is the LLVM name of the dot product, if there is
    one."""

    name: str
    strip: int  # output columns whose weights are contiguous
    operand: str  # "u8", "s8" or "s16": the form in which the kernel reads the left matrix
    columns: int  # output columns of one register of accumulators
    registers: int  # number of vector registers
    intrinsic: str = ""
    fetching_rows: int = 0  # largest height of tiles that prefetch the weights of the next columns
    pair_products: str = ""  # LLVM name of u8 * s8 in saturated pairs, if it is the faster way
    pair_sums: str = ""  # LLVM name of s16 * s16 in pairs, for the sums of pair_products
    matrices: bool = False  # whether tiles of 16 rows and more are matrix registers (AMX)

    @property
    def operand_bytes(self) -> int:
        return 2 if self.operand == "s16" else 1

    @property
    def offset(self) -> int:
        """The number that the kernel adds to the left operand."""
        return 128 if self.operand == "u8" else 0

    @property
    def pair_columns(self) -> int:
        """Output columns of one register of int32 sums of pair products."""
        return 2 * self.columns

    @property
    def block_rows(self) -> int:
        """Rows of the largest tile."""
        return 2 * MATRIX_ROWS if self.matrices else TILE_ROWS

    def registers_across(self, rows: int, panel: int, columns: int, groups: int) -> int:
        """Number of accumulators of `columns` columns, side by side in a tile of `rows` rows.

        A step takes `groups` groups.  The result is a power of two, and at most a panel wide.  The
        other registers hold the weights, a group of the left operand, and a product.  A tile of one
        row needs only one register for weights, because it loads them one by one.  With two groups,
        the left operand and the product need two registers each, and a constant of ones needs one.
        """
        others = 3 * groups - 1
        across = panel // columns
        while rows * across + (across if rows > 1 else 1) * groups + others > self.registers:
            across //= 2
        return across


VNNI512 = InstructionSet("vnni512", 64, "u8", 16, 32, "llvm.x86.avx512.vpdpbusd.512")
AMX = InstructionSet("amx", 64, "u8", 16, 32, "llvm.x86.avx512.vpdpbusd.512", matrices=True)
VNNI256 = InstructionSet("vnni256", 64, "u8", 8, 16, "llvm.x86.avx512.vpdpbusd.256")
SDOT = InstructionSet("sdot", 64, "s8", 4, 32, "llvm.aarch64.neon.sdot.v4i32.v16i8")
GENERIC512 = InstructionSet(
    name="generic512",
    strip=64,
    operand="s16",
    columns=8,
    registers=32,
    pair_products="llvm.x86.avx512.pmaddubs.w.512",
    pair_sums="llvm.x86.avx512.pmaddw.d.512",
)
GENERIC256 = InstructionSet(
    name="generic256",
    strip=8,
    fetching_rows=4,
    operand="s16",
    columns=4,
    registers=16,
    pair_products="llvm.x86.avx2.pmadd.ub.sw",
    pair_sums="llvm.x86.avx2.pmadd.wd",
)
GENERIC128 = InstructionSet("generic128", 64, "s16", 2, 16)
NEON = InstructionSet("neon", 64, "s16", 2, 32)

Table = tuple[tuple[frozenset[str], InstructionSet], ...]

AVX512 = frozenset({"avx512f", "avx512bw", "avx512vl"})
X86: Table = (
    (AVX512 | {"avx512vnni", "amx-int8", "amx-tile"}, AMX),
    (AVX512 | {"avx512vnni"}, VNNI512),
    (frozenset({"avx2", "avxvnni"}), VNNI256),
    (AVX512, GENERIC512),
    (frozenset({"avx2"}), GENERIC256),
)
ARM: Table = ((frozenset({"dotprod"}), SDOT), (frozenset(), NEON))


def select(triple: str, features: str) -> InstructionSet:
    """The best instruction set for an LLVM triple and feature string ("+avx2,-avx512f,...")."""
    enabled = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    machine = triple.lower().split("-")[0]
    table: Table = {"x86_64": X86, "amd64": X86, "aarch64": ARM, "arm64": ARM}.get(machine, ())
    for needed, instruction_set in table:
        if needed <= enabled:
            return instruction_set
    return GENERIC128


def _host() -> InstructionSet:
    triple, _, features = cpu()
    return select(triple, features)


TARGET = _host()
OPERANDS = {"u8": np.uint8, "s8": np.int8, "s16": np.int16}
OPERAND = OPERANDS[TARGET.operand]
