"""What lies beside a CTranslate2 model: its configuration, vocabularies and tokenizers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from int8ref.files import tokenizer_file
from weights_import.errors import CheckpointError
from weights_import.languages import code
from weights_import.sources import json_file
from weights_import.sources.ctranslate2_languages import controls
from weights_import.sources.ctranslate2_variables import Variables
from weights_import.sources.numbered_tokenizer import Beside, numbered_tokenizer
from weights_import.sources.tokenizer_json import of_json
from weights_import.sources.tokenizers import SIDES, by_side, names_of_models, read_limited
from weights_import.sources.vocabulary import pieces_of, renumbered

Kind = TypeVar("Kind")

CONFIG = "config.json"
CONFIGURED = 6
"""The version of a file from which on `config.json` says what variables said before."""
MODELS = "*.spm", "*.model"
LIBRARY = "tokenizer.json"
ABOVE, CODES, METADATA = "sentencepiece.model", "bpe.model", "metadata.json"
"""Files in the folder above the folder of the model, in packages of Argos Translate."""
ENDINGS = ".json", ".txt"
EXTRA = re.compile(r"<extra_id_\d+>|madeupword\d+")
"""Tokens that the converters name after embeddings without a token."""
WANTED = (
    f"{names_of_models(SIDES)}, the same with .model, {LIBRARY}, or {ABOVE} in the folder above"
)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of config.json; other keys do not change what the model computes."""

    unk_token: str = "<unk>"
    bos_token: str | None = "<s>"
    eos_token: str = "</s>"
    decoder_start_token: str | None = "<s>"
    add_source_bos: bool = False
    add_source_eos: bool = False
    layer_norm_epsilon: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    quantization_type: int | None = None


def read_config(folder: Path, version: int, variables: Variables) -> Config:
    """The configuration; raises CheckpointError where it is damaged."""
    if version < CONFIGURED:
        start = "<s>" if variables.number("with_target_bos", 1) else "</s>"
        own = variables.number("user_decoder_start_tokens", 0)
        return Config(
            decoder_start_token=None if own else start,
            add_source_bos=bool(variables.number("with_source_bos", 0)),
            add_source_eos=bool(variables.number("with_source_eos", 0)),
        )
    return configuration(folder, Config)


def configuration(folder: Path, kind: type[Kind]) -> Kind:
    """What is of a kind in the configuration; raises CheckpointError if it is absent or damaged."""
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"no {CONFIG} beside it")
    return json_file.read(path, kind)


def refuse_quantisation(kind: int | None) -> None:
    """Raises CheckpointError for weights that are quantised in another way than CTranslate2's."""
    if kind:
        raise CheckpointError(
            f"quantization_type {kind} in {CONFIG}: the weights are quantised by AWQ, which is not"
            " read; convert the checkpoint in floats that they were made of"
        )


def vocabulary_files(folder: Path) -> dict[str, Path]:
    """The vocabulary of each side, as far as there are any."""
    found: dict[str, Path] = {}
    for side in SIDES:
        named = [folder / f"{start}_vocabulary{e}" for start in ("shared", side) for e in ENDINGS]
        if there := [path for path in named if path.is_file()]:
            found[side] = there[0]
    return found


def read_vocabulary(path: Path, unk: str) -> dict[str, int]:
    """Ids by piece; `unk` is the last one where it is not listed.

    Raises CheckpointError for what is no list of pieces.
    """
    found = read_pieces(path)
    found.setdefault(unk, len(found))
    return found


def read_pieces(path: Path) -> dict[str, int]:
    """Ids by piece, of a JSON list, or of a piece a line; raises CheckpointError likewise."""
    try:
        text = read_limited(path).decode()
        told: Any = json.loads(text) if path.suffix == ".json" else _lines(text)
        pieces = msgspec.convert(told, list[str])
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise CheckpointError(f"{path.name}: {type(error).__name__}: {error}") from None
    found = {piece: number for number, piece in enumerate(_distinct(pieces))}
    if len(found) != len(pieces):
        raise CheckpointError(f"{path.name}: a piece twice")
    return found


def _distinct(pieces: Sequence[str]) -> Iterator[str]:
    """The pieces, with another name for embeddings without a token that have the name of a token.

    The converter names them <extra_id_0> and so on, and T5 has tokens of these names.
    """
    known: set[str] = set()
    for number, piece in enumerate(pieces):
        yield f"<unused{number}>" if piece in known and EXTRA.fullmatch(piece) else piece
        known.add(piece)


def _lines(text: str) -> list[str]:
    """The lines of a text; only where all have one, the carriage return at the end is left out."""
    lines = text.removesuffix("\n").split("\n")
    both = all(line.endswith("\r") for line in lines)
    return [line[:-1] for line in lines] if both else lines


