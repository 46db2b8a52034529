"""What becomes of the token `<pad>` of a Marian model in Hugging Face's transformers, with which
the decoder begins, and which no search may choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weights_import.arithmetic.sums import dot, sum_of_squares
from weights_import.errors import CheckpointError
from weights_import.sources.lookup import Own
from weights_import.tensors import Float32, Float64, Stored

MARGIN = 20.0
"""The least distance of the logit of `<pad>` below the logit of the end mark."""


def padding(told: tuple[int, int], vocabularies: tuple[int, int], target: Stored | None) -> int:
    """The id of `<pad>`, with which the decoder begins; -1 for a model of Marian without `<pad>`.

    `told` are the id of `<pad>` and the first id of the decoder.  `target` is the embedding of the
    decoder.  Raises CheckpointError if the decoder begins with another token.
    """
    pad, start = told
    if pad != start or pad >= min(vocabularies):
        raise CheckpointError(
            f"pad_token_id {pad}, decoder_start_token_id {start}: both"
            f" must be one token of {min(vocabularies)}"
        )
    last = vocabularies == (pad + 1, pad + 1)
    return -1 if last and (target is None or not target.read()[pad].any()) else pad


def without_last(tensors: Mapping[str, Own]) -> dict[str, Own]:
    """The tensors without the row of the last token; tied tensors stay tied."""
    cut = {id(tensor): _without_last(tensor) for tensor in tensors.values() if tensor is not None}
    return {name: cut.get(id(tensor)) for name, tensor in tensors.items()}


def _without_last(tensor: Stored) -> Stored:
    if not tensor.shape:
        return tensor
    rows, *rest = tensor.shape
    return tensor.changed((max(rows - 1, 0), *rest), lambda x: x[:-1])


@dataclass(frozen=True)
class Output:
    """The tensors of the logits: matrix and bias of the output, and of the norm before it."""

    weight: Own
    bias: Own
    norm_gain: Own
    norm_bias: Own


def kept_below(output: Output, size: tuple[int, int], pad: int, eos: int) -> Own:
    """The bias of the output, with a lower bias of `pad`.

    The logit of `pad` is then below the logit of the end mark by MARGIN for all values of the
    decoder.  The output multiplies gain * z + bias of the last norm, with |z| <= sqrt(d).  For the
    difference w of two rows, the logits differ by at most |w * gain| sqrt(d) + w . bias.  `size` is
    the shape of the matrix.  If a tensor is missing or misshapen, which the Composer reports, the
    bias stays the same.
    """
    weight, gain, shift = output.weight, output.norm_gain, output.norm_bias
    if weight is None or gain is None or shift is None:
        return output.bias
    if weight.shape != size or {gain.shape, shift.shape} != {size[1:]}:
        return output.bias
    if output.bias is not None and output.bias.shape != size[:1]:
        return output.bias
    bias = np.zeros(size[0], np.float32) if output.bias is None else output.bias.read().copy()
    rows = weight.read()
    apart = rows[pad].astype(np.float64) - rows[eos]
    most = largest(apart, gain.read(), shift.read())
    bias[pad] = min(float(bias[pad]), float(bias[eos]) - max(most, 0.0) - MARGIN)
    return Stored.of(bias, "output.bias")


def largest(apart: Float64, gain: Float32, shift: Float32) -> float:
    """The largest apart . (gain * z + shift) for |z| <= sqrt(d)."""
    steep = apart * gain.astype(np.float64)
    reach = math.sqrt(sum_of_squares(steep)) * math.sqrt(len(apart))
    return reach + dot(apart, shift.astype(np.float64))
