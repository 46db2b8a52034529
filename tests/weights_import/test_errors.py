"""Messages of errors that quote a file."""

from __future__ import annotations

from weights_import.errors import CheckpointError


def test_a_message_is_one_line_of_printable_characters() -> None:
    """Names of a file may contain line feeds, terminal escapes or half a surrogate pair."""
    told = str(CheckpointError("unused a\nb\x1b[31m\ud800 \u00e9" + "x" * 10_000))
    assert told.startswith("unused a\\nb\\x1b[31m\\ud800 \u00e9xxx")
    assert told.isprintable()
    assert len(told) < 9000