def languages(folder: Path) -> tuple[str, str] | None:
    """Source and target language, where the folder above is a package of Argos Translate, which
    tells them; raises CheckpointError where what tells them is damaged."""
    told = package(folder)
    named = [told.get(key) for key in ("from_code", "to_code")]
    codes = [code(re.split("[-_]", name)) for name in named if isinstance(name, str)]
    return (codes[0], codes[1]) if len(codes) == 2 and all(codes) else None


def target_prefix(folder: Path, vocabulary: Mapping[str, int]) -> tuple[int, ...]:
    """The token with which every target begins, where the folder above is such a package.

    Raises CheckpointError for a token that the vocabulary lacks.
    """
    token = package(folder).get("target_prefix") or ""
    if token and (not isinstance(token, str) or token not in vocabulary):
        raise CheckpointError(f"{METADATA}: the target_prefix {token!s:.40} is no token")
    return (vocabulary[token],) if token else ()


def package(folder: Path) -> dict[str, Any]:
    """What the metadata of a package of Argos Translate tell, if the folder above is one.

    Raises CheckpointError where they are damaged.
    """
    path = folder.parent / METADATA
    if not path.is_file() or not any((folder.parent / name).is_file() for name in (ABOVE, CODES)):
        return {}
    told = json_file.parse_file(path)
    return told if isinstance(told, dict) else {}


def tokenizer_files(folder: Path) -> list[Path]:
    """The SentencePiece models that `tokenizers` may read."""
    beside = [path for pattern in MODELS for path in folder.glob(pattern)]
    return beside or [folder.parent / ABOVE]


def library_tokenizer(folder: Path, vocabulary: Mapping[str, int]) -> bytes | None:
    """The tokenizer.json in a folder, for a model with this vocabulary; None without the file.

    Raises CheckpointError for a damaged one, and for one of another model.
    """
    path = folder / LIBRARY
    if not path.is_file():
        return None
    try:
        content = of_json(read_limited(path), len(vocabulary))
        own = tokenizer_file.all_tokens(tokenizer_file.decode(content))
        foreign = [token for token, i in own.items() if vocabulary.get(token) != i]
        if foreign:
            raise CheckpointError(
                f"{len(foreign)} of its tokens have other ids in the vocabulary ({shown(foreign)}),"
                " so it is the tokenizer of another model"
            )
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
    return content


def tokenizers(
    folder: Path, vocabularies: Mapping[str, Mapping[str, int]], config: Config
) -> dict[str, bytes]:
    """A SentencePiece model of each side with the ids of its vocabulary, as far as there are any.

    Raises CheckpointError for damaged ones.
    """
    models, names = by_side(tokenizer_files(folder)), (config.eos_token, config.unk_token)
    there = folder.parent / CODES
    codes = there if there.is_file() and package(folder) else None
    found = {}
    for side, vocabulary in vocabularies.items():
        try:
            beside = Beside(models.get(side), codes, controls(vocabulary))
            if content := numbered_tokenizer(vocabulary, *names, beside):
                found[side] = content
            elif library := library_tokenizer(folder, vocabulary):
                found[side] = library
        except CheckpointError as error:
            raise CheckpointError(f"{side} tokenizer: {error}") from None
    return found


def decoder_tokenizer(
    path: Path, vocabulary: Mapping[str, int], eos: str, unk: str
) -> tuple[dict[str, bytes], list[str]]:
    """The tokenizer of a decoder alone with the ids of its vocabulary, none without the file, and
    what is to be said of it.

    Raises CheckpointError for a damaged one, and for one of another model.
    """
    if not path.is_file():
        library = library_tokenizer(path.parent, vocabulary)
        return ({"target": library} if library else {}), []
    if not unk:
        raise CheckpointError(f"{CONFIG} tells no unk_token, which {path.name} needs")
    content = read_limited(path)
    try:
        pieces = pieces_of(content)
        if foreign := [piece for piece in pieces if piece not in vocabulary]:
            raise CheckpointError(
                f"{len(foreign)} of its pieces are not in the vocabulary ({shown(foreign)}), so it"
                " is the tokenizer of another model"
            )
        made = renumbered(content, vocabulary, eos, unk)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
    added = [token for token in vocabulary if token not in pieces and not EXTRA.fullmatch(token)]
    told = f"texts that hold {shown(added)} are cut like any text, because {path.name} lacks them"
    return {"target": made}, [told] if added else []


def shown(tokens: Sequence[str]) -> str:
    """The first of some tokens, for a message."""
    return ", ".join(repr(token)[:40] for token in tokens[:4]) + " ..." * (len(tokens) > 4)
