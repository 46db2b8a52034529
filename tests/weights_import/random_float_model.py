"""Float models of any shape with random tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from weights_import.composer import Composer, Normed
from weights_import.float_model import FloatModel, Generation
from weights_import.sources import decoder_only, encoder_decoder
from weights_import.tensors import Float32

ENCODER_DECODER = Normed("l2", 1e-6)
LLAMA = Normed("rms", 1e-5, bias=False)


class RandomComposer(Composer):
    """Composes a program, and makes a random tensor wherever a reader would look for one.

    `optional`: also the tensors that a model may lack.
    """

    def __init__(self, seed: int, width: int, norm: Normed, optional: bool) -> None:
        super().__init__(lambda name: None, width, norm, biases=optional)
        self._random = np.random.default_rng(seed)
        self._optional = optional

    def tensor(self, name: str, *shape: int, required: bool = True) -> str:
        if required or self._optional:
            self.tensors.put(name, self._some(shape))
        return name

    def _some(self, shape: tuple[int, ...]) -> Float32:
        """Products of a matrix have about the size of their inputs."""
        deviation = 2 / np.sqrt(shape[-1]) if len(shape) > 1 else 0.7
        return self._random.normal(0, deviation, shape).astype(np.float32)


def random_model(
    shape: encoder_decoder.Shape | decoder_only.Shape,
    seed: int = 0,
    norm: Normed | None = None,
    optional: bool | None = None,
    **generation: Any,
) -> FloatModel:
    """Return a random model with untied matrices.

    norm        the kind of its norms.  Default: l2, or rms for a Llama
    optional    whether it has the tensors that a model may lack.  Default: not for a Llama
    generation  fields of `Generation`.  Default: token 0 ends a text, and the decoder starts with
                the zero vector, or with token 1 for a Llama
    """
    if isinstance(shape, decoder_only.Shape):
        c = RandomComposer(seed, shape.d_model, norm or LLAMA, bool(optional))
        program, tensors = c.finish(decoder_only.compose(c, shape))
        told = {"start": 1, "eos": 2, "unk": 0, "target_vocabulary": shape.vocabulary}
        return FloatModel(program, tensors, Generation(**(told | generation)))
    c = RandomComposer(seed, shape.d_model, norm or ENCODER_DECODER, optional is not False)
    program, tensors = c.finish(encoder_decoder.compose(c, shape))
    return FloatModel(program, tensors, Generation(**(_told(shape) | generation)))


def _told(shape: encoder_decoder.Shape) -> dict[str, Any]:
    return {
        "start": -1, "eos": 0, "unk": 1, "max_length_factor": 2.5, "alpha": 0.0,
        "source_vocabulary": shape.source_vocabulary if shape.encoder_layers else 0,
        "target_vocabulary": shape.target_vocabulary, "max_positions": shape.max_positions,
    }  # fmt: skip
