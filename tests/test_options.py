"""Options: valid values, and error messages for invalid values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from int8ref import Speed
from int8ref.errors import UserError
from int8ref.options import Options, hundredths


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (1, 100), (0.6, 60), (0.07, 7), ("1.50", 150), (Decimal("10"), 1000), ("1e1", 1000)],
)
def test_decimal_numbers_are_taken_as_they_are_written(value: Any, expected: int) -> None:
    assert hundredths("alpha", value) == expected
    assert Options(alpha=value) is not None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"beam_size": 0}, "beam_size is 0, not from 1 to 64"),
        ({"beam_size": 65}, "beam_size is 65"),
        ({"beam_size": 3, "n_best": 4}, "n_best is 4, not from 1 to 3"),
        ({"n_best": 0}, "n_best is 0"),
        ({"max_length": 0}, "max_length is 0"),
        ({"max_length": 131073}, "max_length is 131073, not from 1 to 131072"),
        ({"alpha": 0.333}, "alpha is 0.333, not a number from 0 to 10"),
        ({"alpha": -0.01}, "alpha is -0.01"),
        ({"alpha": "nan"}, "alpha is 'nan'"),
        ({"alpha": "inf"}, "alpha is 'inf'"),
        ({"alpha": "1e999999999"}, "alpha is '1e999999999'"),
        ({"alpha": "much"}, "alpha is 'much'"),
        ({"max_length_factor": 0}, "max_length_factor is 0, not a number from 0.01 to 100"),
        ({"normalization": "wu"}, "normalization is 'wu', not one of"),
        ({"alignment": "firm"}, "alignment is 'firm', not one of"),
        ({"beam_size": "4"}, "beam_size is '4', not from 1 to 64"),
        ({"beam_size": 1.5}, r"beam_size is 1\.5"),
        ({"n_best": True}, "n_best is True"),
        ({"max_length": 2.5}, r"max_length is 2\.5"),
        ({"scores": "token"}, "scores is 'token', not one of"),
        ({"shortlist": None}, "shortlist is None"),
        ({"temperature": 101}, "temperature is 101, not a number from 0 to 100"),
        ({"top_p": 0}, "top_p is 0, not a number from 0.01 to 1"),
        ({"top_k": -1}, "top_k is -1"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"seed": "one"}, "seed is 'one', not an integer"),
        ({"temperature": 1, "beam_size": 2}, "temperature excludes beam_size and shortlist"),
        ({"temperature": 1, "shortlist": True}, "temperature excludes beam_size and shortlist"),
        ({"temperature": 1, "n_best": 65}, "n_best is 65, not from 1 to 64"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        Options(**options)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["batch_size", "threads", "buffer_size"])
def test_speed_is_positive(name: str) -> None:
    for value in (0, -1, "2", 1.5):
        with pytest.raises(UserError, match=f"{name} is {value!r}"):
            Speed(**{name: value})
