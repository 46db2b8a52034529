"""Tiny random models that CTranslate2 itself writes, and its scores of a translation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny_ctranslate2 as tiny
from ctranslate2 import Translator
from ctranslate2.specs import common_spec, model_spec, transformer_spec

SHARED = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefgh"]
QUANTISATIONS = (
    "float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16",
    "int16",
)  # fmt: skip
POSITIONS = 40
KINDS: dict[str, dict[str, Any]] = {
    "OpenNMT": {"config": {}},
    "OpenNMT-tf": {"config": {"add_source_bos": True, "add_source_eos": True}},
    "Marian": {
        "spec": {"pre_norm": False, "activation": common_spec.Activation.SWISH},
        "zero": True,
        "config": {"add_source_eos": True},
    },
    "Marian of transformers": {
        "spec": {"pre_norm": False, "activation": common_spec.Activation.SWISH},
        "zero": True,
        "tables": True,
        "scale": tiny.WIDTH**0.5,
        "config": {"decoder_start_token": "</s>"},
    },
    "BART": {
        "spec": {
            "pre_norm": False,
            "activation": common_spec.Activation.GELU,
            "layernorm_embedding": True,
        },
        "tables": True,
        "scale": 1.0,
        "config": {"decoder_start_token": "</s>"},
    },
    "Pegasus": {
        "tables": True,
        "scale": tiny.WIDTH**0.5,
        "config": {"decoder_start_token": "<pad>", "bos_token": "<pad>"},
    },
    "unknown": {
        "spec": {"pre_norm": False},
        "tables": True,
        "scale": tiny.WIDTH**0.5,
        "config": {"decoder_start_token": "</s>"},
    },
    "M2M100": {
        "tables": True,
        "scale": tiny.WIDTH**0.5,
        "config": {"decoder_start_token": "</s>"},
    },
    "mBART": {
        "spec": {"activation": common_spec.Activation.GELU, "layernorm_embedding": True},
        "tables": True,
        "scale": tiny.WIDTH**0.5,
        "config": {"decoder_start_token": None},
    },
    "fairseq": {
        "tables": True,
        "scale": tiny.WIDTH**0.5,
        "config": {"decoder_start_token": "</s>", "add_source_eos": True},
    },
}
"""Fields that CTranslate2's converter of each kind sets.  Other fields keep their defaults."""


class Halves(model_spec.Variable):
    """A variable in bfloat16.  CTranslate2 makes such a variable only with PyTorch."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = "bfloat16"

    shape: Any = ()
    dtype: Any = ""

    def numpy(self) -> Any:
        return self.array

    def num_bytes(self) -> int:
        return 2 * int(self.array.size)

    def to_bytes(self) -> bytes:
        return bytes((self.array.view(np.uint32) >> 16).astype(np.uint16).tobytes())

    def _to(self, dtype: str) -> Any:
        raise NotImplementedError

    def _equal(self, other: Any) -> bool:
        return other is self


def write(
    folder: Path,
    kind: str,
    quantisation: str = "float32",
    vocabulary: list[str] | None = None,
    **spec: Any,
) -> Path:
    """Write a model of a kind into a folder with CTranslate2's own writer."""
    told = KINDS[kind]
    made = transformer_spec.TransformerSpec.from_config(
        (tiny.LAYERS, tiny.LAYERS), tiny.HEADS, **told.get("spec", {}), **spec
    )
    pieces = SHARED if vocabulary is None else vocabulary
    random = np.random.default_rng(7)
    words = random.normal(0, 0.7, (len(pieces), tiny.WIDTH)).astype(np.float32)
    table = random.normal(0, 0.7, (POSITIONS, tiny.WIDTH)).astype(np.float32)
    for name, value in tiny.tensors().items():
        assign(made, name, value.copy())
    for name in ("encoder/embeddings_0", "decoder/embeddings", "decoder/projection"):
        assign(made, f"{name}/weight", words.copy())
    bias = random.normal(0, 0.7, len(pieces)).astype(np.float32)
    bias[pieces.index("</s>")] = -3  # few translations end at once
    made.decoder.projection.bias = bias
    for stack in (made.encoder, made.decoder):
        if told.get("tables"):
            stack.position_encodings.encodings = table.copy()
        if "scale" in told:
            stack.scale_embeddings = told["scale"]
        if hasattr(stack, "layernorm_embedding"):
            stack.layernorm_embedding.gamma = table[0] + 1
            stack.layernorm_embedding.beta = table[1].copy()
    made.decoder.start_from_zero_embedding = bool(told.get("zero"))
    for key, value in told["config"].items():
        setattr(made.config, key, value)
    made.register_source_vocabulary(pieces)
    made.register_target_vocabulary(pieces)
    made.validate()
    optimised(made, quantisation)
    folder.mkdir(exist_ok=True)
    made.save(str(folder))
    return folder


def optimised(spec: Any, quantisation: str) -> None:
    """Quantise the variables of a specification."""
    spec.optimize(quantisation.replace("bfloat16", "float32"))
    if "bfloat16" in quantisation:
        spec._visit(halve)


def assign(spec: Any, name: str, value: Any) -> None:
    """Set a variable by its name, if the kind has this variable."""
    *path, last = name.split("/")
    for part in path:
        if not hasattr(spec, part):
            part, _, number = part.rpartition("_")
            spec = getattr(spec, part, None)
            if spec is None or not number.isdigit():
                return  # post-norm models lack this norm
            spec = spec[int(number)]
        else:
            spec = getattr(spec, part)
    if hasattr(spec, last):
        setattr(spec, last, value)


def halve(spec: Any, name: str, value: Any) -> None:
    """Replace a float32 variable by a bfloat16 variable, unless it is a scale."""
    if not isinstance(value, model_spec.Variable) or value.is_scalar():
        return
    if value.dtype == "float32" and not name.endswith("_scale"):
        setattr(spec, name.rpartition("/")[2], Halves(value.numpy()))


def scores(folder: Path, source: list[str], target: list[str]) -> list[float]:
    """Return log P of each token of the target and of the end, by CTranslate2.

    CTranslate2 adds the tokens around a source that its configuration names.
    """
    translator = Translator(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    (found,) = translator.score_batch([source], [target])
    return list(found.log_probs)
