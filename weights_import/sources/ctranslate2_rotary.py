"""The rotary positions of a layer of attention in CTranslate2's files."""

from __future__ import annotations

import numpy as np

from weights_import.errors import CheckpointError
from weights_import.sources import rotary_heads
from weights_import.sources.ctranslate2_variables import Variables
from weights_import.sources.rope_scaling import by_wavelength

LARGEST_BASE, LARGEST_FACTOR = 1e15, 1e6
LINEAR, LLAMA3, UNSCALED = 0, 2, -1
ORIGINAL, MOST = "original_max_position_embeddings", "max_position_embeddings"
FACTOR = "rotary_scaling_factor"
LACKING = (
    "the file lacks the factor by which Llama 3 scales its positions, because CTranslate2's"
    " converter leaves it out, so positions are not scaled; CTranslate2 does not scale them either"
)

Frequencies = tuple[float, ...]


def frequencies(variables: Variables, at: str, size: int) -> Frequencies:
    """The angles of the rotary positions of a layer with heads of `size` columns.

    There are none without rotary positions.  Raises CheckpointError for positions that are not
    read.
    """
    if f"{at}/rotary_dim" not in variables:
        return ()
    columns = variables.whole(f"{at}/rotary_dim", 0, least=0) or size
    base = variables.number(f"{at}/rotary_base", 10000)
    if columns > size or columns % 2 or not 1 < base <= LARGEST_BASE:
        raise CheckpointError(
            f"{at}: rotary positions of {columns} columns of {size} with the base {base:g}"
        )
    _check_lengths(variables, at)
    found = rotary_heads.frequencies(base, columns)
    kind = variables.number(f"{at}/rotary_scaling_type", UNSCALED)
    if kind == UNSCALED:
        return found
    if kind not in (LINEAR, LLAMA3):
        raise CheckpointError(
            f"{at}: rotary positions that are scaled by kind {kind:g} are not read"
        )
    factor = variables.number(f"{at}/{FACTOR}", 1)
    if not 1 <= factor <= LARGEST_FACTOR:
        raise CheckpointError(f"{at}/{FACTOR}: {factor:g}, expected 1 to {LARGEST_FACTOR:g}")
    if kind == LINEAR:
        return tuple(one / factor for one in found)
    return _as_llama3(variables, at, factor, found)


def _check_lengths(variables: Variables, at: str) -> None:
    """Raises CheckpointError for more positions than the original ones, because then CTranslate2
    scales sines and cosines too."""
    original, most = (variables.whole(f"{at}/{name}", 0, least=0) for name in (ORIGINAL, MOST))
    if 0 < original < most:
        raise CheckpointError(
            f"{at}: rotary positions that are scaled from {original} to {most} (longrope)"
            " are not read"
        )


def _as_llama3(variables: Variables, at: str, factor: float, found: Frequencies) -> Frequencies:
    """The frequencies of Llama 3; raises CheckpointError for limits that are none."""
    low = variables.number(f"{at}/rotary_low_freq_factor", 1)
    high = variables.number(f"{at}/rotary_high_freq_factor", 4)
    length = variables.whole(f"{at}/{ORIGINAL}", 0, least=0)
    if not 0 < low < high:
        raise CheckpointError(f"{at}: rotary_low_freq_factor {low:g}, but the high one {high:g}")
    return tuple(by_wavelength(np.array(found), factor, length, low, high).tolist())


def lacking(variables: Variables) -> list[str]:
    """What is to be said of positions whose scale the file does not tell."""
    types = [name for name in variables if name.endswith("/rotary_scaling_type")]
    scaled = [name for name in types if variables.number(name, UNSCALED) == LLAMA3]
    told = [f"{name.rpartition('/')[0]}/{FACTOR}" in variables for name in scaled]
    return [] if all(told) else [LACKING]
