"""Writes a trained model as one .safetensors file, and reads it.  Other readers need no torch."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.config import Config, Model
from training.model.attention import DELTA_FLOOR, PolynomialWeights
from training.model.norm import EPSILON
from training.model.transformer import Transformer
from training.prepare import BOS, EOS, PAD, UNK
from training.run_files import float_model

FORMAT = "int8ref.training.transformer"
VERSION = 1


def architecture(config: Config, vocabulary: int) -> dict[str, Any]:
    """Return all data that a reader needs beside the tensors, as plain JSON values."""
    model = config.model
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": config.name,
        "languages": list(config.languages),
        "origin": config.origin,
        "licence": config.licence,
        "task": "translation" if model.encoder_layers else "language_model",
        "vocabulary": vocabulary,
        "d_model": model.d_model,
        "heads": model.heads,
        "ffn": model.ffn,
        "ffn_activation": "relu",
        "encoder_layers": model.encoder_layers,
        "decoder_layers": model.decoder_layers,
        "attention": model.attention,
        "degree": model.degree if model.attention == "polynomial" else None,
        "score_scale": (model.d_model // model.heads) ** -0.5,
        "norm": model.norm,
        "norm_position": model.norm_position,
        "norm_epsilon": EPSILON,
        "embedding_scale": model.d_model**0.5,
        "tied_embeddings": True,
        "max_positions": model.max_positions,
        "special": {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS},
        "source_ends_with_eos": True,
        "decoder_starts_with": EOS if model.encoder_layers == 0 else BOS,
        "tokenizer": f"{config.name}.tokenizer.model",
    }


def tensors(model: Transformer) -> dict[str, Tensor]:
    """Return float32 tensors by name.

    A polynomial attention has `shift` = b and `delta` = |delta|, [heads].  `positions` is the table
    that is added to the scaled embeddings.  The output matrix is the embedding.
    """
    found = dict(model.state_dict())
    for name, module in model.named_modules():
        if isinstance(module, PolynomialWeights):
            found[f"{name}.shift"] = module.shift.detach().flatten()
            found[f"{name}.delta"] = module.delta().detach().flatten()
            del found[f"{name}.raw_delta"]
    found["positions"] = model.positions
    return {name: value.contiguous().clone() for name, value in found.items()}


def export(model: Transformer, config: Config, data: Path, folder: Path) -> Path:
    """Write NAME.safetensors and NAME.tokenizer.model into `folder`.

    The metadata of the header has one key, `architecture`: JSON, see the function `architecture`.
    """
    path = float_model(folder, config.name)
    described = json.dumps(architecture(config, config.data.vocabulary))
    save_file(tensors(model), path, {"architecture": described})
    shutil.copyfile(data / "tokenizer.model", folder / f"{config.name}.tokenizer.model")
    return path


def load(path: Path) -> tuple[Transformer, dict[str, Any]]:
    """Return the network of an exported file in evaluation mode, and its architecture."""
    with safe_open(path, "pt") as file:
        described = json.loads(file.metadata()["architecture"])
        found = {name: file.get_tensor(name) for name in list(file.keys())}
    if (described["format"], described["version"]) != (FORMAT, VERSION):
        raise ValueError(f"{path}: not a file of format {FORMAT}, version {VERSION}")
    keys = [f.name for f in dataclasses.fields(Model) if f.name in described]
    shape = {key: described[key] for key in keys if described[key] is not None}
    model = Transformer(Model(**shape, dropout=0.0), described["vocabulary"]).eval()
    del found["positions"]
    for name in [name for name in found if name.endswith(".weights.shift")]:
        delta = found.pop(name.replace(".shift", ".delta")) - DELTA_FLOOR
        found[name.replace(".shift", ".raw_delta")] = delta[:, None, None]
        found[name] = found[name][:, None, None]
    model.load_state_dict(found)
    return model, described
