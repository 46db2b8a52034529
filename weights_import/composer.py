"""Composes a float program from operations and blocks, for the readers of checkpoints.

Names are the same for every checkpoint.  A product or norm NAME has the tensors NAME.weight,
NAME.gain and NAME.bias.  A reader says where it finds each of them in its file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from weights_import.arithmetic.activations import Activation as Function
from weights_import.errors import CheckpointError
from weights_import.float_program import FloatProgram, Operation
from weights_import.operations.activation import Activation
from weights_import.operations.add import Add
from weights_import.operations.attended import Over
from weights_import.operations.attention import Attention
from weights_import.operations.attention_scores import Polynomial, Softmax
from weights_import.operations.branch_norm import BranchNorm
from weights_import.operations.embedding import SINUSOIDS, Embedding
from weights_import.operations.head_norm import HeadNorm
from weights_import.operations.heads import Heads
from weights_import.operations.linear import Linear
from weights_import.operations.multiply import Multiply
from weights_import.operations.norm import Norm, NormKind
from weights_import.operations.normalize import Normalize
from weights_import.operations.pool import Pool, Pooling
from weights_import.operations.project import Project
from weights_import.operations.soft_cap import SoftCap
from weights_import.operations.ssru import Ssru
from weights_import.tensors import Float32, Stored, Tensors

Find = Callable[[str], "Stored | Float32 | None"]
Branch = Callable[[str], str]
SOFTMAX = Softmax()
QUANTISED = (
    " (weights that are quantised already are not read; import the checkpoint in floats that they"
    " were made of)"
)


@dataclass(frozen=True)
class Normed:
    """The norms of a model: their kind, their epsilon, and whether they have a bias."""

    kind: NormKind
    epsilon: float
    bias: bool = True


class Composer:
    """Collects the operations of one model and the tensors that they read.

    `find` gives the tensor of the checkpoint for a name, or None.  `width` is the number of
    features of the residual.  With `biases`, every product must have a bias.  Otherwise it may have
    one.
    """

    def __init__(self, find: Find, width: int, norm: Normed, biases: bool = True) -> None:
        self._find, self.width, self._norm, self._biases = find, width, norm, biases
        self.tensors = Tensors()
        self._stacks: dict[str, list[Operation]] = {"encoder": [], "decoder": []}
        self._stack = self._stacks["encoder"]
        self._widths: dict[str, int] = {}
        self._missing: list[str] = []
        self._misshapen: list[str] = []

    # Tensors.

    def tensor(self, name: str, *shape: int, required: bool = True) -> str:
        """Take a tensor of a shape from the checkpoint; its name."""
        found = self._find(name)
        if found is None:
            if required:
                self._missing.append(f"missing {name} {list(shape)}")
            return name
        tensor = found if isinstance(found, Stored) else Stored.of(found, name)
        if tensor.shape != shape:
            told = f"{list(tensor.shape)}, expected {list(shape)}"
            self._misshapen.append(f"wrong shape {name} {told}")
        self.tensors.put(name, tensor)
        return name

    def finish(
        self, logits: str, unused: Iterable[str] = (), output: str = ""
    ) -> tuple[FloatProgram, Tensors]:
        """The program and its tensors.

        `output` is the output of an encoder alone.  `unused` are tensors of the file that no
        operation reads.  Raises CheckpointError that lists every missing, misshapen, unused and
        damaged tensor.
        """
        problems = [*self._missing, *self._misshapen, *(f"unused {name}" for name in unused)]
        for name in self.tensors:
            values = self.tensors[name]
            if values.dtype != np.float32:
                told = QUANTISED if values.dtype.kind in "iu" else ""
                problems.append(f"wrong type {name} {values.dtype}, expected float32{told}")
            elif not np.isfinite(values).all():
                problems.append(f"not finite {name}")
        if problems:
            raise CheckpointError(f"{len(problems)} bad tensors: " + "; ".join(problems))
        encoder, decoder = (tuple(self._stacks[name]) for name in ("encoder", "decoder"))
        return FloatProgram(encoder, decoder, logits, output), self.tensors

    # Operations.

    def encode(self) -> None:
        """What follows belongs to the encoder."""
        self._stack = self._stacks["encoder"]

    def decode(self) -> None:
        """What follows belongs to the decoder."""
        self._stack = self._stacks["decoder"]

    def add(self, operation: Operation, width: int) -> str:
        """Append an operation whose result has `width` features; the name of its result."""
        self._stack.append(operation)
        self._widths[operation.out] = width
        return operation.out

    def embedding(
        self,
        out: str,
        table: str,
        vocabulary: int,
        scale: float = 1.0,
        positions: str = "",
        width: int = 0,
    ) -> str:
        """Rows of a table plus positions: rows of the table `positions`, sinusoids, or nothing.

        Without `width`, the rows are as wide as the model.
        """
        width = width or self.width
        self.tensor(table, vocabulary, width)
        made = Embedding(out=out, table=table, scale=scale, positions=positions)
        return self.add(made, width)

    def sinusoids(self) -> str:
        """Positions that are sinusoids; raises CheckpointError for a width that has none."""
        if self.width < 4 or self.width % 2:
            raise CheckpointError(
                f"d_model={self.width} has no sinusoidal positions (needs an even number >= 4)"
            )
        return SINUSOIDS

    def linear(self, out: str, x: str, width: int, name: str = "", bias: bool | None = None) -> str:
        """A product of `x` with a weight of `width` rows."""
        name = name or out
        self.tensor(f"{name}.weight", width, self._widths[x])
        self.tensor(f"{name}.bias", width, required=self._biases if bias is None else bias)
        return self.add(Linear(out=out, x=x, name=name), width)

    def norm(self, out: str, x: str) -> str:
        """The norm of a value."""
        width = self._widths[x]
        self.tensor(f"{out}.gain", width)
        self.tensor(f"{out}.bias", width, required=self._norm.bias)
        kind, epsilon = self._norm.kind, self._norm.epsilon
        return self.add(Norm(out=out, x=x, kind=kind, epsilon=epsilon), width)

    def pool(self, out: str, x: str, rows: Pooling) -> str:
        """One row for each sentence."""
        return self.add(Pool(out=out, x=x, rows=rows), self._widths[x])

    def normalize(self, out: str, x: str) -> str:
        """Rows of the Euclidean length 1."""
        return self.add(Normalize(out=out, x=x), self._widths[x])

    def project(self, out: str, x: str, name: str) -> str:
        """A product that is the residual stream itself, as wide as the model."""
        return self.add(Project(out=out, x=self.linear(name, x, self.width)), self.width)

    def activation(self, out: str, x: str, function: Function) -> str:
        return self.add(Activation(out=out, x=x, function=function), self._widths[x])

    def logits(self, x: str, vocabulary: int, cap: float = 0.0) -> str:
        """The product that the tokens are chosen by; its bias may be absent.

        A `cap` limits the logits.
        """
        product = self.linear("output", x, vocabulary, bias=False)
        if not cap:
            return product
        return self.add(SoftCap(out="output.capped", x=product, cap=cap), vocabulary)

    # Blocks.

    def post_norm(self, at: str, x: str, branch: Branch) -> str:
        """norm(x + branch(x))"""
        return self.norm(f"{at}.norm", self.plus(at, x, branch(x)))

    def pre_norm(self, at: str, x: str, branch: Branch) -> str:
        """x + branch(norm(x))"""
        return self.plus(at, x, branch(self.norm(f"{at}.norm", x)))

    def branch_norm(self, at: str, x: str, branch: Branch) -> str:
        """x + norm(branch(x))"""
        return self.plus(at, x, self._of_branch(at, branch(x)))

    def both_norms(self, at: str, x: str, branch: Branch) -> str:
        """x + norm(branch(norm(x)))"""
        y = branch(self.norm(f"{at}.norm", x))
        return self.plus(at, x, self._of_branch(at, y))

    def _of_branch(self, at: str, x: str) -> str:
        """The norm of the result of a sublayer, by the root of the mean square."""
        width, out = self._widths[x], f"{at}.branch_norm"
        self.tensor(f"{out}.gain", width)
        return self.add(BranchNorm(out=out, x=x, epsilon=self._norm.epsilon), width)

    def plus(self, at: str, x: str, y: str) -> str:
        """x + y, for the result y of a sublayer"""
        return self.add(Add(out=f"{at}.sum", a=y, b=x), self.width)

    def self_attention(
        self, at: str, x: str, heads: Heads, scores: Softmax | Polynomial = SOFTMAX
    ) -> str:
        """Attention of rows to the rows of their own sentence.

        In the decoder, a row sees itself and the rows before it.
        """
        query = self.linear(f"{at}.query", x, heads.width)
        key = self.linear(f"{at}.key", x, heads.key_width)
        value = self.linear(f"{at}.value", x, heads.key_width)
        if heads.norms:
            query = self._head_norm(f"{at}.query_norm", query, heads)
            key = self._head_norm(f"{at}.key_norm", key, heads)
        over: Over = "source" if self._stack is self._stacks["encoder"] else "target"
        return self._attended(at, (query, key, value), heads, scores, over)

    def _head_norm(self, out: str, x: str, heads: Heads) -> str:
        width = self._widths[x]
        size = width if heads.norms == "row" else heads.size
        self.tensor(f"{out}.gain", heads.size if heads.norms == "head" else width)
        return self.add(HeadNorm(out=out, x=x, size=size, epsilon=self._norm.epsilon), width)

    def memory(self, at: str, x: str, heads: Heads) -> tuple[str, str]:
        """Keys and values of the source, for attention in the decoder."""
        key = self.linear(f"{at}.key", x, heads.key_width)
        return key, self.linear(f"{at}.value", x, heads.key_width)

    def cross_attention(
        self, at: str, x: str, memory: tuple[str, str], heads: Heads,
        scores: Softmax | Polynomial = SOFTMAX,
    ) -> str:  # fmt: skip
        """Attention of the rows of the target to the rows of the source."""
        query = self.linear(f"{at}.query", x, heads.width)
        return self._attended(at, (query, *memory), heads, scores, "source")

    def _attended(
        self,
        at: str,
        operands: tuple[str, str, str],
        heads: Heads,
        scores: Softmax | Polynomial,
        over: Over,
    ) -> str:
        query, key, value = operands
        for name, shape in scores.shapes(heads.count).items():
            self.tensor(name, *shape)
        attention = Attention(
            out=f"{at}.context", query=query, key=key, value=value, heads=heads, over=over,
            scores=scores,
        )  # fmt: skip
        attention.check()
        return self.linear(f"{at}.output", self.add(attention, heads.width), self.width)

    def feed_forward(self, at: str, x: str, width: int, function: Function) -> str:
        """outer(f(inner(x)))"""
        inner = self.linear(f"{at}.inner", x, width)
        hidden = self.activation(f"{at}.hidden", inner, function)
        return self.linear(f"{at}.outer", hidden, self.width)

    def gated_feed_forward(self, at: str, x: str, width: int, function: Function) -> str:
        """outer(f(gate(x)) * inner(x))"""
        gate = self.linear(f"{at}.gate", x, width)
        opened = self.activation(f"{at}.opened", gate, function)
        inner = self.linear(f"{at}.inner", x, width)
        product = self.add(Multiply(out=f"{at}.product", a=opened, b=inner), width)
        return self.linear(f"{at}.outer", product, self.width)

    def ssru(self, at: str, x: str) -> str:
        """The recurrent cell, which has no product behind it."""
        gate = self.linear(f"{at}.gate", x, self.width, bias=True)
        cell = self.linear(f"{at}.cell", x, self.width, bias=False)
        return self.add(Ssru(out=f"{at}.out", x=cell, gate=gate), self.width)
