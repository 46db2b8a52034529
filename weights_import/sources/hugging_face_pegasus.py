"""Pegasus models of Hugging Face's transformers (Zhang et al. 2020): a checkpoint, and beside it
`config.json` and `spiece.model` or `tokenizer.json`.

Norms stand before the sublayers, and one behind each stack.  Positions are sinusoids, in the layout
of Marian in transformers.  The end mark stands behind a source.  The decoder begins with `<pad>`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel
from weights_import.sources.containers import contents
from weights_import.sources.fairseq_pieces import UNKNOWN, pegasus_ids, with_tokens
from weights_import.sources.hugging_face import (
    LAYER,
    Shape,
    composed,
    named,
    one_vocabulary,
)
from weights_import.sources.hugging_face_config import (
    Marks,
    added_tokens,
    beside,
    model_type,
    read_config,
    refuse_added,
    unknown_to,
)
from weights_import.sources.hugging_face_languages import CONFIG, json_of
from weights_import.sources.hugging_face_model import float_model, generation
from weights_import.sources.hugging_face_sinusoids import positions
from weights_import.sources.hugging_face_tokenizer import TOKENIZER as LIBRARY
from weights_import.sources.hugging_face_tokenizer import library_tokenizer
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import NO_PIECE

FORMAT = "Hugging Face Pegasus (.safetensors or .bin, and config.json)"
KINDS = ("pegasus",)
TOKENIZER = "spiece.model"
WANTED = f"{TOKENIZER} or {LIBRARY}"
OFFSET, FIRST_MASK, LAST_MASK = 103, 2, 102
"""The usual number of tokens of the training before the pieces, and the numbers in their names."""


class _Config(Shape, frozen=True, kw_only=True):
    """What is read of a configuration of Pegasus.

    transformers ignores the fields about norms, which older configurations have from BART.
    """

    model_type: Literal["pegasus"]
    add_final_layer_norm: bool = True  # type: ignore[assignment]
    extra_pos_embeddings: int = 1  # type: ignore[assignment]
    normalize_before: bool = True  # type: ignore[assignment]
    normalize_embedding: bool = False
    static_position_embeddings: Literal[True] = True


def recognises(path: Path) -> bool:
    """Whether the file is a checkpoint of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizer."""
    tokenizer = path.with_name(TOKENIZER)
    return [*beside(path), *([tokenizer] if tokenizer.is_file() else [])]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path)


def _read(path: Path) -> FloatModel:
    config = read_config(path, _Config)
    marks = Marks(config.eos_token_id)
    unk, tokenizers = tokenizer_of(path.parent, config.vocab_size)
    content = contents(path)
    stored = named(content.tensors)
    own = one_vocabulary(stored, config)
    own |= positions(stored, config.max_position_embeddings, config.d_model)
    shape = config.shape(
        pre_norm=True,
        target_positions="target_positions" in own,
    )
    made = composed(stored, shape, own)
    how = generation(config, marks, unk=unk)
    return float_model(
        path,
        "Hugging Face Pegasus",
        content.sha256,
        made,
        how,
        tokenizers=tokenizers,
        warnings=unknown_to(path, _Config),
        wanted=WANTED,
    )


def tokenizer_of(folder: Path, size: int) -> tuple[int, dict[str, bytes]]:
    """The id of unknown text, and the tokenizers of both sides; none without a file.

    Raises CheckpointError for a damaged file, and for tokens that were added to SentencePiece's.
    """
    path, usual = folder / TOKENIZER, min(OFFSET + 2, size - 1)
    if not path.is_file():
        found = library_tokenizer(folder, size)
        if found is None:
            return usual, {}
        unk = usual if found.unk == NO_PIECE else found.unk
        return unk, {"source": found.content, "target": found.content}
    content = read_limited(path)
    offset = json_of(folder / CONFIG).get("offset", OFFSET)
    if type(offset) is not int or not 0 <= offset < size:
        raise CheckpointError(f"{CONFIG}: the offset is {offset!r:.80}, not from 0 to {size - 1}")
    ids = pegasus_ids(content, offset)
    masks = {f"<mask_{i}>" for i in (1, FIRST_MASK)}
    masks |= {f"<unk_{i}>" for i in range(FIRST_MASK, LAST_MASK + 1)}
    refuse_added(added_tokens(folder), {*ids, *masks})
    made = with_tokens(content, ids, {}, size)
    return ids.get(UNKNOWN, usual), {"source": made, "target": made}
