"""Tiny random checkpoints of fairseq, OpenNMT-py, JoeyNMT and Sockeye, made without them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch_writer
from numpy.typing import NDArray
from torch_writer import Call, Named

Array = NDArray[Any]
Shapes = dict[str, tuple[int, ...]]
Options = dict[str, Any]

WIDTH, FFN, HEADS, LAYERS, POSITIONS = 16, 20, 2, 2, 40
SOURCE, TARGET = [*"abcdefghi"], [*"ABCDEFG"]
"""The pieces of both sides beside the special ones."""
STACKS = "encoder", "decoder"


def linear(name: str, rows: int, columns: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (rows, columns)} | ({f"{name}.bias": (rows,)} if bias else {})


def norm(name: str) -> Shapes:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def drawn(shapes: Shapes, seed: int = 0) -> dict[str, Any]:
    """Return random tensors; the gains of norms are about one."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes.items():
        gain = name.endswith("weight") and len(shape) == 1
        found[name] = (random.normal(0, 0.4, shape) + gain).astype(np.float32)
    return found


@cache
def interleaved(count: int) -> Array:
    """Return positions of Vaswani et al. 2017: sines and cosines in turn."""
    table = np.zeros((count, WIDTH))
    for p in range(count):
        for i in range(0, WIDTH, 2):
            angle = p * math.exp(-math.log(10000.0) * i / WIDTH)
            table[p, i], table[p, i + 1] = math.sin(angle), math.cos(angle)
    return table.astype(np.float32)


def side_by_side(count: int) -> Array:
    """Return the same positions with all sines before all cosines."""
    table = interleaved(count)
    return np.concatenate([table[:, ::2], table[:, 1::2]], axis=1)


def namespace(options: Options) -> Call:
    """Return options as argparse has them."""
    return Call(Named("argparse", "Namespace"), (), options)


# fairseq.

FAIRSEQ: Options = {
    "arch": "transformer", "activation_fn": "relu", "adaptive_softmax_cutoff": None,
    "decoder_attention_heads": HEADS, "decoder_embed_dim": WIDTH, "decoder_ffn_embed_dim": FFN,
    "decoder_input_dim": WIDTH, "decoder_layers": LAYERS, "decoder_learned_pos": False,
    "decoder_normalize_before": False, "decoder_output_dim": WIDTH, "dropout": 0.1,
    "encoder_attention_heads": HEADS, "encoder_embed_dim": WIDTH, "encoder_ffn_embed_dim": FFN,
    "encoder_layers": LAYERS, "encoder_learned_pos": False, "encoder_normalize_before": False,
    "layernorm_embedding": False, "max_source_positions": POSITIONS,
    "max_target_positions": POSITIONS, "no_scale_embedding": False, "share_all_embeddings": False,
    "share_decoder_input_output_embed": False, "source_lang": "en", "target_lang": "pt",
}  # fmt: skip
FAIRSEQ_CASES: dict[str, Options] = {
    "post-norm": FAIRSEQ,
    "pre-norm, all tied": FAIRSEQ | {
        "activation_fn": "gelu", "decoder_learned_pos": True, "decoder_normalize_before": True,
        "encoder_learned_pos": True, "encoder_normalize_before": True, "layernorm_embedding": True,
        "no_scale_embedding": True, "share_all_embeddings": True,
        "share_decoder_input_output_embed": True,
    },
    "language model": FAIRSEQ | {
        "arch": "transformer_lm", "decoder_normalize_before": True, "encoder_layers": 0,
        "share_decoder_input_output_embed": True,
    },
}  # fmt: skip


def fairseq_layer(at: str, stack: str, translates: bool) -> Shapes:
    found: Shapes = {}
    for block in ["self_attn"] + ["encoder_attn"] * (stack == "decoder" and translates):
        for part in "qkv":
            found |= linear(f"{at}.{block}.{part}_proj", WIDTH, WIDTH)
        found |= linear(f"{at}.{block}.out_proj", WIDTH, WIDTH) | norm(f"{at}.{block}_layer_norm")
    return found | {
        **linear(f"{at}.fc1", FFN, WIDTH), **linear(f"{at}.fc2", WIDTH, FFN),
        **norm(f"{at}.final_layer_norm"),
    }  # fmt: skip


