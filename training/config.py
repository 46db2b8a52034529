"""The configuration of a run: one TOML file.  Every key is checked."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Section = TypeVar("Section")


@dataclass(frozen=True)
class Data:
    """Text files (plain, .gz or .xz).  Paths are relative to the data root.

    `source` is empty for a language model.  A corpus is a list of files, which are concatenated.

    `held_out` = [n, m] splits n validation pairs and m test pairs off the training text.  No line
    of these pairs is a training line in either language.  Without `held_out`, the files `valid_*`
    and `test_*` are read.

    `tokenizer_lines` is the number of training lines a side, evenly spaced, that train the
    tokenizer.  0: all lines.

    `max_length` is the largest length of a training line in ids, or the window of a language model.

    `reverse` exchanges source and target of all text after the split.  Both directions of one
    configuration then have the same held-out pairs.

    `lowercase` lower-cases all text after reading, including references.  The model then reads and
    writes lower-case text.
    """

    train_target: tuple[str, ...]
    train_source: tuple[str, ...] = ()
    valid_source: tuple[str, ...] = ()
    valid_target: tuple[str, ...] = ()
    test_source: tuple[str, ...] = ()
    test_target: tuple[str, ...] = ()
    held_out: tuple[int, ...] = ()
    reverse: bool = False
    vocabulary: int = 6000
    tokenizer: str = "unigram"
    tokenizer_lines: int = 0
    normalization: str = "nmt_nfkc"
    user_symbols: tuple[str, ...] = ()
    lowercase: bool = False
    max_length: int = 100
    seed: int = 1


@dataclass(frozen=True)
class Model:
    """Shape of the network.  `attention` and `norm` are the two compared parts.

    encoder_layers = 0 makes a decoder-only language model.  `precision` is the precision of matrix
    products in training: "float32", "bfloat16", or "auto" (see `model.linear`).
    """

    d_model: int = 128
    heads: int = 4
    ffn: int = 256
    encoder_layers: int = 4
    decoder_layers: int = 4
    attention: str = "softmax"
    degree: int = 2
    norm: str = "l2"
    norm_position: str = "pre"
    dropout: float = 0.3
    max_positions: int = 256
    precision: str = "auto"

    def __post_init__(self) -> None:
        one_of("model.attention", self.attention, ("softmax", "polynomial"))
        one_of("model.norm", self.norm, ("l2", "l1"))
        one_of("model.precision", self.precision, ("auto", "float32", "bfloat16"))
        one_of("model.norm_position", self.norm_position, ("pre", "post"))
        if self.d_model % (2 * self.heads):
            raise ValueError(f"model.d_model = {self.d_model} is no multiple of 2 * heads")
        if self.degree < 1:
            raise ValueError(f"model.degree = {self.degree}, but a polynomial needs at least 1")


@dataclass(frozen=True)
class Optim:
    """The optimiser, and the schedule of the learning rate (see `schedule.learning_rate`).

    `steps` is the number of steps of a cycle.  A finished run continues from its end if the
    configuration asks for more cycles.

    A step sums the gradients of `batches_per_step` batches of at most `batch_tokens` ids a side.
    The processes of a run share these batches, so their number does not change the step.

    `kind` is "adam", or "nesterov" for gradient descent with Nesterov's momentum.  `schedule` is
    "inverse_sqrt" or "cosine".
    """

    steps: int
    cycles: int = 1
    batch_tokens: int = 3000
    batches_per_step: int = 1
    kind: str = "adam"
    schedule: str = "inverse_sqrt"
    momentum: float = 0.99
    learning_rate: float = 5e-3
    warmup: int = 1000
    cooldown: int = 0
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-8
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        one_of("optim.kind", self.kind, ("adam", "nesterov"))
        one_of("optim.schedule", self.schedule, ("inverse_sqrt", "cosine"))
        if self.batches_per_step < 1:
            raise ValueError(f"optim.batches_per_step = {self.batches_per_step}, but at least 1")


@dataclass(frozen=True)
class Report:
    """Intervals of logging, validation and saving, and the snapshots to average."""

    log_steps: int = 50
    valid_steps: int = 500
    valid_lines: int = 500
    save_seconds: float = 180.0
    average_steps: int = 300
    average_last: int = 8


@dataclass(frozen=True)
class Config:
    """The configuration of a run.

    The exported file stores `languages` (source, target), `origin` and `licence` of the training
    text.  They have no other effect.
    """

    name: str
    data: Data
    optim: Optim
    model: Model = field(default_factory=Model)
    report: Report = field(default_factory=Report)
    languages: tuple[str, ...] = ()
    origin: str = ""
    licence: str = ""


def one_of(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{what} = {value!r}, but it must be one of {', '.join(choices)}")


def section(kind: type[Section], values: dict[str, Any], name: str) -> Section:
    """Build a dataclass from a TOML table.  An unknown or missing key is an error."""
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ValueError(f"[{name}] has unknown keys: {', '.join(unknown)}")
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return kind(**frozen)
    except TypeError as error:
        raise ValueError(f"[{name}]: {error}") from None


def build(table: dict[str, Any]) -> Config:
    """Build a configuration from nested dictionaries, as TOML or JSON files contain."""
    unknown = sorted(set(table) - {f.name for f in dataclasses.fields(Config)})
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)}")
    if "name" not in table:
        raise ValueError("the key `name` is missing")
    return Config(
        name=table["name"],
        data=section(Data, table.get("data", {}), "data"),
        model=section(Model, table.get("model", {}), "model"),
        optim=section(Optim, table.get("optim", {}), "optim"),
        report=section(Report, table.get("report", {}), "report"),
        languages=tuple(table.get("languages", ())),
        origin=table.get("origin", ""),
        licence=table.get("licence", ""),
    )


def load(path: Path, overrides: tuple[str, ...] = ()) -> Config:
    """Read a configuration file.  An override is a line of TOML such as `optim.seed = 2`.

    An override replaces a key of the file, so that one file serves several seeds or an ablation.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    for line in overrides:
        for key, value in tomllib.loads(line).items():
            if isinstance(value, dict):
                table.setdefault(key, {}).update(value)
            else:
                table[key] = value
    return build(table)
