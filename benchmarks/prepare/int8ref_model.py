"""`python -m benchmarks.prepare.int8ref_model SHAPE FOLDER`: imports weights.npz into int8ref.

The calibration uses a few random sentences, because the model has no language.  The model
translates token ids, because it has no tokenizer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.shapes import EOS, POSITIONS, SHAPES, UNK, Shape, random_batch
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, Tokenizer, save
from weights_import.calibrate import calibration
from weights_import.composer import Composer, Normed
from weights_import.float_model import FloatModel, Generation
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.sources import encoder_decoder
from weights_import.tensors import Float32

SENTENCES, LENGTH = 8, 16


def float_model(shape: Shape, weights: dict[str, Float32]) -> FloatModel:
    """Return the model of a shape with these weights."""
    composer = Composer(weights.get, shape.d_model, Normed("l2", 1e-5))
    logits = encoder_decoder.compose(composer, architecture(shape))
    program, tensors = composer.finish(logits, weights.keys() - composer.tensors.keys())
    generation = Generation(
        start=-1,
        eos=EOS,
        unk=UNK,
        source_vocabulary=shape.vocabulary,
        target_vocabulary=shape.vocabulary,
    )
    return FloatModel(program, tensors, generation)


def architecture(shape: Shape) -> encoder_decoder.Shape:
    """Return a shape as the importer describes it."""
    return encoder_decoder.Shape(
        d_model=shape.d_model,
        heads=shape.heads,
        d_ffn=shape.d_ffn,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        activation="relu",
        source_vocabulary=shape.vocabulary,
        target_vocabulary=shape.vocabulary,
        embedding_scale=shape.d_model**0.5,
        recurrent=shape.decoder_cell == "ssru",
    )


def lowered(name: str, weights: dict[str, Float32]) -> tuple[FloatModel, Model]:
    """Return the random model of a shape in float and in integers.

    The float model computes its own positions.
    """
    shape = SHAPES[name]
    tensors = {tensor: array for tensor, array in weights.items() if tensor != "positions"}
    model = float_model(shape, tensors)
    text = calibration(model, random_batch(shape, SENTENCES, LENGTH))
    options = LoweringOptions(positions=POSITIONS)
    program, constants = lower(model, text.sources, text.targets, options)
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