def fairseq_tensors(c: Options) -> dict[str, Any]:
    translates, tied = bool(c["encoder_layers"]), c["share_all_embeddings"]
    sizes = {"encoder": len(SOURCE) + 4, "decoder": len(SOURCE if tied else TARGET) + 4}
    shapes: Shapes = {}
    for stack in STACKS if translates else STACKS[1:]:
        shapes[f"{stack}.embed_tokens.weight"] = (sizes[stack], WIDTH)
        if c[f"{stack}_learned_pos"]:
            shapes[f"{stack}.embed_positions.weight"] = (POSITIONS + 2, WIDTH)
        for i in range(LAYERS):
            shapes |= fairseq_layer(f"{stack}.layers.{i}", stack, translates)
        if c["layernorm_embedding"]:
            shapes |= norm(f"{stack}.layernorm_embedding")
        if c[f"{stack}_normalize_before"]:
            shapes |= norm(f"{stack}.layer_norm")
    shapes["decoder.output_projection.weight"] = (sizes["decoder"], WIDTH)
    found = drawn(shapes)
    if tied:
        found["decoder.embed_tokens.weight"] = found["encoder.embed_tokens.weight"]
    if c["share_decoder_input_output_embed"]:
        view = torch_writer.View.of(found["decoder.embed_tokens.weight"])
        for stack in STACKS if tied else STACKS[1:]:
            found[f"{stack}.embed_tokens.weight"] = view
        found["decoder.output_projection.weight"] = view
    for stack in STACKS if translates else STACKS[1:]:
        found[f"{stack}.version"] = np.array([3.0], np.float32)
        if not c[f"{stack}_learned_pos"]:
            found[f"{stack}.embed_positions._float_tensor"] = np.zeros(1, np.float32)
    return found


def fairseq(folder: Path, case: str, old: bool = False) -> Path:
    """Write a checkpoint as the trainer does.  `old`: the options as a Namespace."""
    c = FAIRSEQ_CASES[case]
    value: dict[str, Any] = {
        "args": namespace(c) if old else None,
        "cfg": None if old else {
            "_name": None, "model": namespace(c) if case != "language model" else c,
            "task": {"_name": "translation", "source_lang": "en", "target_lang": "pt"},
        },
        "model": fairseq_tensors(c), "criterion": None, "optimizer_history": [{"num_updates": 3}],
        "task_state": {}, "extra_state": {"epoch": 1}, "last_optimizer_state": {},
    }  # fmt: skip
    path = folder / "checkpoint_best.pt"
    path.write_bytes(torch_writer.saved(value))
    sides = [("dict.en.txt", SOURCE), ("dict.pt.txt", TARGET)]
    if c["share_all_embeddings"]:
        sides[1] = ("dict.pt.txt", SOURCE)
    if not c["encoder_layers"]:
        sides = [("dict.txt", TARGET)]
    for name, pieces in sides:
        (folder / name).write_text("".join(f"{piece} 9\n" for piece in pieces))
    return path


# OpenNMT-py.

OPENNMT: Options = {
    "add_ffnbias": True, "add_qkvbias": False, "copy_attn": False, "decoder_type": "transformer",
    "encoder_type": "transformer", "heads": HEADS, "layer_norm": "standard", "layers": LAYERS,
    "max_relative_positions": 0, "model_task": "seq2seq", "model_type": "text", "norm_eps": 1e-6,
    "num_kv": 0, "parallel_residual": False, "pos_ffn_activation_fn": "relu",
    "position_encoding": True, "position_encoding_type": "SinusoidalInterleaved",
    "quant_type": "", "self_attn_type": "scaled-dot", "share_decoder_embeddings": False,
    "share_embeddings": False, "transformer_ff": FFN,
}  # fmt: skip
OPENNMT_CASES: dict[str, Options] = {
    "version 3": OPENNMT,
    "version 2": OPENNMT | {
        "add_qkvbias": True, "pos_ffn_activation_fn": "gelu", "share_decoder_embeddings": True,
        "share_embeddings": True,
    },
    "language model": OPENNMT | {"decoder_type": "transformer_lm", "model_task": "lm"},
}  # fmt: skip
OPENNMT_SPECIAL = ["<unk>", "<blank>", "<s>", "</s>"]


def opennmt_attention(at: str, bias: bool) -> Shapes:
    found: Shapes = {}
    for part in ("linear_keys", "linear_values", "linear_query", "final_linear"):
        found |= linear(f"{at}.{part}", WIDTH, WIDTH, bias)
    return found


