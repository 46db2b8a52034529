"""`int8ref.import_model`: the importer in a process of its own, as a function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import int8ref
from int8ref.files import importing
from weights_import.__main__ import main

TEXT = "The cat sat on the mat.\nWe like red fish.\n" * 30


def test_the_file_is_that_of_the_command(training: list[str], tmp_path: Path) -> None:
    checkpoint, *_ = training
    (tmp_path / "text").write_text(TEXT)
    text = tmp_path / "text"
    options: dict[str, Any] = {"calibration": text, "residual": 8, "compact": True}
    made = int8ref.import_model(
        Path(checkpoint), tmp_path / "a.safetensors", name="x", strict=None, quiet=False, **options
    )
    assert made == tmp_path / "a.safetensors"
    other = tmp_path / "b.safetensors"
    words = ["--calibration", str(text), "--residual", "8", "--compact", "--name", "x"]
    assert main([checkpoint, "-o", str(other), *words]) == 0
    assert made.read_bytes() == other.read_bytes()


def test_an_error_is_that_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT)
    output = tmp_path / "a.safetensors"
    told = r"importing text failed \(exit status 2\): .*--no-such=1"
    with pytest.raises(int8ref.UserError, match=told):
        int8ref.import_model(tmp_path / "text", output, no_such=1)
    assert not output.exists()


def test_values_are_words_of_the_command() -> None:
    words = importing._option("max_length", 3)
    assert words == ["--max-length=3"]
    assert importing._option("name", "a b") == ["--name=a b"]
    assert importing._option("text", Path("-x")) == ["--text=-x"]
    assert [importing._option("x", value) for value in (True, False, None)] == [["--x"], [], []]


@pytest.mark.parametrize("value", [1.5, ["a"], b"x"])
def test_other_values_are_refused_by_name(value: Any) -> None:
    with pytest.raises(int8ref.UserError, match=r"^residual is .*, not a str or a path") as error:
        int8ref.import_model("x", "y", residual=value)
    assert isinstance(error.value, TypeError)
    with pytest.raises(int8ref.UserError, match=r"^checkpoint is None, not a str or a path"):
        int8ref.import_model(None, "y")  # type: ignore[arg-type]
