"""Tiny random encoders alone in the formats of transformers, made without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tiny_decoders import Config, Shapes, linear

from weights_import.tensors import Float32

WIDTH, FFN, HEADS, LAYERS, POSITIONS, NARROW = 24, 32, 4, 2, 40, 16
LETTERS = ". , ! a e i o u t s n r h l d c m f p g w y b v k"
ENDS = "##a ##e ##i ##o ##u ##t ##s ##n ##r ##h ##l ##d"
TOKENS = f"[PAD] [UNK] [CLS] [SEP] [MASK] {LETTERS} {ENDS} the cat sat mat \u4e2d".split()
VOCABULARY = len(TOKENS)

BERT: Config = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu",
    "hidden_size": WIDTH, "intermediate_size": FFN, "layer_norm_eps": 1e-12,
    "max_position_embeddings": POSITIONS, "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS, "pad_token_id": 0, "type_vocab_size": 2,
    "vocab_size": VOCABULARY,
}  # fmt: skip
ROBERTA: Config = BERT | {
    "model_type": "roberta", "architectures": ["RobertaModel"], "bos_token_id": 2,
    "eos_token_id": 3, "layer_norm_eps": 1e-5, "pad_token_id": 1, "type_vocab_size": 1,
}  # fmt: skip
DISTIL: Config = {
    "model_type": "distilbert", "architectures": ["DistilBertModel"], "activation": "gelu",
    "dim": WIDTH, "hidden_dim": FFN, "max_position_embeddings": POSITIONS, "n_heads": HEADS,
    "n_layers": LAYERS, "pad_token_id": 0, "vocab_size": VOCABULARY,
}  # fmt: skip
ELECTRA: Config = BERT | {
    "model_type": "electra", "architectures": ["ElectraModel"], "embedding_size": NARROW,
}  # fmt: skip
MPNET: Config = ROBERTA | {
    "model_type": "mpnet", "architectures": ["MPNetModel"], "type_vocab_size": 0,
    "relative_attention_num_buckets": 32,
}  # fmt: skip
ALBERT: Config = BERT | {
    "model_type": "albert", "architectures": ["AlbertModel"], "embedding_size": NARROW,
    "hidden_act": "gelu_new",
}  # fmt: skip
NAMED: Config = {"id2label": {"0": "joy", "1": "anger", "2": "no label"}}
CASES: dict[str, Config] = {
    "bert": BERT,
    "bert, labels": BERT | NAMED | {"architectures": ["BertForSequenceClassification"]},
    "bert, words": BERT | {"architectures": ["BertForMaskedLM"], "hidden_act": "relu"},
    "roberta": ROBERTA,
    "roberta, labels": ROBERTA | NAMED | {
        "architectures": ["RobertaForSequenceClassification"],
    },
    "xlm-roberta": ROBERTA | {
        "model_type": "xlm-roberta", "architectures": ["XLMRobertaForMaskedLM"],
    },
    "camembert": ROBERTA | {"model_type": "camembert", "architectures": ["CamembertModel"]},
    "mpnet": MPNET,
    "mpnet, labels": MPNET | NAMED | {"architectures": ["MPNetForSequenceClassification"]},
    "distilbert": DISTIL,
    "distilbert, labels": DISTIL | NAMED | {
        "architectures": ["DistilBertForSequenceClassification"],
    },
    "electra": ELECTRA,
    "albert": ALBERT,
    "albert, labels": ALBERT | NAMED | {"architectures": ["AlbertForSequenceClassification"]},
    "electra, labels": ELECTRA | NAMED | {
        "architectures": ["ElectraForSequenceClassification"], "embedding_size": WIDTH,
    },
}  # fmt: skip
BODIES = {"mpnet": "mpnet.", "bert": "bert.", "distilbert": "distilbert.", "electra": "electra.",
          "albert": "albert."}  # fmt: skip


WIDENING = {"albert": "encoder.embedding_hidden_mapping_in"}
ALBERT_LAYER = "encoder.albert_layer_groups.0.albert_layers.0."


def norm(name: str, width: int = WIDTH) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def layer(c: Config, at: str) -> Shapes:
    if c["model_type"] == "distilbert":
        found: Shapes = {}
        for part in ("q_lin", "k_lin", "v_lin", "out_lin"):
            found |= linear(f"{at}attention.{part}", WIDTH, WIDTH, True)
        found |= linear(f"{at}ffn.lin1", FFN, WIDTH, True)
        found |= linear(f"{at}ffn.lin2", WIDTH, FFN, True)
        return found | norm(f"{at}sa_layer_norm") | norm(f"{at}output_layer_norm")
    found = {}
    if c["model_type"] == "mpnet":
        for part in "qkvo":
            found |= linear(f"{at}attention.attn.{part}", WIDTH, WIDTH, True)
        found |= linear(f"{at}intermediate.dense", FFN, WIDTH, True)
        found |= linear(f"{at}output.dense", WIDTH, FFN, True)
        return found | norm(f"{at}attention.LayerNorm") | norm(f"{at}output.LayerNorm")
    for part in ("self.query", "self.key", "self.value", "output.dense"):
        found |= linear(f"{at}attention.{part}", WIDTH, WIDTH, True)
    found |= linear(f"{at}intermediate.dense", FFN, WIDTH, True)
    found |= linear(f"{at}output.dense", WIDTH, FFN, True)
    return found | norm(f"{at}attention.output.LayerNorm") | norm(f"{at}output.LayerNorm")


def albert_layer(at: str) -> Shapes:
    """Return the shapes of the layer that all layers are."""
    found: Shapes = {}
    for part in ("query", "key", "value", "dense"):
        found |= linear(f"{at}attention.{part}", WIDTH, WIDTH, True)
    found |= linear(f"{at}ffn", FFN, WIDTH, True) | linear(f"{at}ffn_output", WIDTH, FFN, True)
    return found | norm(f"{at}attention.LayerNorm") | norm(f"{at}full_layer_layer_norm")


def body(c: Config) -> str:
    """Return what stands before the names of a model with a head."""
    bare = c["architectures"][0].endswith("Model")
    return "" if bare else BODIES.get(c["model_type"], "roberta.")


def shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the shape of each tensor of a configuration."""
    at, kind = body(c), c["model_type"]
    width = c.get("embedding_size", WIDTH)
    yield f"{at}embeddings.word_embeddings.weight", (VOCABULARY, width)
    yield f"{at}embeddings.position_embeddings.weight", (POSITIONS, width)
    if kind == "mpnet":
        yield f"{at}encoder.relative_attention_bias.weight", (32, HEADS)
    elif kind != "distilbert":
        yield f"{at}embeddings.token_type_embeddings.weight", (c["type_vocab_size"], width)
    yield from norm(f"{at}embeddings.LayerNorm", width).items()
    if width != WIDTH:
        widening = WIDENING.get(kind, "embeddings_project")
        yield from linear(f"{at}{widening}", WIDTH, width, True).items()
    if kind == "albert":
        yield from albert_layer(f"{at}{ALBERT_LAYER}").items()
        yield from head(c, at).items()
        return
    stack = "transformer" if kind == "distilbert" else "encoder"
    for i in range(LAYERS):
        yield from layer(c, f"{at}{stack}.layer.{i}.").items()
    yield from head(c, at).items()


