"""The angles of rotary positions as papers and documentation define them, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Config = dict[str, Any]


def angles_of(c: Config, size: int) -> tuple[list[float], float]:
    """The angle of each pair for one position, and the factor of what is turned."""
    told = c.get("rope_scaling") or c.get("rope_parameters") or {}
    method = told.get("rope_type", told.get("type", "default"))
    base = told.get("rope_theta", c.get("rope_theta", c.get("rotary_emb_base", 10000.0)))
    default = {"stablelm": 0.25, "gpt_neox": 0.25}.get(c["model_type"], 1.0)
    share = told.get("partial_rotary_factor", c.get("partial_rotary_factor", c.get("rotary_pct")))
    columns = int(size * (default if share is None else share))
    plain = [base ** (-i / columns) for i in range(0, columns, 2)]
    return SCALINGS[method](plain, c, told, base, columns)


def linear_scaling(f: list[float], c: Config, told: Config, *_: Any) -> tuple[list[float], float]:
    return [x / told["factor"] for x in f], 1.0


def llama3_scaling(f: list[float], c: Config, told: Config, *_: Any) -> tuple[list[float], float]:
    """The three cases of the wave lengths."""
    context, found = told["original_max_position_embeddings"], []
    low, high = told["low_freq_factor"], told["high_freq_factor"]
    for x in f:
        length = 2 * math.pi / x
        if length < context / high:
            found.append(x)
        elif length > context / low:
            found.append(x / told["factor"])
        else:
            smooth = (context / length - low) / (high - low)
            found.append((1 - smooth) * x / told["factor"] + smooth * x)
    return found, 1.0


def yarn_scaling(
    f: list[float], c: Config, told: Config, base: float, columns: int
) -> tuple[list[float], float]:
    context, factor = told["original_max_position_embeddings"], told["factor"]
    turns = told.get("beta_fast", 32), told.get("beta_slow", 1)
    ends = [columns * math.log(context / (t * 2 * math.pi)) / 2 / math.log(base) for t in turns]
    if told.get("truncate", True):
        ends = [math.floor(ends[0]), math.ceil(ends[1])]
    low, high = max(ends[0], 0), min(ends[1], columns - 1)
    high += 0.001 if low == high else 0
    found = []
    for i, x in enumerate(f):
        new = min(max((i - low) / (high - low), 0), 1)
        found.append(x * (1 - new) + x / factor * new)
    sizes = [0.1 * told.get(n, 0) * math.log(factor) + 1 for n in ("mscale", "mscale_all_dim")]
    return found, sizes[0] / sizes[1] if "mscale" in told else 0.1 * math.log(factor) + 1


def longrope_scaling(f: list[float], c: Config, told: Config, *_: Any) -> tuple[list[float], float]:
    context = c["original_max_position_embeddings"]
    longer = c["max_position_embeddings"] / context
    size = math.sqrt(1 + math.log(longer) / math.log(context))
    return [x / s for x, s in zip(f, told["short_factor"], strict=True)], size


SCALINGS: dict[str, Callable[..., tuple[list[float], float]]] = {
    "default": lambda f, *_: (f, 1.0),
    "linear": linear_scaling,
    "llama3": llama3_scaling,
    "yarn": yarn_scaling,
    "longrope": longrope_scaling,
}
