"""The reference refuses an operand without the operands that it needs, as `prove` does."""

from __future__ import annotations

from typing import Any

import pytest

from int8ref.reference import operation
from tests.helpers.width_cases import CASES

ONE = CASES["narrow"][0]["multiplier"]
SOFTMAX, TABLE, WAVE = CASES["attention_softmax"][0], *CASES["embed"]
ADDEND = {"addend": ONE[None], "before": 0, "after": 0}
CAP = {"cap_multiplier": ONE, "cap_shift": 1}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("match_add", CASES["match_add"][0] | {"exponent": None}, "exponent and bias need each other"),
    ("match_add", CASES["match_add"][0] | {"bias": None}, "exponent and bias need each other"),
    ("rms_norm_branch", CASES["rms_norm_branch"][0] | {"bias": None}, "bias_shift need each other"),
    ("rms_norm_branch", CASES["rms_norm_branch"][0] | {"exponent": None}, "need each other"),
    ("rms_norm_branch", CASES["rms_norm_branch"][1] | {"bias_shift": 1}, "need each other"),
    ("log_softmax", CASES["log_softmax"][0] | {"cap_shift": 1}, "cap_shift need each other"),
    ("linear", CASES["linear"][0] | {"shift": None}, "a multiplier needs a shift"),
    ("attention_softmax", SOFTMAX | {"sentence": None}, "sentence and key_offsets need each other"),
    ("attention_softmax", SOFTMAX | {"window": 1}, "a window is of a history"),
    ("attention_softmax", SOFTMAX | ADDEND | {"after": None}, "before and after need each other"),
    ("attention_softmax", SOFTMAX | {"before": 1}, "need each other"),
    ("attention_softmax", SOFTMAX | CAP | {"cap_shift": None}, "cap_shift need each other"),
    ("attention_softmax", SOFTMAX | ADDEND | CAP, "an addend beside a soft cap"),
    ("embed", TABLE | {"wave": WAVE["wave"]}, "frequencies and wave need each other"),
    ("embed", WAVE | {"position_table": TABLE["table"]}, "a table of positions beside a wave"),
    ("embed", WAVE | {"positions": None}, "need each other"),
    ("embed", TABLE | {"positions": WAVE["positions"]}, "need each other"),
    ("embed", TABLE | {"channel_multiplier": ONE}, "a multiplier beside"),
]


@pytest.mark.parametrize(("op", "given", "message"), REFUSED)
def test_incomplete_operands_are_refused(op: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operation(op)(**given)