def opennmt_shapes(c: Options, sizes: dict[str, int]) -> Shapes:
    shapes: Shapes = {}
    translates = c["model_task"] == "seq2seq"
    for stack in STACKS if translates else STACKS[1:]:
        shapes[f"{stack}.embeddings.make_embedding.emb_luts.0.weight"] = (sizes[stack], WIDTH)
        for i in range(LAYERS):
            at = f"{stack}.transformer{'_layers' * (stack == 'decoder')}.{i}"
            shapes |= opennmt_attention(f"{at}.self_attn", c["add_qkvbias"])
            shapes |= linear(f"{at}.feed_forward.w_1", FFN, WIDTH)
            shapes |= linear(f"{at}.feed_forward.w_2", WIDTH, FFN)
            shapes |= norm(f"{at}.feed_forward.layer_norm")
            shapes |= norm(f"{at}.layer_norm" + "_1" * (stack == "decoder"))
            if stack == "decoder" and translates:
                shapes |= opennmt_attention(f"{at}.context_attn", c["add_qkvbias"])
                shapes |= norm(f"{at}.layer_norm_2")
        shapes |= norm(f"{stack}.layer_norm")
    return shapes


def field(pieces: list[str]) -> Call:
    """Return a vocabulary as torchtext has it in version 2."""
    vocab = Call(Named("torchtext.vocab", "Vocab"), (), {"itos": pieces, "stoi": {"a": 1}})
    inner = Call(Named("torchtext.data.field", "Field"), (), {"vocab": vocab, "eos_token": "</s>"})
    partial = Call(Named("functools", "partial"), (
        Named("onmt.inputters.text_dataset", "_feature_tokenize"),), ())  # fmt: skip
    told = {"fields": [("x", inner)], "tokenize": partial}
    return Call(Named("onmt.inputters.text_dataset", "TextMultiField"), (), told)


def opennmt(folder: Path, case: str, fields: bool = True) -> Path:
    """Write a checkpoint as the trainer does.  `fields`: version 2 has torchtext's vocabularies."""
    c = OPENNMT_CASES[case]
    vocabulary = {"src": [*OPENNMT_SPECIAL, *SOURCE], "tgt": [*OPENNMT_SPECIAL, *TARGET]}
    if c["share_embeddings"]:
        vocabulary["tgt"] = vocabulary["src"]
    if c["model_task"] == "lm":
        vocabulary["src"] = vocabulary["tgt"]
    sizes = {"encoder": len(vocabulary["src"]), "decoder": len(vocabulary["tgt"])}
    model = drawn(opennmt_shapes(c, sizes))
    table = "{}.embeddings.make_embedding.emb_luts.0.weight"
    head = drawn(linear("x", sizes["decoder"], WIDTH), 1)
    generator = {"weight": head["x.weight"], "bias": head["x.bias"]}
    if c["share_embeddings"]:
        model[table.format("decoder")] = model[table.format("encoder")]
    if c["share_decoder_embeddings"]:
        generator["weight"] = model[table.format("decoder")]
    for stack in STACKS:
        if table.format(stack) in model:
            place = f"{stack}.embeddings.make_embedding.pe.pe"
            model[place] = interleaved(5000)[:, None]
    listed: dict[str, Any] = {**vocabulary, "data_task": "seq2seq", "decoder_start_token": "<s>"}
    if case == "version 2":
        generator = {f"0.{leaf}": x for leaf, x in generator.items()}
    if case == "version 2" and fields:
        listed = {side: field(pieces) for side, pieces in vocabulary.items()}
    value = {"model": model, "generator": generator, "vocab": listed, "opt": namespace(c),
             "optim": {"training_step": 3}}  # fmt: skip
    path = folder / "model_step_3.pt"
    path.write_bytes(torch_writer.saved(value))
    return path


# JoeyNMT.

JOEYNMT_CASES: dict[str, Options] = {
    "pre-norm": {"layer_norm": "pre", "tied": True, "scale": True, "activation": "relu"},
    "post-norm": {"layer_norm": "post", "tied": False, "scale": False, "activation": "gelu"},
    "version 1": {"layer_norm": None, "tied": False, "scale": True, "activation": "relu"},
}
JOEYNMT_SPECIAL = ["<unk>", "<pad>", "<s>", "</s>"]


def joeynmt_shapes(c: Options) -> Shapes:
    shapes: Shapes = {}
    for stack, name in zip(STACKS, ("src_src_att", "trg_trg_att"), strict=True):
        for i in range(LAYERS):
            at = f"{stack}.layers.{i}"
            for block in [name] + ["src_trg_att"] * (stack == "decoder"):
                for part in ("k_layer", "v_layer", "q_layer", "output_layer"):
                    shapes |= linear(f"{at}.{block}.{part}", WIDTH, WIDTH)
            shapes |= norm(f"{at}.feed_forward.layer_norm")
            shapes |= linear(f"{at}.feed_forward.pwff_layer.0", FFN, WIDTH)
            shapes |= linear(f"{at}.feed_forward.pwff_layer.3", WIDTH, FFN)
            for one in ["layer_norm"] if stack == "encoder" else ["x_layer_norm", "dec_layer_norm"]:
                shapes |= norm(f"{at}.{one}")
        if c["layer_norm"] != "post":
            shapes |= norm(f"{stack}.layer_norm")
    return shapes


