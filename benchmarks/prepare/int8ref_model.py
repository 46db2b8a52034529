"""`python -m benchmarks.prepare.int8ref_model SHAPE FOLDER`: imports weights.npz into int8ref.

The calibration uses a few random sentences, because the model has no language.  The model
translates token ids, because it has no tokenizer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shapes import EOS, POSITIONS, SHAPES, UNK, Shape, random_batch
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, Tokenizer, save
from weights_import.calibrate import calibrate
from weights_import.float_model import Architecture, Float32, FloatModel
from weights_import.lower import Options, lower

SENTENCES, LENGTH = 8, 16


def architecture(shape: Shape) -> Architecture:
    """Return the architecture of a shape for the importer."""
    same: dict[str, Any] = {
        name: getattr(shape, name)
        for name in (
            "d_model", "heads", "d_ffn", "encoder_layers", "decoder_layers", "decoder_cell",
        )
    }  # fmt: skip
    return Architecture(
        **same,
        norm="l2",
        norm_position="post",
        norm_epsilon=1e-5,
        attention="softmax",
        activation="relu",
        embedding_scale=shape.d_model**0.5,
        start=-1,
        eos=EOS,
        unk=UNK,
        source_vocabulary=shape.vocabulary,
        target_vocabulary=shape.vocabulary,
        max_length_factor=1.0,
    )


def lowered(name: str, weights: dict[str, Float32]) -> tuple[FloatModel, Model]:
    """Return the random model of a shape in float and in integers.

    The float model computes its own positions.
    """
    shape = SHAPES[name]
    tensors = {tensor: array for tensor, array in weights.items() if tensor != "positions"}
    model = FloatModel(architecture(shape), tensors)
    model.validate()
    ranges = calibrate(model, random_batch(shape, SENTENCES, LENGTH))
    program, constants = lower(model, ranges, Options(positions=POSITIONS))
    none = Tokenizer("sentencepiece", b"none")
    provenance = {"origin": "random numbers"}
    return model, Model(name, ("und", "und"), program, constants, none, none, provenance)


def main(name: str, folder: Path) -> None:
    """Write int8ref.safetensors."""
    with np.load(folder / "weights.npz") as file:
        _, made = lowered(name, dict(file))
    save(folder / "int8ref.safetensors", made)
    load_engine(made.program, made.tensors)  # compiles the native code


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
