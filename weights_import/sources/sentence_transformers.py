"""What a checkpoint of sentence-transformers tells beside the file of a Transformer.

`modules.json` lists the steps from a text to its embedding: a Transformer, pooling, products with
an activation, and a normalisation.  Each step has a folder with its configuration.  The Transformer
is in the folder of `modules.json`, or in a folder in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.errors import CheckpointError
from weights_import.operations.pool import Pooling
from weights_import.sources import json_file
from weights_import.sources.containers import contents
from weights_import.sources.encoder_only import Dense
from weights_import.sources.json_file import Kind
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size

MODULES, LIMITS, CONFIG = "modules.json", "sentence_bert_config.json", "config.json"
WEIGHTS = "model.safetensors", "pytorch_model.bin"
MOST_MODULES = 16
POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last",
}
"""Pooling by the keys and the values of its configuration."""
ACTIVATIONS: dict[str, Activation | None] = {
    "Identity": None, "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu",
}  # fmt: skip
NONE_TOLD = (
    "nothing beside the file tells how the rows of a text become one row: their mean is taken;"
    " --pooling changes this"
)
LENGTHS = (
    "the checkpoint does not normalise embeddings, but int8ref does: cosines stay the same, and dot"
    " products are cosines"
)


@dataclass(frozen=True)
class Modules:
    """The steps behind the Transformer.

    pooling    how the rows of a text become one row
    dense      products of this row
    tensors    the tensors of these products, by canonical names; None for an absent bias
    positions  the most tokens of a text; 0 for all positions of the Transformer
    """

    pooling: Pooling = "mean"
    dense: tuple[Dense, ...] = ()
    tensors: Mapping[str, Own] = field(default_factory=dict)
    positions: int = 0
    warnings: tuple[str, ...] = ()


class _Module(msgspec.Struct, frozen=True):
    type: str
    path: str = ""

    @property
    def kind(self) -> str:
        """The name of its class."""
        return self.type.rpartition(".")[2]


class _Limits(msgspec.Struct, frozen=True):
    max_seq_length: Size | None = None
    do_lower_case: bool = False


class _Dense(msgspec.Struct, frozen=True):
    out_features: Size
    activation_function: str = "torch.nn.modules.activation.Tanh"
    bias: bool = True


def files(path: Path) -> list[Path]:
    """The files beside a Transformer that `modules` reads."""
    root, listed = _listed(path)
    if root is None:
        return []
    folders = [root / module.path for module in listed if module.kind in ("Pooling", "Dense")]
    named = [folder / name for folder in folders for name in (CONFIG, *WEIGHTS)]
    return [f for f in (root / MODULES, path.with_name(LIMITS), *named) if f.is_file()]


def modules(path: Path) -> Modules:
    """The steps behind the Transformer in a file; raises CheckpointError.

    Without `modules.json`, the embedding is the mean of the rows.
    """
    root, listed = _listed(path)
    if root is None:
        return Modules(warnings=(NONE_TOLD,))
    kinds = [module.kind for module in listed]
    known = ["Transformer", "Pooling", *(k for k in kinds if k == "Dense"), "Normalize"]
    if kinds not in (known, known[:-1]):
        raise CheckpointError(
            f"{MODULES}: the steps {', '.join(kinds)[:200]} are not read; a Transformer, Pooling,"
            " Dense, ... and Normalize in this order are read"
        )
    dense, tensors = _dense(root, [module for module in listed if module.kind == "Dense"])
    limits = _limits(path)
    told = [LENGTHS] if kinds[-1] != "Normalize" else []
    if limits.do_lower_case:
        told.append(f"{LIMITS}: do_lower_case is passed over: give texts in lower case")
    pooling = _pooling(root / listed[1].path)
    return Modules(pooling, dense, tensors, limits.max_seq_length or 0, tuple(told))


def _listed(path: Path) -> tuple[Path | None, list[_Module]]:
    """The folder with `modules.json` of a Transformer, and the modules; raises CheckpointError."""
    for root in (path.parent, path.absolute().parent.parent):
        file = root / MODULES
        if file.is_file():
            found = json_file.read(file, list[_Module])[:MOST_MODULES]
            for module in found:
                _check_place(module.path)
            if any(path.parent.absolute() == (root / m.path).absolute() for m in found):
                return root, found
    return None, []


def _check_place(path: str) -> None:
    """Raises CheckpointError for a folder that is not in the folder of the checkpoint."""
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts or "\\" in path or "\0" in path:
        raise CheckpointError(f"{MODULES}: the folder {path!r:.80} is not in the checkpoint")


def _limits(path: Path) -> _Limits:
    """The limits of texts; raises CheckpointError."""
    file = path.with_name(LIMITS)
    return json_file.read(file, _Limits) if file.is_file() else _Limits()


def _configured(folder: Path, kind: type[Kind]) -> Kind:
    """The configuration of a step; raises CheckpointError without one."""
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{MODULES} lists {folder.name}, which has no {CONFIG}")
    return json_file.read(folder / CONFIG, kind)


def _pooling(folder: Path) -> Pooling:
    """How rows become one row, by its configuration; raises CheckpointError."""
    told = _configured(folder, dict[str, Any])
    modes = [key for key, on in told.items() if key.startswith("pooling_mode_") and on is True]
    if isinstance(mode := told.get("pooling_mode"), str):
        modes = [mode]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise CheckpointError(
            f"pooling by {' and '.join(modes)[:80] or 'nothing'} is not read; the mean, the first"
            " token and the last token are read"
        )
    return POOLINGS[modes[0]]


def _dense(root: Path, listed: list[_Module]) -> tuple[tuple[Dense, ...], dict[str, Own]]:
    """Products of the pooled row, and their tensors; raises CheckpointError."""
    found: list[Dense] = []
    tensors: dict[str, Own] = {}
    for i, module in enumerate(listed):
        folder = root / module.path
        told = _configured(folder, _Dense)
        name = told.activation_function.rpartition(".")[2]
        if name not in ACTIVATIONS:
            raise CheckpointError(f"{folder.name}: the activation {name!r:.40} is not read")
        found.append(Dense(told.out_features, ACTIVATIONS[name]))
        files = [folder / weights for weights in WEIGHTS if (folder / weights).is_file()]
        if not files:
            raise CheckpointError(f"{folder.name}: no {' or '.join(WEIGHTS)}")
        stored = contents(files[0]).tensors
        for leaf in ("weight", "bias")[: 1 + told.bias]:
            if f"linear.{leaf}" not in stored:
                raise CheckpointError(f"{folder.name}: missing linear.{leaf}")
        tensors[f"dense.{i}.weight"] = stored["linear.weight"]
        tensors[f"dense.{i}.bias"] = stored["linear.bias"] if told.bias else None
    return tuple(found), tensors
