"""Tiny random models with encoder and decoder in the format of Hugging Face's transformers.

They are made without transformers: mBART, M2M100, NLLB, Pegasus and FSMT.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from weights_import.sources.vocabulary import Piece, byte_pairs
from weights_import.tensors import Float32

WIDTH, FFN, LAYERS, POSITIONS = 16, 24, 2, 40
LETTERS = "abcdefgh"
PIECES = ["▁", *LETTERS, "▁a", "▁b", "ab", "ch"]
M2M100 = ["__en__", "__pt__", "__fr__"]
NLLB = ["eng_Latn", "por_Latn", "fra_Latn"]
MBART50 = ["en_XX", "ro_RO", "pt_XX"]
CC25 = ["ar_AR", "en_XX", "ro_RO"]
UNUSED = 2
"""Embeddings without a token, behind the others."""
BASE: dict[str, Any] = {
    "activation_function": "relu", "d_model": WIDTH, "decoder_attention_heads": 2,
    "encoder_attention_heads": 2, "decoder_ffn_dim": FFN, "encoder_ffn_dim": FFN,
    "decoder_layers": LAYERS, "encoder_layers": LAYERS, "max_position_embeddings": POSITIONS,
    "is_encoder_decoder": True, "scale_embedding": True, "eos_token_id": 2, "pad_token_id": 1,
    "bos_token_id": 0, "decoder_start_token_id": 2, "tie_word_embeddings": True,
}  # fmt: skip
FAIRSEQ = 4 + len(PIECES)
SIZE = FAIRSEQ + 3 + UNUSED
OFFSET = 5
CONFIGS: dict[str, dict[str, Any]] = {
    "mbart-50": BASE | {
        "model_type": "mbart", "activation_function": "gelu", "vocab_size": SIZE,
        "architectures": ["MBartForConditionalGeneration"], "normalize_before": True,
        "add_final_layer_norm": True, "normalize_embedding": True, "forced_bos_token_id": None,
        "tokenizer_class": "MBart50Tokenizer",
    },
    "mbart-cc25": BASE | {
        "model_type": "mbart", "activation_function": "gelu", "vocab_size": SIZE,
        "architectures": ["MBartForConditionalGeneration"], "decoder_start_token_id": FAIRSEQ + 2,
    },
    "m2m100": BASE | {
        "model_type": "m2m_100", "vocab_size": SIZE, "encoder_layerdrop": 0.05,
        "architectures": ["M2M100ForConditionalGeneration"],
    },
    "nllb": BASE | {
        "model_type": "m2m_100", "vocab_size": SIZE, "encoder_layers": 1,
        "architectures": ["M2M100ForConditionalGeneration"],
    },
    "pegasus": BASE | {
        "model_type": "pegasus", "vocab_size": len(PIECES) + 1 + OFFSET + 2, "eos_token_id": 1,
        "pad_token_id": 0, "bos_token_id": None, "decoder_start_token_id": 0,
        "architectures": ["PegasusForConditionalGeneration"], "add_final_layer_norm": True,
        "normalize_before": True, "static_position_embeddings": True, "extra_pos_embeddings": 1,
    },
    "fsmt": BASE | {
        "model_type": "fsmt", "architectures": ["FSMTForConditionalGeneration"],
        "src_vocab_size": 15, "tgt_vocab_size": 13, "tie_word_embeddings": False,
        "langs": ["en", "de"], "length_penalty": 1.1,
    },
}  # fmt: skip
LANGUAGES = {"mbart-50": MBART50, "mbart-cc25": CC25, "m2m100": M2M100, "nllb": NLLB}


def tensors(kind: str, seed: int = 0) -> dict[str, Float32]:
    """Return random tensors of a kind of model."""
    config = CONFIGS[kind]
    random = np.random.default_rng(seed)
    found: dict[str, Float32] = {}

    def put(name: str, *shape: int, mean: float = 0, size: float = 0.3) -> None:
        found[name] = random.normal(mean, size, shape).astype(np.float32)

    def norm(name: str) -> None:
        put(f"{name}.weight", WIDTH, mean=1)
        put(f"{name}.bias", WIDTH)

    if kind == "fsmt":
        put("model.encoder.embed_tokens.weight", config["src_vocab_size"], WIDTH)
        for name in ("embed_tokens", "output_projection"):
            put(f"model.decoder.{name}.weight", config["tgt_vocab_size"], WIDTH)
    else:
        put("model.shared.weight", config["vocab_size"], WIDTH)
    for stack, attentions in (("encoder", ["self"]), ("decoder", ["self", "encoder"])):
        for layer in range(config[f"{stack}_layers"]):
            at = f"model.{stack}.layers.{layer}"
            for attention in attentions:
                for part in ("q", "k", "v", "out"):
                    put(f"{at}.{attention}_attn.{part}_proj.weight", WIDTH, WIDTH)
                    put(f"{at}.{attention}_attn.{part}_proj.bias", WIDTH)
                norm(f"{at}.{attention}_attn_layer_norm")
            put(f"{at}.fc1.weight", FFN, WIDTH)
            put(f"{at}.fc1.bias", FFN)
            put(f"{at}.fc2.weight", WIDTH, FFN)
            put(f"{at}.fc2.bias", WIDTH)
            norm(f"{at}.final_layer_norm")
        if kind != "fsmt":
            norm(f"model.{stack}.layer_norm")
        if kind.startswith("mbart"):
            norm(f"model.{stack}.layernorm_embedding")
            put(f"model.{stack}.embed_positions.weight", POSITIONS + 2, WIDTH)
    if kind not in ("m2m100", "nllb", "fsmt"):
        put("final_logits_bias", 1, config["vocab_size"])
    return found


def sentencepiece_model(special: tuple[str, ...] = ("<unk>", "<s>", "</s>")) -> bytes:
    """Return a SentencePiece model of `PIECES` behind special ones."""
    pieces = dict.fromkeys(special, Piece()) | {
        piece: Piece(-float(i)) for i, piece in enumerate(PIECES)
    }
    return byte_pairs(pieces, "<unk>", "<s>" if "<s>" in special else "<pad>", "</s>")


def write(
    folder: Path, kind: str, content: dict[str, Float32] | None = None, **changes: Any
) -> Path:
    """Write the checkpoint and the files beside it.  A change to None removes a field."""
    folder.mkdir(exist_ok=True)
    config = CONFIGS[kind] | changes
    told = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(told))
    write_tokenizer(folder, kind)
    path = folder / "model.safetensors"
    save_file(tensors(kind) if content is None else content, path)
    return path


def write_tokenizer(folder: Path, kind: str) -> None:
    """Write the files of a tokenizer, as the models on the Hub have them."""
    if kind == "fsmt":
        return
    if kind == "pegasus":
        (folder / "spiece.model").write_bytes(sentencepiece_model(("<pad>", "</s>", "<unk>")))
        (folder / "tokenizer_config.json").write_text(json.dumps({"offset": OFFSET}))
        return
    (folder / "sentencepiece.bpe.model").write_bytes(sentencepiece_model())
    tokens = LANGUAGES[kind]
    (folder / "special_tokens_map.json").write_text(
        json.dumps({"eos_token": "</s>", "additional_special_tokens": tokens})
    )
    if kind == "m2m100":  # a list in another order than the SentencePiece model
        pieces = ["<s>", "<pad>", "</s>", "<unk>", *reversed(PIECES)]
        (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}))
    if kind == "nllb":
        numbered = {str(FAIRSEQ + i): {"content": t, "special": True} for i, t in enumerate(tokens)}
        (folder / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "NllbTokenizer", "added_tokens_decoder": numbered})
        )


def write_library(folder: Path, kind: str) -> None:
    """Write the tokenizer of a kind as transformers 5 saves it: no SentencePiece model, and one
    tokenizer.json, which is a Unigram model with the tokens of languages behind it."""
    write_tokenizer(folder, kind)
    for name in ("sentencepiece.bpe.model", "spiece.model", "vocab.json", "added_tokens.json"):
        (folder / name).unlink(missing_ok=True)
    first = ["<s>", "<pad>", "</s>", "<unk>"]
    if kind == "pegasus":
        first = ["<pad>", "</s>", *(f"<unk_{i}>" for i in range(2, OFFSET + 2)), "<unk>"]
    pieces, added = [*first, *PIECES], LANGUAGES.get(kind, [])
    tokens = dict(enumerate(first)) | {len(pieces) + i: token for i, token in enumerate(added)}
    scores = [0.0 if i < len(first) else len(piece) - 10.0 for i, piece in enumerate(pieces)]
    spaces = {"replacement": "\u2581", "prepend_scheme": "always", "split": True}
    twice = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    told = {
        "version": "1.0",
        "model": {
            "type": "Unigram", "unk_id": first.index("<unk>"), "byte_fallback": False,
            "vocab": [list(one) for one in zip(pieces, scores, strict=True)],
        },
        "added_tokens": [
            {"id": i, "content": token, "special": True, "normalized": False, "lstrip": False,
             "rstrip": False, "single_word": False}
            for i, token in tokens.items()
        ],
        "normalizer": {"type": "Sequence", "normalizers": [twice]},
        "pre_tokenizer": {"type": "Metaspace"} | spaces,
        "decoder": {"type": "Metaspace"} | spaces,
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(told))
