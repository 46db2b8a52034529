"""The choice of the calibration text, and a check that it is long enough."""

from __future__ import annotations

from pathlib import Path

from int8ref.errors import UserError
from int8ref.text.lines import Lines, TextError, Warn
from int8ref.translation.unknown import counted
from weights_import.calibrate import shipped_text, tokenize
from weights_import.float_model import FloatModel
from weights_import.languages import primary

FEW_TOKENS = 100
"""Fewer tokens than this show little of what a model computes."""
USUAL, UNDETERMINED = "en", "und"
ADVICE = "give a few hundred sentences like those to be translated"


def calibration_text(path: Path | None, language: str, warn: Warn) -> list[str]:
    """The sentences of a calibration file, or of the text that ships for a language.

    The result has no blank lines.  Raises UserError for a file without sentences, and for a line
    that is not UTF-8.  `warn` takes a message for each line that is too long.
    """
    if path is None:
        return shipped_text(primary(language))
    try:
        with path.open("rb") as file:
            lines = Lines(file, lambda message: warn(f"{path}: {message}"))
            sentences = [line for line in lines if line.strip()]
    except TextError as error:
        raise TextError(f"{path}: {error}") from None
    if not sentences:
        raise UserError(f"{path}: no sentences to calibrate on; {ADVICE}")
    return sentences


def usual(language: str) -> str:
    """The language of the text that ships for an encoder alone: its own, or English.

    Few checkpoints of encoders tell their language.
    """
    return USUAL if primary(language) == UNDETERMINED else language


def shortage(model: FloatModel, sentences: list[str], positions: int) -> str:
    """Why a text is too short or too strange to calibrate a model; empty for a good text.

    Calibration reads at most `positions` tokens of a source.  Raises CheckpointError if the model
    has no tokenizer for the text.
    """
    different = list(dict.fromkeys(sentences))
    generation = model.generation
    framed = tokenize(model, different)
    most = positions if model.translates else 1 << 30
    tokens = sum(min(len(ids), most) - generation.frame.size for ids in framed)
    if tokens < FEW_TOKENS:
        return f"only {counted(len(different), 'sentence')} of {counted(tokens, 'token')}"
    special = generation.source_special
    unk = generation.unk if special is None else special[1]
    total, unknown = sum(map(len, framed)), sum(ids.count(unk) for ids in framed)
    if 3 * unknown > total:
        return f"{unknown} of its {total} tokens are unknown to the model, as in another language"
    return ""
