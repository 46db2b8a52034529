"""A number of threads for a test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from weights_import.arithmetic import threads


@pytest.fixture
def use_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that sets the number of processors."""

    def use(count: int) -> None:
        monkeypatch.setattr(threads, "processors", lambda: count)

    return use
