"""Norms of heads, soft caps, windows by layer, and code of a configuration: what readers make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_decoders as tiny
from log_probabilities import log_probabilities
from normed_definitions import defined
from safetensors.numpy import load_file

from int8ref.engines.backends import load_engine
from int8ref.program.program import Program, Tensors
from tests.helpers.engines import paths
from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.operations.attention import Attention

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]
TEXTS = [[3, 4, 5, 6, 7, 8, 9, 10, 11, 12] * 2, [12, 3, 8, 5, 9, 4]]


def changed(folder: Path, case: str, **changes: Any) -> FloatModel:
    """Read a case with changes of its configuration; None is written as null."""
    path = tiny.write(folder, case)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return sources.read(path)


def windows(model: FloatModel) -> list[int]:
    """Return the window of each layer."""
    return [one.heads.window for one in model.program.decoder if isinstance(one, Attention)]


def lowered(model: FloatModel, **options: Any) -> tuple[Program, Tensors]:
    return lower(model, [[]] * len(TEXTS), TEXTS, LoweringOptions(**options))


def fields(program: Program, name: str) -> list[Any]:
    """Return the operands of this name of the attentions."""
    attentions = [i for i in program.decoder if i.op == "attention_softmax"]
    return [{n: content for n, _, content in i.operands()}[name] for i in attentions]


@pytest.mark.parametrize(
    ("case", "changes", "wanted"),
    [
        ("mistral, window", {}, [3, 3]),
        ("mistral, window", {"sliding_window": tiny.POSITIONS}, [0, 0]),
        ("mistral, window", {"sliding_window": None}, [0, 0]),
        ("phi3", {}, [20, 20]),
        ("gpt_neo", {}, [0, 12]),
        ("gpt_neo", {"attention_types": [[["local"], 1], [["global", "local"], 2]]}, [12, 0]),
        ("smollm3, window", {}, [0, 4]),
        ("smollm3, window", {"layer_types": ["sliding_attention"] * 2}, [4, 4]),
        ("smollm3, window", {"use_sliding_window": False}, [0, 0]),
        ("qwen2, window", {}, [0, 3]),
        ("qwen2, window", {"max_window_layers": 0}, [3, 3]),
        ("qwen3, window and yarn", {}, [4, 0]),
        ("gemma2", {}, [3, 0]),
        ("gemma3", {}, [3, 0]),
        ("gemma3", {"sliding_window_pattern": 1}, [0, 0]),
        ("gemma3, rope_parameters", {}, [0, 3]),
    ],
)
def test_the_windows_of_layers(
    case: str, changes: dict[str, Any], wanted: list[int], tmp_path: Path
) -> None:
    model = changed(tmp_path, case, **changes)
    assert windows(model) == wanted
    assert model.generation.max_positions == tiny.POSITIONS
    (found,) = forced(model, [[]], [TARGET])
    wide = {"sliding_window": 1 << 20, "window_size": 1 << 20}
    whole = changed(tmp_path, case, **changes | wide)
    same = not any(0 < window <= len(TARGET) for window in wanted)
    assert np.array_equal(forced(whole, [[]], [TARGET])[0], found) == same


def test_a_program_has_only_windows_that_hide_something(tmp_path: Path) -> None:
    model = changed(tmp_path, "gemma2", sliding_window=12)
    assert fields(lowered(model)[0], "window") == [12, None]
    assert fields(lowered(model, positions=12)[0], "window") == [None, None]


@pytest.mark.parametrize("name", ["attn_logit_softcapping", "final_logit_softcapping"])
def test_null_is_no_cap_but_an_absent_cap_is_a_default(name: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "gemma2", **{name: None})
    config = json.loads((tmp_path / "config.json").read_text())
    ids = [config["bos_token_id"], *TARGET]
    default = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}[name]
    (found,) = forced(sources.read(path), [[]], [TARGET])
    wanted = defined(load_file(path), config | {name: default}, ids)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    (found,) = forced(changed(tmp_path, "gemma2", **{name: None}), [[]], [TARGET])
    wanted = defined(load_file(path), config | {name: None}, ids)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_caps_in_the_program(tmp_path: Path) -> None:
    """The factors of the scores are one for each head, and the logits have one factor."""
    program, tensors = lowered(changed(tmp_path, "gemma2"))
    for name in fields(program, "cap_multiplier"):
        assert tensors[name].shape == (tiny.HEADS,)
        assert tensors[name].max() > 2**27
    step = program.log_softmax
    assert step.cap is not None
    unit = step.multiplier * 2.0 ** -(step.shift + 20) * np.log(2)  # of a capped logit, in nats
    assert unit == pytest.approx(5.0 * 2.0**-30, rel=1e-6)
    plain, _ = lowered(changed(tmp_path, "gemma2", final_logit_softcapping=None))
    assert (plain.log_softmax.cap, plain.decoder) == (None, program.decoder)


def test_layers_share_tables_of_positions(tmp_path: Path) -> None:
    """Two bases give two pairs of tables, whatever the number of layers."""
    program, tensors = lowered(changed(tmp_path, "gemma3"))
    turned = [i for i in program.decoder if i.op == "rotary"]
    assert [i.names("tensor")[0] for i in turned] == ["cosine", "cosine.2"]
    assert {"sine", "sine.2"} < set(tensors)
    program, _ = lowered(changed(tmp_path, "qwen3"))
    assert {i.names("tensor")[0] for i in program.decoder if i.op == "rotary"} == {"cosine"}


def test_the_integer_program_of_olmo_2(tmp_path: Path) -> None:
    """Norms of rows have one head, and the stream is narrowed where a layer reads it."""
    program, _ = lowered(changed(tmp_path, "olmo2"))
    norms = [i for i in program.decoder if i.op == "rms_norm_heads"]
    sizes = [(i.column, i.heads, i.head_width) for i in norms]  # type: ignore[attr-defined]
    assert sizes == [(0, 1, 24), (24, 1, 12)] * tiny.LAYERS
    narrowed = [i.names("result")[0] for i in program.decoder if i.op == "narrow"]
    assert narrowed == ["decoder.0.self.sum", "decoder.0.ffn.sum", "decoder.1.self.sum"]


@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        ("qwen3, window and yarn", {"layer_types": ["full_attention"]}, "layer_types lists 1 of 2"),
        ("qwen3", {"layer_types": ["chunked_attention"] * 2}, "layer_types"),
        ("qwen3", {"head_dim": 6}, "decoder.0.self.query.weight [32, 24], expected [24, 24]"),
        ("gpt_neo", {"attention_types": [[["local"], 1]]}, "attention_types lists fewer layers"),
        ("gpt_neo", {"attention_types": [[["local"], -1]]}, "attention_types"),
        ("gemma2", {"attn_logit_softcapping": 0}, "attn_logit_softcapping"),
        ("gemma2", {"query_pre_attn_scalar": 0}, "query_pre_attn_scalar"),
        ("gemma2", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("gemma3", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ("gemma3", {"sliding_window_pattern": 0}, "sliding_window_pattern"),
        (
            "gemma3, rope_parameters",
            {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
            "rope scaling 'linear' of sliding_attention (supported: default)",
        ),
    ],
)
def test_what_is_refused(case: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        changed(tmp_path, case, **changes)
    assert message in str(caught.value)


CODE = {"auto_map": {"AutoConfig": "x.Y", "AutoModelForCausalLM": "modeling_x.Y"}}


@pytest.mark.parametrize("case", ["phi3", "falcon"])
def test_code_of_a_configuration_is_not_run(case: str, tmp_path: Path) -> None:
    (tmp_path / "modeling_x.py").write_text("raise SystemExit(9)\n")
    known = {"resid_pdrop": 0.1, "torch_dtype": "bfloat16", "transformers_version": "4.38.1"}
    wanted = sources.read(tiny.write(tmp_path, case))
    found = changed(tmp_path, case, **CODE, **known, apply_residual_connection=False)
    assert (found.program, found.warnings) == (wanted.program, wanted.warnings)
    found = changed(tmp_path, case, **CODE, **known, new_norm=True, depth_scale=0.5)
    told = "config.json names code of its own (auto_map), which is not run, and fields that are not"
    assert f"{told} read: 'depth_scale', 'new_norm'" in found.warnings


OPTIONS: list[dict[str, Any]] = [
    {"requantize": "shift"},
    {"scales": "tensor"},
    {"residual": 8},
    {"rescaling": "static"},
    {"rescaling": "dynamic"},
]


@pytest.mark.parametrize("case", ["qwen3, window and yarn", "olmo2", "gemma2"])
@pytest.mark.parametrize("options", OPTIONS)
def test_options_of_lowering(case: str, options: dict[str, Any], tmp_path: Path) -> None:
    """The log-probabilities of new texts stay near those of the float model."""
    model = changed(tmp_path, case)
    random = np.random.default_rng(5)
    texts = [random.integers(3, tiny.VOCABULARY, 20).tolist() for _ in range(12)]
    program, tensors = lower(model, [[]] * 8, texts[:8], LoweringOptions(**options))
    engine = load_engine(program, tensors, "compiled")
    starts = [model.generation.start] * 4
    new = [[*text, model.generation.eos] for text in texts[8:]]
    found = engine.log_probabilities(paths([[]] * 4, starts, new))
    nats = np.array([one for row in found for one in row]) / 2**20 * np.log(2)
    exact = [one for text in texts[8:] for one in log_probabilities(model, [], text)]
    assert np.abs(nats - exact).mean() < (0.5 if options.get("residual") == 8 else 0.25)
