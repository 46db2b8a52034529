"""Ids of tests are short, because pytest puts them into the environment (at most 128 KiB)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.processes import TIMEOUT


def test_a_long_value_makes_no_long_id(request: pytest.FixtureRequest) -> None:
    longest = max((item.nodeid for item in request.session.items), key=len)
    assert len(longest) < 1000, longest[:200]


@pytest.mark.parametrize("value", ["a dog " * 200_000, b"a dog " * 200_000])
def test_processes_start_from_a_test_of_a_long_value(value: str | bytes) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True, timeout=TIMEOUT)
    assert len(value) == 1_200_000
