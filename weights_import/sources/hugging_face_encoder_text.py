"""The tokenizer of an encoder alone of Hugging Face's transformers, and the marks around a text.

The tokenizer is tokenizer.json, or the list of tokens vocab.txt of BERT.  The marks are those that
tokenizer.json puts around a text, or else the tokens that the configuration names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from int8ref.files import tokenizer_file
from int8ref.program.program import SourceFrame
from weights_import.errors import CheckpointError
from weights_import.sources import json_file, tokenizer_json, wordpiece
from weights_import.sources.hugging_face_encoder_config import Config
from weights_import.sources.tokenizers import read_limited

JSON, LIST, SETTINGS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"
MARKS = ("cls_token", "sep_token"), ("bos_token", "eos_token")
USUAL = {"cls_token": "[CLS]", "sep_token": "[SEP]"}


@dataclass(frozen=True)
class Text:
    """The tokenizer of a model, and the tokens that have a meaning of their own."""

    frame: SourceFrame
    eos: int
    unk: int
    tokenizers: dict[str, bytes] = field(default_factory=dict)
    wanted: str = f"{JSON} or {LIST}"
    warnings: tuple[str, ...] = ()


def text_files(folder: Path) -> list[Path]:
    """The files that `text_of` reads."""
    return [folder / name for name in (JSON, LIST, SETTINGS) if (folder / name).is_file()]


def text_of(folder: Path, config: Config) -> Text:
    """The tokenizer in a folder; none without files.  Raises CheckpointError."""
    told = _settings(folder)
    if (folder / JSON).is_file():
        return _named(JSON, _of_json, folder, config, told)
    if (folder / LIST).is_file():
        return _named(LIST, _of_list, folder, config, told)
    own = config.bos_token_id, config.eos_token_id
    before, after = (() if token is None else (token,) for token in own)
    eos = config.pad_token_id if config.eos_token_id is None else config.eos_token_id
    return Text(SourceFrame(before, after), eos, eos)


def _named(name: str, read: Any, folder: Path, config: Config, told: Mapping[str, Any]) -> Text:
    """What `read` makes of a file of this name, which stands before its errors."""
    try:
        found: Text = read(folder / name, config, told)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None
    return found


def _of_json(path: Path, config: Config, told: Mapping[str, Any]) -> Text:
    raw = read_limited(path)
    content = tokenizer_json.of_json(raw, config.vocab_size)
    processor = json_file.parse(raw).get("post_processor")
    return _text(content, config, _processed(processor) or _marks(content, told))


def _of_list(path: Path, config: Config, told: Mapping[str, Any]) -> Text:
    parts = wordpiece.parts(wordpiece.vocabulary(read_limited(path)), told)
    content = tokenizer_json.of_parts(parts, config.vocab_size)
    return _text(content, config, _marks(content, told))


def _text(content: bytes, config: Config, frame: SourceFrame) -> Text:
    model = tokenizer_file.decode(content).tokenizer.model
    last = frame.after[-1] if frame.after else config.pad_token_id
    unknown = tokenizer_file.unknown(model)
    return Text(frame, last, last if unknown is None else unknown, {"source": content})


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


def _marks(content: bytes, told: Mapping[str, Any]) -> SourceFrame:
    """The tokens that the settings name as the first and the last token of a text."""
    library = tokenizer_file.decode(content).tokenizer
    ids = {token.content: token.id for token in library.added_tokens}
    ids = tokenizer_file.tokens(library.model) | ids
    for pair in MARKS:
        names = [_content(told.get(key, USUAL.get(key))) for key in pair]
        if all(name in ids for name in names):
            first, last = (ids[name] for name in names)
            return SourceFrame((first,), (last,))
    raise CheckpointError(
        f"no token of a first and a last mark, such as [CLS] and [SEP]; name them in {SETTINGS} as"
        " cls_token and sep_token"
    )


def _content(told: object) -> str:
    """The text of a token in the settings."""
    found = told.get("content") if isinstance(told, dict) else told
    return found if isinstance(found, str) else ""


def _settings(folder: Path) -> dict[str, Any]:
    """The settings of a tokenizer; none without their file."""
    path = folder / SETTINGS
    told = json_file.parse_file(path) if path.is_file() else {}
    if not isinstance(told, dict):
        raise CheckpointError(f"{SETTINGS}: not a JSON object")
    return told