def head(c: Config, at: str) -> Shapes:
    """Return the shapes of the pooler and the head."""
    kind, labels = c["model_type"], len(c.get("id2label", {}))
    pooler = linear(f"{at}pooler.dense", WIDTH, WIDTH, True) if kind in ("bert", "roberta") else {}
    if c["architectures"][0] == "BertForMaskedLM":
        found = linear("cls.predictions.transform.dense", WIDTH, WIDTH, True)
        found |= norm("cls.predictions.transform.LayerNorm")
        return found | {"cls.predictions.bias": (VOCABULARY,)}
    if c["architectures"][0] == "XLMRobertaForMaskedLM":
        found = linear("lm_head.dense", WIDTH, WIDTH, True) | norm("lm_head.layer_norm")
        return found | {"lm_head.bias": (VOCABULARY,)}
    if not labels:
        return linear(f"{at}pooler", WIDTH, WIDTH, True) if kind == "albert" else pooler
    if kind == "albert":
        return linear(f"{at}pooler", WIDTH, WIDTH, True) | linear("classifier", labels, WIDTH, True)
    if kind == "bert":
        return pooler | linear("classifier", labels, WIDTH, True)
    if kind == "distilbert":
        dense = linear("pre_classifier", WIDTH, WIDTH, True)
        return dense | linear("classifier", labels, WIDTH, True)
    dense = linear("classifier.dense", WIDTH, WIDTH, True)
    return dense | linear("classifier.out_proj", labels, WIDTH, True)


def tensors(c: Config, seed: int = 0) -> dict[str, Float32]:
    """Return random tensors of a configuration."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(c):
        gain = len(shape) == 1 and name.endswith("weight")
        found[name] = (random.normal(0, 0.3, shape) + gain).astype(np.float32)
    return found


def write(
    folder: Path, case: str, content: dict[str, Float32] | None = None, **changes: Any
) -> Path:
    """Write the checkpoint, its configuration and its list of tokens.

    A change to None removes a key.
    """
    config = {key: value for key, value in (CASES[case] | changes).items() if value is not None}
    path = folder / "model.safetensors"
    save_file(tensors(CASES[case]) if content is None else content, path)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS), "utf-8")
    return path


def write_modules(folder: Path, pooling: Config, *more: str) -> None:
    """Write what sentence-transformers writes beside a Transformer: pooling, and more steps."""
    steps = ["Transformer", "Pooling", *more]
    listed = [
        {"idx": i, "name": str(i), "path": "" if i == 0 else f"{i}_{step}",
         "type": f"sentence_transformers.models.{step}"}
        for i, step in enumerate(steps)
    ]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
