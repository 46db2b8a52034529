"""Loops of int8 multiply-adds between registers.  They measure the peak speed of a core."""

from __future__ import annotations

from dataclasses import dataclass

TURNS = 300_000


@dataclass(frozen=True)
class Loop:
    """Steps of a matrix product.  The loop runs each line of `step` for all accumulators in turn.

    In a line, {x} and {y} are factors, {ones} is a third factor, {t} and {u} are temporaries, and
    {a} is the accumulator.  A step computes `products` multiply-adds.  `exact`: the loop computes
    exact sums of products of int8 values. vpmaddubsw saturates, so it is exact only for weights
    whose sums of four products fit in 16 bits (`int8ref.spec.pair_sums`).  Products without
    additions are not sums.
    """

    feature: str
    register: str
    products: int
    accumulators: int
    exact: bool
    step: tuple[str, ...]

    def operations(self) -> int:
        """Return the number of multiplications and additions in TURNS turns."""
        return 2 * TURNS * self.accumulators * self.products

    def assembly(self) -> str:
        """Return a function in AT&T syntax.  Its parameter is the number of turns.

        The code does not initialise the registers.
        """
        lines = []
        for line in self.step:
            for a in range(self.accumulators):
                numbers = {"x": 0, "y": 1, "ones": 2}
                numbers |= {
                    name: 15 - place * self.accumulators - a for place, name in enumerate("atu")
                }
                names = {key: f"%{self.register}{number}" for key, number in numbers.items()}
                lines.append(line.format(**names))
        body = "\n".join(lines)
        return f".globl peak\npeak:\n1:\n{body}\ndec %rdi\njnz 1b\nvzeroupper\nret\n"


MULTIPLY, ADD = "vpmaddwd {y}, {x}, {t}", "vpaddd {t}, {a}, {a}"
BYTES = ("vpmaddubsw {y}, {x}, {t}", "vpmaddwd {ones}, {t}, {t}", ADD)
QUADS = (
    "vpmaddubsw {y}, {x}, {t}",
    "vpmaddubsw {y}, {x}, {u}",
    "vpaddw {u}, {t}, {t}",
    "vpmaddwd {ones}, {t}, {t}",
    ADD,
)
LOOPS = {
    "vpdpbusd zmm": Loop("avx512vnni", "zmm", 64, 12, True, ("vpdpbusd {y}, {x}, {a}",)),
    "vpdpbusd ymm": Loop("avxvnni", "ymm", 32, 12, True, ("{{vex}} vpdpbusd {y}, {x}, {a}",)),
    "vpmaddwd zmm": Loop("avx512bw", "zmm", 32, 7, True, (MULTIPLY, ADD)),
    "vpmaddwd ymm": Loop("avx2", "ymm", 16, 7, True, (MULTIPLY, ADD)),
    "vpmaddwd ymm, no sums": Loop("avx2", "ymm", 16, 7, False, (MULTIPLY,)),
    "vpmaddubsw ymm": Loop("avx2", "ymm", 32, 6, False, BYTES),
    "vpmaddubsw ymm, sums of four": Loop("avx2", "ymm", 64, 4, True, QUADS),
}
