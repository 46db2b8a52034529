"""Settings of the tests, and what all of them share."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from int8ref.files.model_file import save
from tests.helpers.models import build_tiny_model

hypothesis.settings.register_profile("dev", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# Shells start background jobs deaf to interrupts, and processes started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def messages() -> Iterator[None]:
    """A command that runs in this process takes the messages of the library for itself."""
    log = logging.getLogger("int8ref")
    before = log.handlers, log.propagate, log.level
    yield
    log.handlers, log.propagate, _ = before
    log.setLevel(before[2])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long value goes by its argument's name, because a test's id is put into the environment."""
    return argname if isinstance(val, str | bytes) and len(val) > 100 else None


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of `build_tiny_model(2)`, which translates into this and that."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save(path, build_tiny_model(2))
    return path
