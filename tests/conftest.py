"""Settings and fixtures that all tests share."""

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
hypothesis.settings.register_profile("ci", deadline=None, max_examples=30, derandomize=True)
hypothesis.settings.register_profile("few", deadline=None, max_examples=10, derandomize=True)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# Shells start background jobs with ignored interrupts, nohup with ignored hang-ups, and child
# processes would inherit this.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def messages() -> Iterator[None]:
    """Restore the logger, because a command in this process redirects its messages."""
    log = logging.getLogger("int8ref")
    before = log.handlers, log.propagate, log.level
    yield
    log.handlers, log.propagate, _ = before
    log.setLevel(before[2])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long value by its argument, because pytest puts the id into the environment."""
    return argname if isinstance(val, str | bytes) and len(val) > 100 else None


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of `build_tiny_model(2)`, whose translations differ from each other."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save(path, build_tiny_model(2))
    return path
