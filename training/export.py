"""Export of a trained model to one .safetensors file that needs no torch to read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from training.config import Config
from training.model.attention import PolynomialWeights
from training.model.norm import EPSILON
from training.model.transformer import Transformer
from training.prepare import BOS, EOS, PAD, UNK

FORMAT = "int8ref.training.transformer"
VERSION = 1


def architecture(config: Config, vocabulary: int) -> dict[str, Any]:
    """Everything a reader must know beside the tensors; plain JSON values."""
    model = config.model
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": config.name,
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
    """Float32 tensors by name; per polynomial attention `shift` = b and `delta` = |delta|, [heads].

    `positions` is the table that is added to the scaled embeddings.  The output matrix is the
    embedding.
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
    """Writes NAME.safetensors and NAME.tokenizer.model into `folder`.

    The header's metadata holds one key, `architecture`: JSON, see `architecture`.
    """
    path = folder / f"{config.name}.safetensors"
    described = json.dumps(architecture(config, config.data.vocabulary))
    save_file(tensors(model), path, {"architecture": described})
    shutil.copyfile(data / "tokenizer.model", folder / f"{config.name}.tokenizer.model")
    return path