def joeynmt_config(c: Options) -> str:
    """Return the configuration as users write it."""
    told = f"layer_norm: {c['layer_norm']}" if c["layer_norm"] else "ff_size: 20"
    stack = f"""
        type: transformer
        num_layers: {LAYERS}
        num_heads: {HEADS}
        hidden_size: {WIDTH}
        ff_size: {FFN}
        activation: "{c["activation"]}"
        {told}
        embeddings:
            embedding_dim: {WIDTH}
            scale: {c["scale"]}
"""
    languages = ("src: en", "trg: pt_BR")
    if c["layer_norm"]:
        languages = ('src: {lang: "en", level: "bpe"}', 'trg: {lang: "pt_BR", level: "bpe"}')
    return f"""name: "tiny"
data:
    {languages[0]}
    {languages[1]}
training:
    batch_size: 4096
    scheduling: "plateau"
model:
    initializer: "xavier_uniform"
    tied_embeddings: {c["tied"]}
    tied_softmax: {c["tied"]}
    encoder:{stack}    decoder:{stack}"""


def joeynmt(folder: Path, case: str) -> Path:
    """Write a checkpoint as the trainer does."""
    c = JOEYNMT_CASES[case]
    source = [*JOEYNMT_SPECIAL, *SOURCE]
    target = source if c["tied"] else [*JOEYNMT_SPECIAL, *TARGET]
    shapes = {"src_embed.lut.weight": (len(source), WIDTH),
              "trg_embed.lut.weight": (len(target), WIDTH),
              "decoder.output_layer.weight": (len(target), WIDTH)}  # fmt: skip
    model = drawn(joeynmt_shapes(c) | shapes)
    if c["tied"]:
        model |= dict.fromkeys(shapes, torch_writer.View.of(model["src_embed.lut.weight"]))
    model |= {f"{stack}.pe.pe": interleaved(5000)[None] for stack in STACKS}
    value = {"model_state": model, "optimizer_state": {"state": {}}, "scheduler_state": None}
    path = folder / "best.ckpt"
    path.write_bytes(torch_writer.saved(value))
    (folder / "config.yaml").write_text(joeynmt_config(c))
    for name, pieces in (("src_vocab.txt", source), ("trg_vocab.txt", target)):
        (folder / name).write_text("".join(f"{piece}\n" for piece in pieces))
    return path


# Sockeye.

SOCKEYE_CASES: dict[str, Options] = {
    "pre-norm": {"steps": ("n", "dr"), "tying": "src_trg_softmax", "act": "relu",
                 "decoder": "transformer", "positions": "fixed"},
    "post-norm": {"steps": ("", "drn"), "tying": "none", "act": "swish1",
                  "decoder": "transformer", "positions": "learned"},
    "recurrent": {"steps": ("n", "dr"), "tying": "trg_softmax", "act": "gelu",
                  "decoder": "ssru_transformer", "positions": "fixed"},
}  # fmt: skip
SOCKEYE_SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]


def sockeye_shapes(c: Options) -> Iterator[Shapes]:
    at = "pre" if c["steps"][0] == "n" else "post"
    for stack, block in zip(STACKS, ("self_attention", "autoregr_layer"), strict=True):
        for i in range(LAYERS):
            layer = f"{stack}.layers.{i}"
            if stack == "decoder" and c["decoder"] != "transformer":
                yield linear(f"{layer}.{block}.forget_gate", WIDTH, WIDTH)
                yield linear(f"{layer}.{block}.linear", WIDTH, WIDTH, False)
            else:
                yield linear(f"{layer}.{block}.ff_in", 3 * WIDTH, WIDTH, False)
                yield linear(f"{layer}.{block}.ff_out", WIDTH, WIDTH, False)
            yield norm(f"{layer}.{at}_{block}.layer_norm")
            if stack == "decoder":
                yield linear(f"{layer}.enc_attention.ff_q", WIDTH, WIDTH, False)
                yield linear(f"{layer}.enc_attention.ff_kv", 2 * WIDTH, WIDTH, False)
                yield linear(f"{layer}.enc_attention.ff_out", WIDTH, WIDTH, False)
                yield norm(f"{layer}.{at}_enc_attention.layer_norm")
            yield linear(f"{layer}.ff.ff1", FFN, WIDTH) | linear(f"{layer}.ff.ff2", WIDTH, FFN)
            yield norm(f"{layer}.{at}_ff.layer_norm")
        if at == "pre":
            yield norm(f"{stack}.final_process.layer_norm")


