"""Transformers of random weights, with 32 source tokens and 32 target tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.environments import OWN
from benchmarks.parts.part import Contestant, Part, Ratio
from benchmarks.rounds import Block, Case
from benchmarks.setting import ENGINE, Preparation, Setting
from benchmarks.shapes import SHAPES, random_batch

LENGTH = 32
BATCHES = (1, 8, 32)
BEAMS = {1: "greedy", 4: "beam 4"}
OURS, CT2_INT8, ORT_INT8 = "int8ref", "CTranslate2 int8", "ONNX Runtime int8"
TORCH_FLOAT32 = "PyTorch float32"

IMPORTER = ("benchmarks/prepare", "benchmarks/shapes.py", *ENGINE)
TORCH_MODEL = ("benchmarks/prepare", "benchmarks/shapes.py", "benchmarks/workers/torch_model.py")


def preparations(shape: str, *kinds: str) -> Callable[[Setting], list[Preparation]]:
    """Return the preparations of the weights and of the formats of the contestants."""

    def made(setting: Setting) -> list[Preparation]:
        given = shape, str(setting.models(shape))
        every = {
            "int8ref": [Preparation("int8ref_model", given, OWN, IMPORTER)],
            "ctranslate2": [Preparation("ctranslate2_models", given, "ctranslate2")],
            "onnx": [
                Preparation("onnx_export", given, "torch", TORCH_MODEL),
                Preparation("onnx_int8", given, "onnxruntime", TORCH_MODEL),
            ],
        }
        return [Preparation("random_weights", given), *(p for kind in kinds for p in every[kind])]

    return made


def contestants(shape: str) -> dict[str, Contestant]:
    """Return the contestants by name."""
    sizes = SHAPES[shape]

    def options(kind: str) -> Callable[[Setting], dict[str, Any]]:
        return lambda setting: {
            "folder": str(setting.models(shape)),
            "type": kind,
            "heads": sizes.heads,
            "vocabulary": sizes.vocabulary,
        }

    rows = (
        (OURS, OWN, "int8ref_ids", "int8", "int8ref"),
        ("CTranslate2 float32", "ctranslate2", "ctranslate2", "float32", "ctranslate2"),
        (CT2_INT8, "ctranslate2", "ctranslate2", "int8", "ctranslate2"),
        (TORCH_FLOAT32, "torch", "pytorch", "float32", ""),
        ("PyTorch dynamic int8", "torch", "pytorch", "int8", ""),
        (ORT_INT8, "onnxruntime", "onnxruntime", "int8", "onnx"),
    )
    return {
        name: Contestant(
            name, env, worker, options(kind), preparations(shape, *filter(None, [made]))
        )
        for name, env, worker, kind, made in rows
    }


def translation(
    contestant: str, name: str, shape: str, sentences: int, length: int, beam: int = 1
) -> Case:
    """Return a case with as many target tokens as source tokens."""
    source = random_batch(SHAPES[shape], sentences, length)
    work = {"source": source, "length": length, "beam": beam}
    return Case(contestant, name, work, sentences * length)


def _part(shape: str) -> Part:
    rows = contestants(shape)

    def blocks(setting: Setting) -> list[Block]:
        names = [
            (f"{kind}, batch {batch}", batch, beam)
            for beam, kind in BEAMS.items()
            for batch in BATCHES
        ]
        return [
            Block(name, tuple(translation(row, name, shape, batch, LENGTH, beam) for row in rows))
            for name, batch, beam in names
        ]

    sizes = SHAPES[shape]
    layers = f"{sizes.encoder_layers} + {sizes.decoder_layers} layers"
    described = f"{layers}, d {sizes.d_model}, ffn {sizes.d_ffn}, vocabulary {sizes.vocabulary}"
    return Part(
        name=shape,
        title=f"Random Transformer-{shape} ({described}), {LENGTH} tokens in and out",
        unit="tokens/s",
        contestants=tuple(rows.values()),
        blocks=blocks,
        ratios=(
            Ratio(OURS, (CT2_INT8, ORT_INT8)),
            *(Ratio(OURS, (name,)) for name in rows if name != OURS),
        ),
    )


SMALL, BASE = _part("small"), _part("base")
