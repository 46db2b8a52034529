"""The neutral float Transformer that every reader fills: architecture, tensor names and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

SUPPORTED: dict[str, tuple[str, ...]] = {
    "decoder_cell": ("ssru",),
    "norm": ("l2",),
    "norm_position": ("post",),
    "attention": ("softmax",),
    "activation": ("relu",),
}


class CheckpointError(ValueError):
    """A checkpoint is damaged, or describes a model that is not supported; says what and where."""


@dataclass(frozen=True)
class Architecture:
    """What a Transformer is, besides its weights.

    `start` is the id embedded at the first decoder position, -1 the zero vector.  A translation
    of a source of n tokens (the closing `eos` counted) may take
    floor(max_length_factor * n) steps, and at least one.
    Raises CheckpointError that lists everything unsupported or inconsistent at once.
    """

    d_model: int
    heads: int
    d_ffn: int
    encoder_layers: int
    decoder_layers: int
    decoder_cell: Literal["self_attention", "ssru"]
    norm: Literal["l2", "l1"]
    norm_position: Literal["post", "pre"]
    norm_epsilon: float
    attention: Literal["softmax", "polynomial"]
    activation: Literal["relu"]
    embedding_scale: float
    start: int
    eos: int
    unk: int
    source_vocabulary: int
    target_vocabulary: int
    max_length_factor: float

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise CheckpointError("unsupported architecture: " + "; ".join(problems))

    @property
    def head_size(self) -> int:
        return self.d_model // self.heads

    def _problems(self) -> Iterator[str]:
        values = asdict(self)
        for name, known in SUPPORTED.items():
            if values[name] not in known:
                yield f"{name}={values[name]!r} (supported: {', '.join(known)})"
        for name in ("d_model", "heads", "d_ffn", "encoder_layers", "decoder_layers"):
            if values[name] < 1:
                yield f"{name}={values[name]} is not positive"
        if self.heads > 0 and self.d_model % self.heads:
            yield f"d_model={self.d_model} is not divisible by heads={self.heads}"
        if self.d_model < 4 or self.d_model % 2:
            yield f"d_model={self.d_model} has no sinusoidal positions (needs an even number >= 4)"
        smaller = min(self.source_vocabulary, self.target_vocabulary)
        for name in ("eos", "unk"):
            if not 0 <= values[name] < smaller:
                yield f"{name}={values[name]} is outside a vocabulary of {smaller}"
        if not -1 <= self.start < self.target_vocabulary:
            yield f"start={self.start} is outside a vocabulary of {self.target_vocabulary}"


@dataclass(frozen=True)
class Declared:
    """The shape of a tensor, and whether a model can do without it."""

    shape: tuple[int, ...]
    required: bool = True


def declare(architecture: Architecture) -> dict[str, Declared]:
    """Every tensor of a model by its canonical name; weights are [out, in], layers count from 0."""
    d, d_ffn = architecture.d_model, architecture.d_ffn
    source, target = architecture.source_vocabulary, architecture.target_vocabulary
    attention = {
        f"{projection}.{part}": Declared(shape)
        for projection in ("query", "key", "value", "output")
        for part, shape in (("weight", (d, d)), ("bias", (d,)))
    }
    ssru = {
        "cell.weight": Declared((d, d)),
        "cell.bias": Declared((d,), required=False),
        "gate.weight": Declared((d, d)),
        "gate.bias": Declared((d,)),
    }
    feed_forward = {
        "inner.weight": Declared((d_ffn, d)),
        "inner.bias": Declared((d_ffn,)),
        "outer.weight": Declared((d, d_ffn)),
        "outer.bias": Declared((d,)),
    }
    norm = {"norm.gain": Declared((d,)), "norm.bias": Declared((d,))}
    stacks = {
        "encoder": (architecture.encoder_layers, {"self": attention, "ffn": feed_forward}),
        "decoder": (
            architecture.decoder_layers,
            {"ssru": ssru, "cross": attention, "ffn": feed_forward},
        ),
    }
    layers = {
        f"{stack}.{layer}.{block}.{name}": declared
        for stack, (depth, blocks) in stacks.items()
        for layer in range(depth)
        for block, parts in blocks.items()
        for name, declared in (parts | norm).items()
    }
    return {
        "source_embedding": Declared((source, d)),
        "target_embedding": Declared((target, d)),
        **layers,
        "output.weight": Declared((target, d)),
        "output.bias": Declared((target,), required=False),
    }


@dataclass
class FloatModel:
    """A float Transformer: its architecture, its tensors, and where they come from.

    tensors     canonical name (see `declare`) -> float32; tied tensors are the same array object
    grids       canonical name -> step, where the source tensor is exactly int8 * step
    activation_multipliers
                canonical name of a weight -> the checkpoint's own calibrated m of that weight's
                GEMM: activation_int8 = round(x * m)
    tokenizers  "source" and "target" -> the bytes of a SentencePiece model
    provenance  file, sha256, format, and licence where it is known
    """

    architecture: Architecture
    tensors: dict[str, Float32]
    grids: dict[str, float] = field(default_factory=dict)
    activation_multipliers: dict[str, float] = field(default_factory=dict)
    tokenizers: dict[str, bytes] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def position_table(self, length: int) -> Float32:
        """Sinusoidal positions [length, d]: sin of every frequency, then cos of every frequency.

        frequency_i = 10000^(-i / (d/2 - 1)), i = 0 .. d/2 - 1 (Marian's and tensor2tensor's layout
        of Vaswani et al. 2017, section 3.5).
        """
        frequencies = 10000.0 ** -np.linspace(0.0, 1.0, self.architecture.d_model // 2)
        angles = np.arange(length)[:, None] * frequencies
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

    def validate(self) -> None:
        """Raises CheckpointError that lists every missing, unused, misshapen or damaged tensor."""
        declared = declare(self.architecture)
        problems = [
            f"missing {name} {list(tensor.shape)}"
            for name, tensor in declared.items()
            if tensor.required and name not in self.tensors
        ]
        for name, value in self.tensors.items():
            if name not in declared:
                problems.append(f"unused {name} {list(value.shape)}")
            elif value.shape != declared[name].shape:
                shapes = f"{list(value.shape)}, expected {list(declared[name].shape)}"
                problems.append(f"wrong shape {name} {shapes}")
            elif value.dtype != np.float32:
                problems.append(f"wrong type {name} {value.dtype}, expected float32")
            elif not np.isfinite(value).all():
                problems.append(f"not finite {name}")
        if problems:
            raise CheckpointError(f"{len(problems)} bad tensors: " + "; ".join(problems))
