"""Log-probabilities by fairseq, OpenNMT-py, JoeyNMT and Sockeye themselves, which need PyTorch.

Each function reads a checkpoint with the program's own classes.  It returns log P of each token of
a target, and of the end.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_frameworks

torch: Any = pytest.importorskip("torch", reason="the frameworks need it")


def chosen(logits: Any, path: list[int]) -> list[float]:
    """Return log P of the tokens of a path, of logits [tokens, vocabulary]."""
    scores = torch.log_softmax(logits.double(), dim=-1)
    return [float(scores[i, token]) for i, token in enumerate(path)]


def fairseq(path: Path, source: list[int], target: list[int], eos: int) -> list[float]:
    pytest.importorskip("fairseq", reason="it is the reference")
    from fairseq.data import Dictionary
    from fairseq.models.transformer import TransformerModel, base_architecture
    from fairseq.models.transformer_lm import TransformerLanguageModel, base_lm_architecture

    value = torch.load(path, map_location="cpu", weights_only=False)
    args = value["args"] or value["cfg"]["model"]
    args = args if not isinstance(args, dict) else SimpleNamespace(**args)
    translates = args.arch == "transformer"
    if translates:
        base_architecture(args)
        dictionaries = [Dictionary.load(str(path.with_name(f"dict.{x}.txt"))) for x in ("en", "pt")]
        task = SimpleNamespace(
            source_dictionary=dictionaries[0], target_dictionary=dictionaries[1], args=args
        )
        model = TransformerModel.build_model(args, task)
    else:
        words = Dictionary.load(str(path.with_name("dict.txt")))
        base_lm_architecture(args)
        args.tokens_per_sample = args.max_target_positions
        task = SimpleNamespace(source_dictionary=words, target_dictionary=words, args=args)
        model = TransformerLanguageModel.build_model(args, task)
    model.load_state_dict(value["model"], strict=True)
    model.eval()
    previous = torch.tensor([[eos, *target]])
    with torch.no_grad():
        if translates:
            lengths = torch.tensor([len(source)])
            logits = model(torch.tensor([source]), lengths, previous)[0]
        else:
            logits = model(previous)[0]
    return chosen(logits[0], [*target, eos])


def opennmt(path: Path, source: list[int], target: list[int], eos: int) -> list[float]:
    pytest.importorskip("onmt", reason="it is the reference")
    from onmt.model_builder import build_base_model

    if "version 2" in str(path):  # whose classes version 3 does not have any more
        tiny_frameworks.opennmt(path.parent, "version 2", fields=False)
    value = torch.load(path, map_location="cpu", weights_only=False)
    opt = value["opt"]
    defaults = {
        "aan_useffn": False, "alignment_heads": 0, "alignment_layer": -1,
        "attention_dropout": [0.0],
        "dec_hid_size": 16, "dec_layers": opt.layers, "dropout": [0.0], "enc_hid_size": 16,
        "enc_layers": opt.layers, "feat_merge": "sum", "feat_vec_exponent": 0.7,
        "feat_vec_size": -1, "freeze_word_vecs_dec": False, "freeze_word_vecs_enc": False,
        "full_context_alignment": False, "generator_function": "softmax", "lambda_align": 0.0,
        "lora_embedding": False, "lora_layers": [], "num_experts": 0, "num_experts_per_tok": 2,
        "optim": "sgd",
        "parallel_gpu": 1, "parallel_mode": "data_parallel", "param_init": 0.0,
        "param_init_glorot": False, "pre_word_vecs_dec": None, "pre_word_vecs_enc": None,
        "quant_layers": [], "relative_positions_buckets": 0, "rotary_dim": 0,
        "rotary_interleave": True, "rotary_theta": 10000, "shared_layer_norm": False,
        "sliding_window": 0, "src_word_vec_size": 16, "tgt_word_vec_size": 16,
        "update_vocab": False, "use_ckpting": [], "world_size": 1, "freeze_encoder": False,
        "freeze_decoder": False, "train_from": "", "hidden_size": 16, "gpu_ranks": [],
        "override_opts": False, "w_bit": 4, "group_size": 128, "model_dtype": "fp32",
    }  # fmt: skip
    for name, default in defaults.items():
        if not hasattr(opt, name):
            setattr(opt, name, default)

    class Vocabulary(dict[str, int]):
        """What the program needs of a vocabulary of pyonmttok."""

        def __getitem__(self, token: str) -> int:
            return self.get(token, 0)

    def numbered(listed: Any) -> Vocabulary:
        return Vocabulary({token: i for i, token in enumerate(listed)})

    vocabs: dict[str, Any] = {s: numbered(value["vocab"][s]) for s in ("src", "tgt")}
    model = build_base_model(opt, vocabs | {"data_task": opt.model_task})
    head = {k.removeprefix("0."): x for k, x in value["generator"].items()}
    model.generator.load_state_dict(head)
    state = {k: x for k, x in model.state_dict().items() if "generator" not in k}
    shapes = ({k: x.shape for k, x in told.items()} for told in (value["model"], state))
    assert next(shapes) == next(shapes)
    torch.nn.Module.load_state_dict(model, value["model"], strict=False)
    model.eval()
    previous = torch.tensor([[2, *target]])[..., None]
    with torch.no_grad():
        if opt.model_task == "lm":
            out, _ = model.decoder(previous, step=None, src_len=torch.tensor([1]))
        else:
            ids, length = torch.tensor([source])[..., None], torch.tensor([len(source)])
            enc_out, state_, length = model.encoder(ids, length)
            model.decoder.init_state(ids, enc_out, state_)
            out, _ = model.decoder(previous, enc_out, src_len=length, step=None)
        logits = model.generator(out)[0]
    return chosen(logits, [*target, eos])


def joeynmt(path: Path, source: list[int], target: list[int], eos: int) -> list[float]:
    pytest.importorskip("joeynmt", reason="it is the reference")
    import yaml
    from joeynmt.model import build_model
    from joeynmt.vocabulary import Vocabulary

    config = yaml.safe_load(path.with_name("config.yaml").read_text())["model"]
    for stack in ("encoder", "decoder"):
        config[stack].setdefault("layer_norm", "pre")  # the only kind that version 1 has
    special = SimpleNamespace(
        unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None,
        unk_id=0, pad_id=1, bos_id=2, eos_id=3, sep_id=None, lang_tags=[],
    )  # fmt: skip
    vocabularies = [
        Vocabulary(path.with_name(f"{side}_vocab.txt").read_text().splitlines(), special)
        for side in ("src", "trg")
    ]
    model = build_model(config, *vocabularies)
    value = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(value["model_state"], strict=True)
    model.eval()
    ids, previous = torch.tensor([source]), torch.tensor([[2, *target]])
    mask, mask_of_target = ((x != 1).unsqueeze(1) for x in (ids, previous))
    with torch.no_grad():
        out, hidden = model._encode(ids, torch.tensor([len(source)]), mask)
        logits = model._decode(
            out, hidden, mask, previous, unroll_steps=len(target) + 1, trg_mask=mask_of_target
        )[0]
    return chosen(logits[0], [*target, eos])


def sockeye(path: Path, source: list[int], target: list[int], eos: int) -> list[float]:
    pytest.importorskip("sockeye", reason="it is the reference")
    from sockeye.model import load_model

    assert json.loads(path.with_name("vocab.src.0.json").read_text())["</s>"] == 3
    model, _, _ = load_model(str(path.parent), device=torch.device("cpu"), inference_only=False)
    model.train()  # queries, keys and values apart
    model.eval()
    ids = torch.tensor([source])[..., None]
    lengths = torch.tensor([[len(source), 0]])
    previous = torch.tensor([[2, *target]])[..., None]
    with torch.no_grad():
        found = model(ids, lengths, previous, torch.tensor([[len(target) + 1]]))
    return chosen(found["logits"][0], [*target, eos])


PROGRAMS = {"fairseq": fairseq, "OpenNMT-py": opennmt, "JoeyNMT": joeynmt, "Sockeye": sockeye}
