"""The tokenizer of an encoder alone of Hugging Face's transformers, and the marks around a text.

The marks are the tokens that tokenizer.json puts around a text, or else the tokens that the
settings of the tokenizer name, or else the tokens that the configuration names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from int8ref.files import tokenizer_file
from int8ref.files.model_file import Tokenizer
from int8ref.program.program import SourceFrame
from weights_import.errors import CheckpointError
from weights_import.sources import added_tokens, hugging_face_tokenizer, json_file
from weights_import.sources.hugging_face_encoder_config import Config
from weights_import.sources.hugging_face_tokenizer import TOKENIZER, WANTED
from weights_import.sources.vocabulary import NO_PIECE

MARKS = ("cls_token", "sep_token"), ("bos_token", "eos_token")
USUAL = {"cls_token": "[CLS]", "sep_token": "[SEP]"}


@dataclass(frozen=True)
class Text:
    """The tokenizer of a model, and the tokens that have a meaning of their own."""

    frame: SourceFrame
    eos: int
    unk: int
    tokenizers: dict[str, bytes] = field(default_factory=dict)
    wanted: str = WANTED
    warnings: tuple[str, ...] = ()


def text_of(folder: Path, config: Config) -> Text:
    """The tokenizer in a folder; none without files.  Raises CheckpointError."""
    found = hugging_face_tokenizer.tokenizer(folder, config.vocab_size)
    if found is None:
        frame = _told(config)
        last = frame.after[-1] if frame.after else config.pad_token_id
        return Text(frame, last, last)
    frame = _around(folder, found.content, config)
    last = frame.after[-1] if frame.after else config.pad_token_id
    unk = last if found.unk == NO_PIECE else found.unk
    return Text(frame, last, unk, {"source": found.content}, warnings=tuple(found.warnings))


def _told(config: Config) -> SourceFrame:
    """The marks that a configuration names."""
    own = config.bos_token_id, config.eos_token_id
    before, after = (() if token is None else (token,) for token in own)
    return SourceFrame(before, after)


def _around(folder: Path, content: bytes, config: Config) -> SourceFrame:
    """The marks of a tokenizer; raises CheckpointError."""
    if Tokenizer.of(content).kind != "tokenizers":
        return _told(config)
    return frame_of(folder, content)


def frame_of(folder: Path, content: bytes) -> SourceFrame:
    """The marks of the tokenizer.json in a folder, which has become `content`.

    Raises CheckpointError where it tells none.
    """
    try:
        path = folder / TOKENIZER
        told = json_file.parse_file(path) if path.is_file() else {}
        return _processed(told.get("post_processor")) or _marks(content, folder)
    except CheckpointError as error:
        raise CheckpointError(f"{TOKENIZER}: {error}") from None


def _processed(told: object) -> SourceFrame | None:
    """The tokens that a post-processor of tokenizer.json puts around a text; None without one.

    Raises CheckpointError for a post-processor that is not read.
    """
    if told is None:
        return None
    try:
        return _frame(told)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise CheckpointError("the post_processor is damaged") from None


def _frame(told: Mapping[str, Any]) -> SourceFrame | None:
    match told["type"]:
        case "Sequence":
            found = [frame for one in told["processors"] if (frame := _frame(one))]
            return found[0] if found else None
        case "BertProcessing" | "RobertaProcessing":
            return SourceFrame((_id(told["cls"][1]),), (_id(told["sep"][1]),))
        case "TemplateProcessing":
            return _template(told)
        case "ByteLevel":
            return None
    raise CheckpointError(f"post_processor {told['type']!r:.40} is not read")


def _template(told: Mapping[str, Any]) -> SourceFrame:
    """The tokens around the text in a template."""
    sides: list[list[int]] = [[], []]
    after = 0
    for piece in told["single"]:
        if "Sequence" in piece:
            after = 1
        else:
            sides[after] += map(_id, told["special_tokens"][piece["SpecialToken"]["id"]]["ids"])
    return SourceFrame(*map(tuple, sides))


def _id(told: object) -> int:
    if not isinstance(told, int) or not 0 <= told < 1 << 31:
        raise ValueError
    return told


def _marks(content: bytes, folder: Path) -> SourceFrame:
    """The tokens that the settings name as the first and the last token of a text."""
    library = tokenizer_file.decode(content).tokenizer
    ids = {token.content: token.id for token in library.added_tokens}
    ids = tokenizer_file.tokens(library.model) | ids
    for pair in MARKS:
        names = [added_tokens.named(folder, key) or USUAL.get(key, "") for key in pair]
        if all(name in ids for name in names):
            first, last = (ids[name] for name in names)
            return SourceFrame((first,), (last,))
    raise CheckpointError(
        "no token of a first and a last mark, such as [CLS] and [SEP]; name them in"
        f" {added_tokens.CONFIG} as cls_token and sep_token"
    )
