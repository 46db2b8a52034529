"""The checkpoints of this project's own training recipe: `.safetensors` and a tokenizer beside it.

The header's metadata has one key, `architecture`, a JSON object; the tensors are float32, named
after the modules.  The output matrix is the embedding.  See training/README.md.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from int8ref.reference.attention_polynomial import MAX_DEGREE
from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel, Generation
from weights_import.sources import encoder_decoder
from weights_import.sources.json_file import parse
from weights_import.sources.lookup import Lookup
from weights_import.sources.lookup import described as described_tensors
from weights_import.sources.safetensors_file import (
    METADATA,
    Size,
    contents,
    header_bytes,
    metadata,
)
from weights_import.sources.tokenizers import read_limited

FORMAT = "int8ref training (.safetensors, float32)"
KIND = "int8ref.training.transformer"
VERSION = 1

# Trained sentences are seldom longer than this many times their source, and short ones have room.
MAX_LENGTH_FACTOR = 3.0

Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 24)]


class _Special(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pad: Id
    unk: Id
    bos: Id
    eos: Id


class _Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The JSON object `architecture`; no field may be absent, and none is unknown."""

    format: Literal["int8ref.training.transformer"]
    version: Literal[1]
    name: str
    languages: list[str]
    origin: str
    licence: str
    task: Literal["translation", "language_model"]
    vocabulary: Size
    d_model: Size
    heads: Size
    ffn: Size
    ffn_activation: Literal["relu"]
    encoder_layers: Annotated[int, msgspec.Meta(ge=0, le=1 << 10)]
    decoder_layers: Annotated[int, msgspec.Meta(ge=1, le=1 << 10)]
    attention: Literal["softmax", "polynomial"]
    degree: int | None
    score_scale: float
    norm: Literal["l2", "l1"]
    norm_position: Literal["pre", "post"]
    norm_epsilon: Annotated[float, msgspec.Meta(ge=0)]
    embedding_scale: float
    tied_embeddings: Literal[True]
    max_positions: Size
    special: _Special
    source_ends_with_eos: Literal[True]
    decoder_starts_with: Id
    tokenizer: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._+-]{1,128}\Z")]


BLOCKS = {"self": "self_attention", "cross": "cross_attention", "ffn": "feed_forward"}
NORMS = {"self": "self_residual", "cross": "cross_residual", "ffn": "feed_residual"}
PARTS = {"inner": "expand", "outer": "contract"}
TIED, EMBEDDING = ("source_embedding", "target_embedding", "output.weight"), "embedding.weight"
WEIGHTS = {"score_bias": "weights.shift", "delta": "weights.delta"}


def recognises(path: Path) -> bool:
    """Whether the file begins with a safetensors header that tells this format."""
    return KIND.encode() in header_bytes(path)


def companions(path: Path) -> list[Path]:
    """Its tokenizer; raises CheckpointError for a header that does not tell it."""
    with located(path):
        return [path.parent / _told(metadata(path)).tokenizer]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint and its tokenizer; raises CheckpointError with what is wrong and where.

    Every length is compared with the size of the file before anything is allocated.
    """
    with located(path):
        content = contents(path)
        described = _told(content.metadata)
        shape, how = shape_of(described), generation(described)
        found = Lookup(content.tensors, stored_name)
        c = Composer(found, shape.d_model, Normed(described.norm, described.norm_epsilon))
        logits = encoder_decoder.compose(c, shape)
        program, tensors = c.finish(logits, described_tensors(found.unasked()))
        return FloatModel(
            program,
            tensors,
            how,
            tokenizers=_tokenizers(path.parent / described.tokenizer, described),
            provenance={
                "file": path.name,
                "format": "int8ref training float32",
                "sha256": content.sha256,
                "origin": described.origin,
                "licence": described.licence,
            },
            languages=_languages(described),
        )


def shape_of(described: _Described) -> encoder_decoder.Shape:
    """The shape that the header tells.

    Raises CheckpointError for one that contradicts itself.
    """
    scale = 1 / math.sqrt(described.d_model / described.heads)
    if not math.isclose(described.score_scale, scale, rel_tol=1e-6):
        raise CheckpointError(f"score_scale {described.score_scale}, expected {scale}")
    translation = described.encoder_layers > 0
    if translation != (described.task == "translation"):
        raise CheckpointError(f"{described.encoder_layers} encoder layers for {described.task}")
    degree, attention = described.degree or 0, described.attention
    degrees = range(1, MAX_DEGREE + 1) if attention == "polynomial" else range(1)
    if degree not in degrees:
        raise CheckpointError(f"degree={degree} of {attention} attention (supported: {[*degrees]})")
    return encoder_decoder.Shape(
        d_model=described.d_model,
        heads=described.heads,
        d_ffn=described.ffn,
        encoder_layers=described.encoder_layers,
        decoder_layers=described.decoder_layers,
        activation=described.ffn_activation,
        source_vocabulary=described.vocabulary if translation else 0,
        target_vocabulary=described.vocabulary,
        embedding_scale=described.embedding_scale,
        pre_norm=described.norm_position == "pre",
        max_positions=described.max_positions,
        degree=degree,
    )


def generation(described: _Described) -> Generation:
    """How the header tells to read and write; raises CheckpointError for tokens that are none."""
    return Generation(
        start=described.decoder_starts_with,
        eos=described.special.eos,
        unk=described.special.unk,
        source_vocabulary=described.vocabulary if described.encoder_layers else 0,
        target_vocabulary=described.vocabulary,
        max_length_factor=MAX_LENGTH_FACTOR,
        max_positions=described.max_positions,
    )


def stored_name(canonical: str) -> str:
    """The name in the file for a canonical name."""
    if canonical in TIED:
        return EMBEDDING
    stack, _, rest = canonical.partition(".")
    if stack not in ("encoder", "decoder") or rest.startswith("norm."):
        return canonical
    layer, block, part = rest.split(".", 2)
    kind, _, leaf = part.partition(".")
    at = f"{stack}.layers.{layer}"
    if kind == "norm":
        return f"{at}.{NORMS[block]}.norm.{leaf}"
    if part in WEIGHTS:
        return f"{at}.{BLOCKS[block]}.{WEIGHTS[part]}"
    return f"{at}.{BLOCKS[block]}.{PARTS.get(kind, kind)}.{leaf}"


def _told(metadata: dict[str, str]) -> _Described:
    """What the metadata tells of the model."""
    if set(metadata) != {"architecture"}:
        raise CheckpointError(f"{METADATA} has {sorted(metadata)}, expected 'architecture'")
    try:
        return msgspec.convert(parse(metadata["architecture"]), _Described)
    except (ValueError, AttributeError, RecursionError, msgspec.ValidationError) as error:
        raise CheckpointError(f"header: {error}") from None


def _tokenizers(path: Path, described: _Described) -> dict[str, bytes]:
    """The one tokenizer, for the source (if there is any) and the target."""
    if not path.is_file():
        raise CheckpointError(f"its tokenizer {path.name} is not beside it")
    content = read_limited(path)
    return {"target": content} | ({"source": content} if described.encoder_layers else {})


def _languages(described: _Described) -> tuple[str, str] | None:
    """Source and target language, of a language model twice the one."""
    codes = described.languages
    if not codes or not all(re.fullmatch(r"[A-Za-z0-9-]{1,16}", code) for code in codes):
        return None
    return codes[0], codes[-1]
