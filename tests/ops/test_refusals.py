"""The reference refuses incomplete operands and operands out of range, as `prove` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from int8ref.reference import operation
from tests.helpers.width_cases import corner_operands


def corner(op: str, **wanted: bool) -> dict[str, Any]:
    """The first corner case in which these operands are present (True) or absent (False)."""
    return next(
        given
        for given in corner_operands(op)
        if all((given[name] is not None) == present for name, present in wanted.items())
    )


SOFTMAX = corner("attention_softmax", sentence=True, addend=False, cap_shift=False, window=False)
HEADS = SOFTMAX["score_multiplier"]
ADDEND = {"addend": HEADS[:, None], "before": 0, "after": 0}
CAP = {"cap_multiplier": HEADS, "cap_shift": 1}
PLAIN = corner("embed", positions=False, channel_multiplier=False) | {"multiplier": 1}
WAVE = corner("embed", wave=True)
ADD, BRANCH = (corner(op, exponent=True) for op in ("match_add", "rms_norm_branch"))
NO_BRANCH = corner("rms_norm_branch", exponent=False)
LOGITS = corner("log_softmax", cap_shift=False)
LINEAR = corner("linear", multiplier=True)

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("match_add", ADD | {"exponent": None}, "exponent and bias need each other"),
    ("match_add", ADD | {"bias": None}, "exponent and bias need each other"),
    ("rms_norm_branch", BRANCH | {"bias": None}, "bias_shift need each other"),
    ("rms_norm_branch", BRANCH | {"exponent": None}, "need each other"),
    ("rms_norm_branch", NO_BRANCH | {"bias_shift": 1}, "need each other"),
    ("log_softmax", LOGITS | {"cap_shift": 1}, "cap_shift need each other"),
    ("linear", LINEAR | {"shift": None}, "a multiplier needs a shift"),
    ("attention_softmax", SOFTMAX | {"sentence": None}, "sentence and key_offsets need each other"),
    ("attention_softmax", SOFTMAX | {"window": 1}, "a window is of a history"),
    ("attention_softmax", SOFTMAX | ADDEND | {"after": None}, "before and after need each other"),
    ("attention_softmax", SOFTMAX | {"before": 1}, "need each other"),
    ("attention_softmax", SOFTMAX | CAP | {"cap_shift": None}, "cap_shift need each other"),
    ("attention_softmax", SOFTMAX | ADDEND | CAP, "an addend beside a soft cap"),
    ("embed", PLAIN | {"wave": WAVE["wave"]}, "frequencies and wave need each other"),
    ("embed", WAVE | {"position_table": WAVE["table"]}, "a table of positions beside a wave"),
    ("embed", WAVE | {"positions": None}, "need each other"),
    ("embed", PLAIN | {"positions": WAVE["positions"]}, "need each other"),
    ("embed", PLAIN | {"channel_multiplier": HEADS}, "a multiplier beside"),
]


@pytest.mark.parametrize(("op", "given", "message"), REFUSED)
def test_incomplete_operands_are_refused(op: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operation(op)(**given)


OUTSIDE: list[tuple[str, dict[str, Any], str]] = [
    *(
        (op, corner(op) | {"x": np.zeros((1, width), np.int16)}, "norm: columns")
        for op in ("layer_norm_l1", "layer_norm_l2", "rms_norm", "normalize")
        for width in (0, 8193)
    ),
    ("rms_norm_branch", NO_BRANCH | {"x": np.zeros((1, 8193), np.int32)}, "norm: columns"),
    ("match_add", ADD | {"exponent": ADD["exponent"] * 0 + 10}, "exponent: 10 is outside"),
    ("match_add", ADD | {"exponent": ADD["exponent"] * 0 - 1}, "exponent: -1 is outside"),
    ("rms_norm_branch", BRANCH | {"exponent": BRANCH["exponent"] * 0 + 10}, "exponent: 10 is"),
]


@pytest.mark.parametrize(("op", "given", "message"), OUTSIDE)
def test_operands_outside_their_range_are_refused(
    op: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(OverflowError, match=message):
        operation(op)(**given)
