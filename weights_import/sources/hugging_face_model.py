"""The float model of what a reader of transformers' encoder-decoder models has read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weights_import.float_model import FloatModel, Generation
from weights_import.float_program import FloatProgram
from weights_import.sources.hugging_face import MAX_LENGTH_FACTOR, Shape
from weights_import.sources.hugging_face_config import Marks
from weights_import.tensors import Tensors


def generation(config: Shape, marks: Marks, **own: Any) -> Generation:
    """How a model reads and writes; other fields are its `own`."""
    eos = marks.chosen(None)
    told: dict[str, Any] = {
        "start": config.decoder_start_token_id,
        "eos": eos,
        "more_eos": marks.others(eos),
    }
    return Generation(
        source_vocabulary=config.vocabularies[0],
        target_vocabulary=config.vocabularies[1],
        max_length_factor=MAX_LENGTH_FACTOR,
        max_positions=config.max_position_embeddings,
        **(told | own),
    )


def float_model(
    path: Path,
    title: str,
    sha256: str,
    made: tuple[FloatProgram, Tensors],
    how: Generation,
    **own: Any,
) -> FloatModel:
    """The float model of a checkpoint of this SHA-256; other fields are its `own`."""
    provenance = {"file": path.name, "format": title, "sha256": sha256}
    return FloatModel(*made, how, provenance=provenance, **own)
