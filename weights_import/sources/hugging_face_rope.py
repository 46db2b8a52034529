"""How configurations of Hugging Face's transformers tell of rotary positions and their scaling.

Newer ones have one object, `rope_parameters`.  Older ones have `rope_scaling`, and `rope_theta`
beside it.  Frequencies that depend on the length of a text are read for the texts of the first
training alone, which limits the positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np

from weights_import.errors import CheckpointError
from weights_import.sources import rope_scaling, rotary_heads
from weights_import.sources.hugging_face_decoder_config import Config, Factor, Positions
from weights_import.sources.rope_scaling import Rotary
from weights_import.tensors import Float64

Base = Annotated[float, msgspec.Meta(gt=1, le=1e15)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Scale = Annotated[float, msgspec.Meta(ge=0, le=2**10)]
Method = Literal["default", "dynamic", "linear", "llama3", "yarn", "longrope"]
LONG = "longrope", "su"
"""A method whose frequencies depend on the length of a text, and its older name."""
FAST, SLOW = 32.0, 1.0


class Rope(msgspec.Struct, frozen=True, kw_only=True):
    """How positions turn: the fields of all methods of scaling."""

    rope_type: Method | None = None
    type: Method | Literal["su"] | None = None
    attention_factor: Factor | None = None
    beta_fast: Factor | None = None
    beta_slow: Factor | None = None
    factor: Factor | None = None
    high_freq_factor: Factor = 4.0
    low_freq_factor: Factor = 1.0
    mscale: Scale | None = None
    mscale_all_dim: Scale | None = None
    original_max_position_embeddings: Positions | None = None
    partial_rotary_factor: Share | None = None
    rope_theta: Base | None = None
    short_factor: list[Factor] | None = None
    truncate: bool = True

    @property
    def method(self) -> str:
        """The method of scaling."""
        return self.rope_type or self.type or "default"


class RotaryConfig(Config, frozen=True, kw_only=True):
    """A decoder whose positions turn queries and keys: whole heads, unless its kind has `parts`."""

    parts: ClassVar[bool] = False
    original_max_position_embeddings: Positions | None = None
    partial_rotary_factor: Share = 1.0
    rope_parameters: Rope = Rope()
    rope_scaling: Rope | None = None
    rope_theta: Base = 10000.0

    @property
    def rope(self) -> Rope:
        """The settings of positions in one object."""
        return self.rope_scaling or self.rope_parameters

    @property
    def base(self) -> float:
        """The base of the frequencies."""
        return self.rope.rope_theta or self.rope_theta

    @property
    def columns(self) -> int:
        """The columns of a head that turn; raises CheckpointError for a part of them."""
        told = self.rope.partial_rotary_factor
        share = self.partial_rotary_factor if told is None else told
        if share != 1 and not self.parts:
            raise CheckpointError(f"partial_rotary_factor={share} (supported: 1)")
        return int(self.head_size * share)

    @property
    def original(self) -> int:
        """The positions of the first training."""
        return (
            self.original_max_position_embeddings
            or self.rope.original_max_position_embeddings
            or self.max_position_embeddings
        )

    @property
    def positions(self) -> int:
        most = super().positions
        return min(most, self.original) if self.rope.method in LONG else most

    @property
    def rotary(self) -> Rotary:
        plain = np.array(rotary_heads.frequencies(self.base, self.columns), np.float64)
        frequencies, magnitude = METHODS[self.rope.method](self, plain)
        return Rotary(tuple(frequencies.tolist()), magnitude)


Scaling = tuple[Float64, float]


def _as_trained(config: RotaryConfig, f: Float64) -> Scaling:
    """Within the positions that a model was trained for, `dynamic` scaling changes nothing."""
    return f, 1.0


def _linear(config: RotaryConfig, f: Float64) -> Scaling:
    return rope_scaling.linear(f, _factor(config)), 1.0


def _llama3(config: RotaryConfig, f: Float64) -> Scaling:
    rope = config.rope
    low, high = rope.low_freq_factor, rope.high_freq_factor
    if low >= high:
        raise CheckpointError(f"low_freq_factor={low} is not below high_freq_factor={high}")
    return rope_scaling.by_wavelength(f, _factor(config), config.original, low, high), 1.0


def _yarn(config: RotaryConfig, f: Float64) -> Scaling:
    rope, factor = config.rope, _ratio(config)
    ends = rope.beta_fast or FAST, rope.beta_slow or SLOW
    ramp = rope_scaling.Ramp(config.base, config.columns, config.original, *ends, rope.truncate)
    magnitude = rope_scaling.yarn_magnitude
    told = rope.attention_factor
    if told is None and rope.mscale and rope.mscale_all_dim:
        told = magnitude(factor, rope.mscale) / magnitude(factor, rope.mscale_all_dim)
    return rope_scaling.by_ramp(f, factor, ramp), told or magnitude(factor)


def _longrope(config: RotaryConfig, f: Float64) -> Scaling:
    rope, factors = config.rope, config.rope.short_factor or []
    if len(factors) != len(f):
        raise CheckpointError(f"short_factor lists {len(factors)} numbers for {len(f)} pairs")
    told = rope.attention_factor
    magnitude = rope_scaling.longrope_magnitude(_ratio(config), config.original)
    return f / np.array(factors, np.float64), told or magnitude


METHODS: dict[str, Callable[[RotaryConfig, Float64], Scaling]] = {
    "default": _as_trained,
    "dynamic": _as_trained,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
    **dict.fromkeys(LONG, _longrope),
}


def _factor(config: RotaryConfig) -> float:
    """The factor of the scaling; raises CheckpointError without one."""
    if config.rope.factor is None:
        raise CheckpointError(f"rope scaling {config.rope.method!r} without its factor")
    return config.rope.factor


def _ratio(config: RotaryConfig) -> float:
    """The factor by which the positions of the model outnumber the original ones."""
    return config.rope.factor or config.max_position_embeddings / config.original
