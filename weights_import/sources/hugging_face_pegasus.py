"""Pegasus models of Hugging Face's transformers (Zhang et al. 2020): a checkpoint, and beside it
`config.json` and `spiece.model`.

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
)
from weights_import.sources.hugging_face_languages import CONFIG, json_of
from weights_import.sources.hugging_face_model import float_model, generation
from weights_import.sources.hugging_face_sinusoids import positions
from weights_import.sources.tokenizers import read_limited

FORMAT = "Hugging Face Pegasus (.safetensors or .bin, and config.json)"
KINDS = ("pegasus",)
TOKENIZER = "spiece.model"
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
    ids, tokenizers = tokenizer_of(path.parent, config.vocab_size)
    content = contents(path)
    stored = named(content.tensors)
    own = one_vocabulary(stored, config)
    own |= positions(stored, config.max_position_embeddings, config.d_model)
    shape = config.shape(
        pre_norm=True,
        target_positions="target_positions" in own,
    )
    made = composed(stored, shape, own)
    unk = ids.get(UNKNOWN, min(OFFSET + 2, config.vocab_size - 1))
    how = generation(config, marks, unk=unk)
    return float_model(
        path,
        "Hugging Face Pegasus",
        content.sha256,
        made,
        how,
        tokenizers=tokenizers,
        wanted=TOKENIZER,
    )


def tokenizer_of(folder: Path, size: int) -> tuple[dict[str, int], dict[str, bytes]]:
    """The ids of the pieces, and the tokenizers of both sides; none without a file.

    Raises CheckpointError for a damaged file, and for tokens that were added to it.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        return {}, {}
    content = read_limited(path)
    offset = json_of(folder / CONFIG).get("offset", OFFSET)
    if type(offset) is not int or not 0 <= offset < size:
        raise CheckpointError(f"{CONFIG}: the offset is {offset!r:.80}, not from 0 to {size - 1}")
    ids = pegasus_ids(content, offset)
    masks = {f"<mask_{i}>" for i in (1, FIRST_MASK)}
    masks |= {f"<unk_{i}>" for i in range(FIRST_MASK, LAST_MASK + 1)}
    refuse_added(added_tokens(folder), {*ids, *masks})
    made = with_tokens(content, ids, {}, size)
    return ids, {"source": made, "target": made}