def sockeye_config(c: Options, sizes: tuple[int, int]) -> str:
    """Return the configuration as Sockeye writes it, with tags of its classes."""

    def stack() -> str:
        return f"""!TransformerConfig
  act_type: {c["act"]}
  attention_heads: {HEADS}
  block_prepended_cross_attention: false
  decoder_type: {c["decoder"]}
  depth_key_value: {WIDTH}
  dropout_act: 0.0
  dropout_attention: 0.0
  dropout_prepost: 0.0
  feed_forward_num_hidden: {FFN}
  max_seq_len_source: {POSITIONS}
  max_seq_len_target: {POSITIONS}
  model_size: {WIDTH}
  num_layers: {LAYERS}
  positional_embedding_type: {c["positions"]}
  postprocess_sequence: {c["steps"][1]}
  preprocess_sequence: '{c["steps"][0]}'
  use_glu: false
  use_lhuc: false"""

    def words(size: int) -> str:
        return f"""!EmbeddingConfig
  allow_sparse_grad: false
  dropout: 0.0
  factor_configs: null
  num_embed: {WIDTH}
  num_factors: 1
  vocab_size: {size}"""

    return f"""!ModelConfig
config_data: !DataConfig
  data_statistics: !DataStatistics
    buckets:
    - !!python/tuple
      - 8
      - 8
  max_seq_len_source: {POSITIONS}
  max_seq_len_target: {POSITIONS}
  num_source_factors: 1
  num_target_factors: 1
config_decoder: {stack()}
config_embed_source: {words(sizes[0])}
config_embed_target: {words(sizes[1])}
config_encoder: {stack()}
config_length_task: null
dtype: float32
lhuc: false
neural_vocab_selection: null
neural_vocab_selection_block_loss: false
vocab_source_size: {sizes[0]}
vocab_target_size: {sizes[1]}
weight_tying_type: {c["tying"]}
"""


def sockeye(folder: Path, case: str) -> Path:
    """Write a checkpoint as the trainer does."""
    c = SOCKEYE_CASES[case]
    source = [*SOCKEYE_SPECIAL, *SOURCE]
    target = source if c["tying"].startswith("src_trg") else [*SOCKEYE_SPECIAL, *TARGET]
    shapes: Shapes = {
        "embedding_source.embedding.weight": (len(source), WIDTH),
        "embedding_target.embedding.weight": (len(target), WIDTH),
        **linear("output_layer", len(target), WIDTH),
    }  # fmt: skip
    for some in sockeye_shapes(c):
        shapes |= some
    if c["positions"] == "learned":
        shapes |= {f"{stack}.pos_embedding.weight": (POSITIONS, WIDTH) for stack in STACKS}
    model = drawn(shapes)
    if c["positions"] == "fixed":
        model |= {f"{stack}.pos_embedding.weight": side_by_side(POSITIONS) for stack in STACKS}
    tied = ["embedding_target.embedding.weight"] * ("softmax" in c["tying"])
    tied += ["embedding_source.embedding.weight"] * c["tying"].startswith("src_trg")
    if tied:
        view = torch_writer.View.of(model[tied[-1]])
        model |= dict.fromkeys([*tied, "output_layer.weight"], view)
    path = folder / "params.best"
    path.write_bytes(torch_writer.saved(model))
    (folder / "config").write_text(sockeye_config(c, (len(source), len(target))))
    (folder / "version").write_text("3.1.34")
    for name, pieces in (("vocab.src.0.json", source), ("vocab.trg.0.json", target)):
        (folder / name).write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
    return path


WRITERS: dict[str, tuple[Callable[[Path, str], Path], dict[str, Options]]] = {
    "fairseq": (fairseq, FAIRSEQ_CASES),
    "OpenNMT-py": (opennmt, OPENNMT_CASES),
    "JoeyNMT": (joeynmt, JOEYNMT_CASES),
    "Sockeye": (sockeye, SOCKEYE_CASES),
}
CASES = [f"{title}, {case}" for title, (_, cases) in WRITERS.items() for case in cases]


def write(folder: Path, name: str) -> Path:
    """Write a checkpoint, such as "fairseq, post-norm"."""
    title, _, case = name.partition(", ")
    writer, _ = WRITERS[title]
    return writer(folder, case)
