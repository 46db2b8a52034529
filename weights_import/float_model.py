"""The neutral float Transformer that every reader fills: architecture, tensor names and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from int8ref.errors import UserError
from int8ref.program.program import SourceFrame
from int8ref.reference.attention_polynomial import MAX_DEGREE

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Activation = Literal["relu", "swish", "gelu"]

SUPPORTED: dict[str, tuple[str, ...]] = {
    "decoder_cell": ("ssru", "self_attention"),
    "norm": ("l2", "l1", "rms"),
    "norm_position": ("post", "pre"),
    "attention": ("softmax", "polynomial"),
    "activation": get_args(Activation),
}


MESSAGE_LENGTH = 8000


class CheckpointError(UserError, ValueError):
    """A checkpoint is damaged, or describes a model that is not supported; says what and where.

    What a file says may stand in the message: it is in one line, of printable characters, and
    not longer than a few thousand of them.
    """

    def __init__(self, message: str) -> None:
        if len(message) > MESSAGE_LENGTH:
            message = f"{message[:MESSAGE_LENGTH]} ..."
        if not message.isprintable():
            escaped = (c if c.isprintable() else ascii(c)[1:-1] for c in message)
            message = "".join(escaped)
        super().__init__(message)


@dataclass(frozen=True)
class Architecture:
    """What a Transformer is, besides its weights.

    Without encoder layers it is a decoder alone: a language model, with no source at all.
    `start` is the id embedded at the first decoder position, -1 the zero vector.  A translation
    of a source of n tokens (its `frame` counted) may take floor(max_length_factor * n) steps, and
    at least one.  `source_frame` is what stands around the tokens of a source, if it is not `eos`
    after them.  `eos` and `unk` are ids of the target, and of the source too unless
    `source_special` names other two.  `degree` is that of polynomial attention,
    [ReLU(score + b)]^degree + |delta|; else 0.  `alpha` is the exponent of the length by which a
    beam search of this model divides.  `max_positions` is the length of the table of
    positions in the checkpoint; 0 stands for sinusoids, as many as are needed.  Where `rotary` has
    the angles a position turns each pair of columns (i, i + pairs) of a head of queries or keys by,
    there is no such table, and `max_positions` is what the model was trained for.
    `key_heads` heads of keys and values serve equal groups of heads of queries; 0: one each.
    `target_prefix` are the tokens that every translation was taught to begin with.
    `embedding_norm` tells whether what is embedded is normed before the first layer; `gated`,
    whether the hidden layer is activation(gate) * inner; `biases`, whether all products and norms
    must have one.
    Raises CheckpointError that lists everything unsupported or inconsistent at once.
    """

    d_model: int
    heads: int
    d_ffn: int
    encoder_layers: int
    decoder_layers: int
    decoder_cell: Literal["self_attention", "ssru"]
    norm: Literal["l2", "l1", "rms"]
    norm_position: Literal["post", "pre"]
    norm_epsilon: float
    attention: Literal["softmax", "polynomial"]
    activation: Activation
    embedding_scale: float
    start: int
    eos: int
    unk: int
    source_vocabulary: int
    target_vocabulary: int
    max_length_factor: float
    degree: int = 0
    max_positions: int = 0
    alpha: float = 1.0
    source_frame: SourceFrame | None = None
    source_special: tuple[int, int] | None = None
    embedding_norm: bool = False
    target_prefix: tuple[int, ...] = ()
    rotary: tuple[float, ...] = ()
    key_heads: int = 0
    gated: bool = False
    biases: bool = True

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise CheckpointError("unsupported architecture: " + "; ".join(problems))

    @property
    def frame(self) -> SourceFrame:
        """What stands around the tokens of a source."""
        return SourceFrame(after=(self.eos,)) if self.source_frame is None else self.source_frame

    @property
    def head_size(self) -> int:
        return self.d_model // self.heads

    @property
    def group(self) -> int:
        """Heads of queries that share a head of keys and values."""
        return self.heads // self.key_heads if self.key_heads else 1

    @property
    def key_width(self) -> int:
        """Columns of keys, and of values."""
        return self.d_model // self.group

    def _problems(self) -> Iterator[str]:
        values = asdict(self)
        for name, known in SUPPORTED.items():
            if values[name] not in known:
                yield f"{name}={values[name]!r} (supported: {', '.join(known)})"
        for name in ("d_model", "heads", "d_ffn", "decoder_layers"):
            if values[name] < 1:
                yield f"{name}={values[name]} is not positive"
        for name in ("encoder_layers", "max_positions", "key_heads"):
            if values[name] < 0:
                yield f"{name}={values[name]} is negative"
        degrees = range(1, MAX_DEGREE + 1) if self.attention == "polynomial" else [0]
        if self.degree not in degrees:
            yield f"degree={self.degree} of {self.attention} attention (supported: {[*degrees]})"
        if self.heads > 0 and self.d_model % self.heads:
            yield f"d_model={self.d_model} is not divisible by heads={self.heads}"
        if self.heads > 0 and self.key_heads and self.heads % self.key_heads:
            yield f"heads={self.heads} are no groups of key_heads={self.key_heads}"
        if self.heads > 0 and 2 * len(self.rotary) > self.head_size:
            yield f"rotary has {len(self.rotary)} pairs of columns in heads of {self.head_size}"
        if self.rotary and self.encoder_layers:
            yield "rotary positions with an encoder"
        if not self.max_positions and (self.d_model < 4 or self.d_model % 2):
            yield f"d_model={self.d_model} has no sinusoidal positions (needs an even number >= 4)"
        smaller = self.target_vocabulary
        if self.encoder_layers and self.source_special is None:
            smaller = min(smaller, self.source_vocabulary)
        if self.source_vocabulary and not self.encoder_layers:
            yield f"source_vocabulary={self.source_vocabulary} without an encoder"
        for name in ("eos", "unk"):
            if not 0 <= values[name] < smaller:
                yield f"{name}={values[name]} is outside a vocabulary of {smaller}"
        around = [*self.frame.before, *self.frame.after, *(self.source_special or ())]
        if self.encoder_layers and not all(0 <= t < self.source_vocabulary for t in around):
            yield f"source tokens {around} are outside a vocabulary of {self.source_vocabulary}"
        if not all(0 <= token < self.target_vocabulary for token in self.target_prefix):
            yield f"target_prefix={self.target_prefix} is outside the vocabulary"
        if not -1 <= self.start < self.target_vocabulary:
            yield f"start={self.start} is outside a vocabulary of {self.target_vocabulary}"


def sinusoids(first: int, length: int, width: int) -> Float32:
    """Positions [length, width] from `first` on: sin of every frequency, then cos of every one,
    frequency_i = 10000^(-i / (width/2 - 1)), i = 0 .. width/2 - 1 (Marian's and tensor2tensor's
    layout of Vaswani et al. 2017, section 3.5)."""
    frequencies = 10000.0 ** -np.linspace(0.0, 1.0, width // 2)
    return waves(np.arange(first, first + length), frequencies).astype(np.float32)


def waves(positions: NDArray[np.int64], frequencies: Float64) -> Float64:
    """sin of every frequency, then cos of every one, of each position."""
    angles = positions[:, None] * frequencies
    found: Float64 = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    return found


@dataclass(frozen=True)
class Declared:
    """The shape of a tensor, and whether a model can do without it."""

    shape: tuple[int, ...]
    required: bool = True


def declare(architecture: Architecture) -> dict[str, Declared]:
    """Every tensor of a model by its canonical name; weights are [out, in], layers count from 0."""
    d, d_ffn = architecture.d_model, architecture.d_ffn
    source, target = architecture.source_vocabulary, architecture.target_vocabulary

    def product(name: str, outputs: int, inputs: int) -> dict[str, Declared]:
        bias = Declared((outputs,), required=architecture.biases)
        return {f"{name}.weight": Declared((outputs, inputs)), f"{name}.bias": bias}

    attention = {
        **product("query", d, d),
        **product("key", architecture.key_width, d),
        **product("value", architecture.key_width, d),
        **product("output", d, d),
    }
    if architecture.attention == "polynomial":
        attention |= {part: Declared((architecture.heads,)) for part in ("score_bias", "delta")}
    ssru = {
        "cell.weight": Declared((d, d)),
        "cell.bias": Declared((d,), required=False),
        "gate.weight": Declared((d, d)),
        "gate.bias": Declared((d,)),
    }
    gate = product("gate", d_ffn, d) if architecture.gated else {}
    feed_forward = {**gate, **product("inner", d_ffn, d), **product("outer", d, d_ffn)}
    norm = {"norm.gain": Declared((d,)), "norm.bias": Declared((d,), architecture.biases)}
    first = {"ssru": ssru} if architecture.decoder_cell == "ssru" else {"self": attention}
    cross = {"cross": attention} if architecture.encoder_layers else {}
    stacks = {
        "encoder": (architecture.encoder_layers, {"self": attention, "ffn": feed_forward}),
        "decoder": (architecture.decoder_layers, first | cross | {"ffn": feed_forward}),
    }
    declared = {"target_embedding": Declared((target, d))}
    if architecture.encoder_layers:
        declared = {"source_embedding": Declared((source, d)), **declared}
    if architecture.max_positions and not architecture.rotary:
        declared["positions"] = Declared((architecture.max_positions, d))
        if architecture.encoder_layers:
            table = declared["positions"].shape
            declared["target_positions"] = Declared(table, required=False)
    for stack, (depth, blocks) in stacks.items():
        for layer in range(depth):
            for block, parts in blocks.items():
                at = f"{stack}.{layer}.{block}"
                declared |= {f"{at}.{name}": found for name, found in (parts | norm).items()}
        if depth and architecture.norm_position == "pre":
            declared |= {f"{stack}.{name}": found for name, found in norm.items()}
        if depth and architecture.embedding_norm:
            declared |= {f"{stack}.embedding_{name}": found for name, found in norm.items()}
    return declared | {
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
    languages   codes of source and target language, where the checkpoint tells them
    frames      what may stand around a source, by the names that a user asks for it; empty where
                the format leaves no choice
    doubt       why the frame must be asked for, empty where the checkpoint tells it
    wanted      what the files of its tokenizers may be called, where not as `sources.tokenizers`
                has it
    warnings    what the model does not do as its checkpoint says, a sentence each
    """

    architecture: Architecture
    tensors: dict[str, Float32]
    grids: dict[str, float] = field(default_factory=dict)
    activation_multipliers: dict[str, float] = field(default_factory=dict)
    tokenizers: dict[str, bytes] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    languages: tuple[str, str] | None = None
    frames: dict[str, SourceFrame] = field(default_factory=dict)
    doubt: str = ""
    wanted: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, tied ones once."""
        return sum({id(tensor): tensor.nbytes for tensor in self.tensors.values()}.values())

    def position_name(self, side: str) -> str:
        """The name of the table of positions of the source or the target, mostly the same."""
        own = f"{side}_positions"
        return own if own in self.tensors else "positions"

    def position_table(self, side: str, length: int) -> Float32:
        """Positions [length, d] of the source or the target: those of the checkpoint, which may
        have a table of its own for the target; or sinusoids where it has none.

        Raises ValueError for more than there are.
        """
        if self.architecture.max_positions:
            if length > self.architecture.max_positions:
                raise ValueError(
                    f"{length} positions, but the model has only {self.architecture.max_positions}"
                )
            return self.tensors[self.position_name(side)][:length]
        return sinusoids(0, length, self.architecture.d_model)

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
