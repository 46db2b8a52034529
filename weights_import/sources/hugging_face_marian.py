"""Marian models as Hugging Face's transformers keeps them, such as OPUS-MT: `model.safetensors`,
and beside it `config.json`, `source.spm`, `target.spm` and `vocab.json`, or a vocabulary a side,
`vocab.json` and `target_vocab.json`.

The token `<pad>` is one that transformers adds to Marian's: the decoder begins with it, and no
search may choose it.  Where its embedding is zero and it is the last token, the model is Marian's
without it, whose decoder begins with the zero vector.  Training in transformers gives it another
embedding; then it stays, and the bias of the output keeps it below the end mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from weights_import.errors import located
from weights_import.float_model import FloatModel, Generation
from weights_import.float_program import FloatProgram
from weights_import.sources.containers import contents
from weights_import.sources.hugging_face import (
    LAYER,
    MAX_LENGTH_FACTOR,
    Shape,
    check_words,
    composed,
    embeddings,
    logits_bias,
    named,
    stored_name,
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
from weights_import.sources.hugging_face_padding import (
    Output,
    kept_below,
    padding,
    without_last,
)
from weights_import.sources.hugging_face_sinusoids import positions
from weights_import.sources.language_tokens import of_marks
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.sources.tokenizers import read_vocabulary, tokenizer_files, tokenizers_in
from weights_import.tensors import Stored, Tensors

FORMAT = "Hugging Face Marian (.safetensors or .bin, and config.json)"
KINDS = ("marian",)
PAD, UNK = "<pad>", "<unk>"
SIDES = ("source_embedding", "target_embedding")


class _Config(Shape, frozen=True, kw_only=True):
    """What is read of a configuration of Marian's."""

    model_type: Literal["marian"]
    decoder_vocab_size: Size | None = None
    normalize_embedding: Literal[False] = False
    share_encoder_decoder_embeddings: bool = True
    static_position_embeddings: Literal[True] = True

    @property
    def vocabularies(self) -> tuple[int, int]:
        """The sizes of both sides."""
        if self.share_encoder_decoder_embeddings:
            return self.vocab_size, self.vocab_size
        return self.vocab_size, self.decoder_vocab_size or self.vocab_size

    @property
    def told_padding(self) -> tuple[int, int]:
        """The ids of `<pad>` and of what the decoder begins with."""
        return self.pad_token_id, self.decoder_start_token_id


def recognises(path: Path) -> bool:
    """Whether the file is a checkpoint of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizers."""
    return [*beside(path), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    with located(path):
        config = read_config(path, _Config)
        known = vocabulary(path.parent)
        refuse_added(added_tokens(path.parent), known)
        marks = Marks(config.eos_token_id)
        eos = marks.chosen(known.get("</s>"))
        content = contents(path)
        stored = named(content.tensors)
        words = embeddings(
            stored, config.tie_word_embeddings, config.share_encoder_decoder_embeddings
        )
        check_words(words, dict(zip(SIDES, config.vocabularies, strict=True)), config.d_model)
        pad = padding(config.told_padding, config.vocabularies, words["target_embedding"])
        unused, controls = ((PAD,), ()) if pad < 0 else ((), (PAD,))
        how = generation(config, pad, eos, known.get(UNK, 1))
        how = replace(how, more_eos=marks.others(eos))
        program, tensors = program_of(config, how, words, stored)
        tokenizers = tokenizers_in(path.parent, unused, controls)
        return FloatModel(
            program,
            tensors,
            replace(how, languages=of_marks(tokenizers)),
            tokenizers=tokenizers,
            provenance={
                "file": path.name,
                "format": "Hugging Face Marian",
                "sha256": content.sha256,
            },
            warnings=unknown_to(path, _Config),
        )


def program_of(
    config: _Config, how: Generation, words: dict[str, Own], stored: Mapping[str, Stored]
) -> tuple[FloatProgram, Tensors]:
    """The program of the model and its tensors; `words` are the tensors of `embeddings`."""
    tables = positions(stored, config.max_position_embeddings, config.d_model)
    words |= {"output.bias": logits_bias(stored)}
    if how.start < 0:
        words = without_last(words)
    else:
        norm = f"decoder.{config.decoder_layers - 1}.ffn.norm"
        gain, shift = (stored.get(stored_name(f"{norm}.{leaf}")) for leaf in ("gain", "bias"))
        output = Output(words["output.weight"], words["output.bias"], gain, shift)
        size = how.target_vocabulary, config.d_model
        words["output.bias"] = kept_below(output, size, how.start, how.eos)
    shape = config.shape(
        source_vocabulary=how.source_vocabulary,
        target_vocabulary=how.target_vocabulary,
        target_positions="target_positions" in tables,
    )
    return composed(stored, shape, words | tables)


def vocabulary(folder: Path) -> dict[str, int]:
    """The ids of the source's tokens, as far as a file tells them."""
    path = folder / "vocab.json"
    return read_vocabulary(path) if path.is_file() else {}


def generation(config: _Config, pad: int, eos: int, unk: int) -> Generation:
    """How the model reads and writes, without the token `<pad>` where it can do without it."""
    source, target = config.vocabularies
    left_out = 1 if pad < 0 else 0
    return Generation(
        start=pad,
        eos=eos,
        unk=unk,
        source_vocabulary=source - left_out,
        target_vocabulary=target - left_out,
        max_length_factor=MAX_LENGTH_FACTOR,
        max_positions=config.max_position_embeddings,
    )
