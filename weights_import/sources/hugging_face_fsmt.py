"""FSMT models of Hugging Face's transformers (Ng et al. 2019, facebook/wmt19-*): a checkpoint, and
beside it `config.json` and the files of `fsmt_tokenizer`.

Norms stand behind the sublayers.  Positions are sinusoids, the first of which is number 2.  Source
and target have a vocabulary each.  The end mark stands behind a source, and the decoder begins with
it.  Texts must be tokenised as Moses' tokenizer does it, because this is not done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from weights_import.errors import located
from weights_import.float_model import FloatModel
from weights_import.operations.embedding import sinusoids
from weights_import.sources import fsmt_tokenizer
from weights_import.sources.containers import contents
from weights_import.sources.hugging_face import (
    LAYER,
    SOURCE,
    TARGET,
    Shape,
    check_words,
    composed,
    named,
    one_matrix,
)
from weights_import.sources.hugging_face_config import (
    Marks,
    beside,
    model_type,
    read_config,
    unknown_to,
)
from weights_import.sources.hugging_face_model import float_model, generation
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.tensors import Stored

FORMAT = "Hugging Face FSMT (.safetensors or .bin, and config.json)"
KINDS = ("fsmt",)
OUTPUT = "model.decoder.output_projection.weight"
FIRST_POSITION, UNKNOWN = 2, 3
"""The number of the first position, and the id of unknown text, in every model of fairseq."""
FACTOR_ALPHA = 1.0
"""The usual exponent of the length in beam search."""


class _Config(Shape, frozen=True, kw_only=True):
    """What is read of a configuration of FSMT."""

    model_type: Literal["fsmt"]
    length_penalty: Annotated[float, msgspec.Meta(ge=0, le=10)] = FACTOR_ALPHA
    src_vocab_size: Size
    tgt_vocab_size: Size
    tie_word_embeddings: bool = False
    vocab_size: Size = 1

    @property
    def vocabularies(self) -> tuple[int, int]:
        """The sizes of both sides."""
        return self.src_vocab_size, self.tgt_vocab_size


def recognises(path: Path) -> bool:
    """Whether the file is a checkpoint of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizers."""
    return [*beside(path), *fsmt_tokenizer.files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        return _read(path)


def _read(path: Path) -> FloatModel:
    config = read_config(path, _Config)
    marks = Marks(config.eos_token_id)
    content = contents(path)
    stored = named(content.tensors)
    own = words(stored, config)
    table = sinusoids(FIRST_POSITION, config.max_position_embeddings, config.d_model)
    own["positions"] = Stored.of(table, "positions")
    stored = {name: tensor for name, tensor in stored.items() if name != OUTPUT}
    made = composed(stored, config.shape(), own)
    how = generation(config, marks, unk=UNKNOWN, alpha=config.length_penalty)
    return float_model(
        path,
        "Hugging Face FSMT",
        content.sha256,
        made,
        how,
        tokenizers=fsmt_tokenizer.tokenizers(path.parent, config.vocabularies),
        warnings=unknown_to(path, _Config),
        wanted=fsmt_tokenizer.WANTED,
    )


def words(stored: Mapping[str, Stored], config: _Config) -> dict[str, Own]:
    """The matrices of source, target and output, of which a file may lack those that are tied;
    raises CheckpointError as `check_words`."""
    if config.tie_word_embeddings:
        source = target = output = one_matrix(stored, (SOURCE, TARGET, OUTPUT))
    else:
        source = stored.get(SOURCE)
        target, output = (
            stored.get(n, stored.get(m)) for n, m in ((TARGET, OUTPUT), (OUTPUT, TARGET))
        )
    found: dict[str, Own] = {
        "source_embedding": source,
        "target_embedding": target,
        "output.weight": output,
    }
    sizes = dict(zip(("source_embedding", "target_embedding"), config.vocabularies, strict=True))
    check_words(found, sizes, config.d_model)
    return found
