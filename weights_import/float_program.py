"""A float program: typed float operations over named values, the float twin of a Program.

A reader turns a checkpoint into a float program.  The forward pass, the calibration, the changes of
basis and the lowering are walks over its list of operations.  Which operation makes a value, and
which operations use it, follows from the list.

The rows of a value are the tokens of all sentences, one sentence after another, without padding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from weights_import.lowering.emitter import Emitter
from weights_import.lowering.scaled import Scaled
from weights_import.run import Run
from weights_import.tensors import Float32, Float64


@dataclass(frozen=True, kw_only=True)
class Operation(ABC):
    """One operation of a float program; `out` names its result."""

    out: str

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The values that it reads, in the order of its formula."""

    @property
    def weights(self) -> tuple[str, ...]:
        """The tensors that it reads."""
        return ()

    @property
    def terms(self) -> tuple[str, ...]:
        """The inputs that it takes as terms of a sum, in the bits of the residual."""
        return ()

    @property
    def factors(self) -> tuple[str, ...]:
        """The inputs that it multiplies with others, in 16 bits."""
        return ()

    @property
    def lazy(self) -> bool:
        """Whether the operations that read its result emit it, and not the operation itself."""
        return False

    @abstractmethod
    def run(self, run: Run) -> Float32:
        """Its result [rows, features] for the values of a run."""

    def prepare(self, emitter: Emitter) -> None:  # noqa: B027, most prepare nothing
        """Change the basis of its inputs, before it runs on the calibration text."""

    @abstractmethod
    def lower(self, emitter: Emitter) -> None:
        """Emit integer instructions, after it ran on the calibration text."""

    def branch(self, emitter: Emitter) -> Scaled:
        """Its integer result as a term of a sum."""
        return emitter.scaled[self.out]

    def column_sizes(self, emitter: Emitter, value: str) -> Float64 | None:
        """The usual size of the weights that multiply each feature of an input.

        The result is None unless the operation is a product, because only a product can take over a
        scale for each feature.
        """
        return None

    def proportions(self, emitter: Emitter, value: str) -> Float64 | None:
        """The proportions that the scales of the features of an input must have.

        The result is None if the scales are free.
        """
        return None

    def absorb(self, emitter: Emitter, value: str, constant: Float32) -> None:
        """Add the `constant` that each row of an input now lacks."""
        raise NotImplementedError(f"{self.out} takes up no constant of {value}")

    def absorbs(self, emitter: Emitter, value: str) -> bool:
        """Whether `absorb` can do this for an input."""
        return False


Operations = tuple[Operation, ...]


@dataclass(frozen=True)
class FloatProgram:
    """The operations of a model.

    encoder     run once for the rows of the sources; empty for a decoder alone
    decoder     run for the rows of the targets; it reads values of the encoder by their names
    logits      the value from which a search chooses tokens, or an encoder alone a label; empty for
                an embedding
    output      the value with one row for each sentence that an encoder alone gives; else empty
    """

    encoder: Operations
    decoder: Operations
    logits: str
    output: str = ""

    @property
    def operations(self) -> Operations:
        """All of them, in the order in which they run."""
        return self.encoder + self.decoder

    def producers(self) -> dict[str, Operation]:
        """The operation that makes each value."""
        return {operation.out: operation for operation in self.operations}

    def consumers(self) -> dict[str, list[Operation]]:
        """The operations that read each value."""
        found: dict[str, list[Operation]] = {name: [] for name in self.producers()}
        for operation in self.operations:
            for name in dict.fromkeys(operation.inputs):
                found[name].append(operation)
        return found
