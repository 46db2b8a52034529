"""The readers of decoder families: equal to their definitions and to transformers."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_decoders as tiny
from damage import FUZZ, damage
from decoder_checks import assert_logits_of_transformers, integer_loss, written
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from normed_definitions import defined
from safetensors.numpy import load_file

from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.forward import forced
from weights_import.sources.vocabulary import Piece, byte_pairs

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]
# log P of each token of TARGET after the first token, by transformers 5.24.0 in float32.
SCORES = {
    "llama, linear": [
        -2.45871, -4.52635, -0.47517, -6.46018, -1.51144, -3.48427, -0.54572, -6.4882,
    ],
    "llama, llama3": [
        -2.45871, -4.39717, -0.41352, -6.26071, -3.23694, -1.7111, -5.61246, -8.36824,
    ],
    "llama, yarn": [-9.11408, -5.79425, -7.21864, -2.40601, -6.80289, -4.15366, -5.36411, -4.72656],
    "llama, yarn, mscale": [
        -2.45871, -4.45174, -0.40997, -6.10487, -3.22731, -1.66729, -5.69463, -8.40127,
    ],
    "mistral, own size of heads": [
        -0.29718, -4.37417, -3.20138, -3.22093, -3.96042, -3.71595, -4.61584, -2.68943,
    ],
    "smollm3": [-2.45871, -4.38749, -0.41115, -5.41061, -3.05886, -0.82501, -6.65666, -8.47415],
    "gemma": [-0.718, -6.39084, -7.37449, -3.01034, -6.77289, -3.39437, -7.34631, -5.60878],
    "granite": [-2.40782, -2.20161, -3.09979, -3.43486, -2.95074, -3.71759, -3.99533, -2.68859],
    "olmo": [-1.6788, -3.99194, -2.36249, -3.61929, -6.29948, -3.326, -7.2837, -2.19222],
    "stablelm": [-5.75661, -5.82053, -2.42417, -7.18806, -2.3468, -0.48342, -2.72694, -4.32311],
    "stablelm, parallel": [
        -3.0081, -3.01217, -2.47711, -4.55081, -6.95601, -5.02633, -2.25091, -4.11541,
    ],
    "mistral, window": [
        -2.45871, -4.43706, -0.41943, -6.22365, -5.94764, -1.521, -4.09981, -2.50968,
    ],
    "smollm3, window": [
        -2.45871, -4.38749, -0.41115, -5.41062, -3.05028, -0.58145, -5.85944, -7.13337,
    ],
    "qwen2, window": [
        -2.82267, -8.00306, -4.88569, -2.90194, -3.90803, -8.50023, -3.20913, -1.72063,
    ],
    "qwen3": [-5.00865, -8.5166, -5.47739, -5.02857, -2.00838, -9.92318, -3.70129, -1.33563],
    "qwen3, window and yarn": [
        -3.97571, -5.15121, -5.34431, -6.41177, -2.09213, -6.40354, -4.10756, -0.42718,
    ],
    "olmo2": [-0.55218, -3.61096, -7.18337, -3.62989, -4.26293, -1.98554, -5.49656, -5.76777],
    "gemma2": [-3.44323, -4.68614, -2.6201, -6.7424, -4.23194, -5.50196, -6.27236, -1.90489],
    "gemma3": [-1.7464, -4.61078, -5.46212, -9.68094, -9.6198, -6.07907, -14.82131, -3.30943],
    "gemma3, rope_parameters": [
        -1.65149, -3.97618, -3.93141, -8.38636, -8.41459, -2.60061, -8.70193, -1.36642,
    ],
    "phi3": [-2.45871, -4.43706, -0.41943, -6.47985, -3.13101, -1.2535, -4.3613, -9.03353],
    "phi3, longrope": [
        -2.45871, -4.4831, -0.41353, -5.54509, -3.05011, -1.2905, -5.63488, -9.49755,
    ],
    "phi": [-3.04461, -1.64526, -9.3869, -8.52382, -4.46138, -5.65393, -5.3569, -4.81632],
    "starcoder2": [-4.56906, -4.30832, -4.31925, -1.04542, -4.39567, -5.89326, -1.04667, -4.26587],
    "gpt_neox": [-4.71706, -3.1883, -2.57058, -1.50677, -5.41939, -4.10328, -5.54631, -4.17588],
    "gpt_neox, in turn": [
        -5.6024, -3.21574, -5.73122, -4.58092, -3.7819, -6.62693, -3.699, -0.52517,
    ],
    "gptj": [-5.85489, -7.89348, -3.87028, -1.38433, -8.46688, -6.00479, -6.13307, -6.81297],
    "gpt_neo": [-5.48487, -5.67697, -3.83603, -5.64511, -3.06268, -0.5875, -5.92959, -1.72319],
    "falcon": [-3.33682, -3.34194, -4.62234, -7.69048, -3.58273, -1.93547, -3.45321, -2.81434],
    "falcon, two norms": [
        -6.57924, -1.93226, -7.0603, -0.11942, -6.9473, -4.69095, -6.17386, -3.96728,
    ],
    "falcon, one norm": [
        -1.64433, -8.098, -8.95447, -1.38713, -6.56981, -5.57881, -4.49072, -4.69634,
    ],
    "falcon, in turn": [
        -12.92115, -7.84504, -2.50017, -9.11137, -2.16345, -3.8739, -11.19602, -0.10862,
    ],
    "opt": [-3.98073, -5.15406, -2.70943, -1.99371, -2.32747, -5.87524, -4.75771, -5.08962],
    "opt, plain": [-7.02237, -2.66366, -4.35242, -3.42518, -5.40592, -2.93156, -3.7176, -4.61408],
    "opt, narrow words": [
        -1.78337, -3.78247, -3.99758, -3.31799, -2.89269, -3.74248, -3.00768, -2.36747,
    ],
    "stablelm, norms of heads": [
        -3.01635, -1.28222, -5.13186, -2.5151, -1.61595, -9.87888, -4.14267, -3.58407,
    ],
    "falcon, linear biases": [
        -5.17046, -1.61403, -3.76253, -0.61203, -4.49589, -3.17133, -4.06917, -6.14482,
    ],
    "bloom": [-4.61429, -0.485, -5.56656, -3.13495, -6.63989, -6.05447, -3.12352, -0.48712],
    "bloom, six heads": [
        -5.3051, -0.965, -2.55869, -2.12262, -4.46807, -5.32651, -4.98858, -4.06153,
    ],
    "mpt": [-3.99694, -2.9262, -4.96973, -2.76357, -4.73869, -1.75426, -4.99317, -2.70382],
    "mpt, six heads": [
        -3.99694, -3.76195, -5.71505, -4.29953, -7.0949, -1.40763, -5.5634, -4.93595,
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", tiny.CASES)
def test_logits_are_those_of_the_definition(case: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, case)
    config = json.loads((tmp_path / "config.json").read_text())
    model = sources.read(path)
    targets = [TARGET, TARGET[:1], []]
    for target, found in zip(targets, forced(model, [[]] * 3, targets), strict=True):
        wanted = defined(load_file(path), config, [model.generation.start, *target])
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("case", tiny.CASES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    found = log_probabilities(model, [], TARGET)[:-1]
    np.testing.assert_allclose(found, SCORES[case], atol=3e-5)


@pytest.mark.parametrize("case", tiny.CASES)
def test_logits_are_those_of_an_installed_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    assert_logits_of_transformers(model, tmp_path, TARGET)


INTEGERS = ("llama, yarn", "mistral, own size of heads", "smollm3", "gemma", "granite", "olmo",
            "stablelm, parallel", "phi3, longrope", "gpt_neox", "gptj", "gpt_neo", "falcon",
            "falcon, two norms", "opt", "phi",
            "opt, narrow words", "stablelm, norms of heads", "falcon, linear biases", "bloom",
            "mpt, six heads",
            "mistral, window", "smollm3, window", "qwen2, window", "qwen3",
            "qwen3, window and yarn", "olmo2", "gemma2", "gemma3", "gemma3, rope_parameters",
            )  # fmt: skip


@pytest.mark.parametrize("case", INTEGERS)
def test_in_integers(case: str, tmp_path: Path) -> None:
    """The integer model loses less than 0.03 nats a token, on other texts than it has seen."""
    model = sources.read(tiny.write(tmp_path, case))
    most = min(20, model.generation.max_positions - 1)
    texts = written(model, 100, most)
    new = [(source, text[: most - 1]) for source, text in texts[50:]]
    assert integer_loss(model, texts[:50], new) < 0.03


TITLES = {
    "llama": "Llama", "mistral": "Mistral", "smollm3": "SmolLM3", "gemma": "Gemma",
    "granite": "Granite", "olmo": "OLMo", "stablelm": "StableLM", "phi3": "Phi-3", "phi": "Phi",
    "starcoder2": "StarCoder2", "gpt_neox": "GPT-NeoX", "gptj": "GPT-J", "gpt_neo": "GPT-Neo",
    "falcon": "Falcon", "opt": "OPT", "bloom": "BLOOM", "mpt": "MPT", "qwen2": "Qwen2",
    "qwen3": "Qwen3", "olmo2": "OLMo 2", "gemma2": "Gemma 2", "gemma3_text": "Gemma 3",
}  # fmt: skip
SHORTER = {"phi3, longrope": 32}


@pytest.mark.parametrize("case", tiny.CASES)
def test_what_the_configuration_tells(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    title = TITLES[tiny.CASES[case]["model_type"]]
    assert model.provenance["format"] == f"Hugging Face {title}"
    assert model.generation.max_positions == SHORTER.get(case, tiny.POSITIONS)
    assert model.generation.eos == 2
    tensors, tied = model.tensors, tiny.CASES[case]["tie_word_embeddings"]
    assert tensors.tied("output.weight") == (tied and case != "opt, narrow words")


def test_without_a_mark_of_the_beginning(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "olmo", eos_token_id=[5, 2]))
    assert model.generation.start == model.generation.eos == 5
    assert model.generation.more_eos == (2,)
    assert model.warnings == ["no bos_token_id: texts begin with token 5, which ends texts"]


def test_the_end_of_a_text_that_the_tokenizer_names(tmp_path: Path) -> None:
    """transformers 5 writes no end mark for a Qwen2 that is trained with another tokenizer."""
    path = tiny.write(tmp_path, "qwen2, window", bos_token_id=None, eos_token_id=None)
    told = "no eos_token_id, and no tokenizer beside it tells the id of the token that ends a text"
    with pytest.raises(CheckpointError, match=told):
        sources.read(path)
    names = {"eos_token": "<end>", "added_tokens_decoder": {"12": {"content": "<end>"}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names))
    model = sources.read(path)
    assert (model.generation.eos, model.generation.start) == (12, 12)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 2]}')
    assert sources.read(path).generation.ends == (5, 2)


def test_a_tokenizer_with_other_names(tmp_path: Path) -> None:
    """Gemma's mark of the end has another name than Llama's."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "\u2581", *"abcdefg", "gg"]
    kept = {piece: Piece(-float(i)) for i, piece in enumerate(pieces)}
    content = byte_pairs(kept, unk="<unk>", bos="<bos>", eos="<eos>")
    (tmp_path / "tokenizer.model").write_bytes(content)
    model = sources.read(tiny.write(tmp_path, "gemma", bos_token_id=2, eos_token_id=[9, 1]))
    assert (model.generation.start, model.generation.eos, model.generation.unk) == (2, 1, 3)
    assert tokenize(model, ["cab"]) == [[4, 7, 5, 6, 1]]


@pytest.mark.parametrize(
    "case", ["gemma", "granite", "gpt_neox, in turn", "falcon", "opt", "bloom", "mpt"]
)
def test_the_body_alone_is_a_model_where_the_head_is_tied(case: str, tmp_path: Path) -> None:
    content = tiny.tensors(tiny.CASES[case])
    (wanted,) = forced(sources.read(tiny.write(tmp_path, case)), [[]], [TARGET])
    bodies = [""] + ["decoder."] * (case == "opt")
    for body in bodies:
        whole = "transformer." if case == "mpt" else next(n for n in content if "embed" in n)
        whole = whole.rpartition("embed")[0].removesuffix("word_") or whole
        short = {body + name.removeprefix(whole): x for name, x in content.items()}
        (found,) = forced(sources.read(tiny.write(tmp_path, case, short)), [[]], [TARGET])
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", [np.bool_, np.float32])
def test_constants_that_older_files_store(kind: type[Any], tmp_path: Path) -> None:
    content: dict[str, Any] = tiny.tensors(tiny.CASES["gpt_neox"])
    wanted = set(sources.read(tiny.write(tmp_path, "gpt_neox")).tensors)
    for i in range(tiny.LAYERS):
        at = f"gpt_neox.layers.{i}.attention"
        content[f"{at}.bias"] = np.tri(tiny.POSITIONS).astype(kind)[None, None]
        content[f"{at}.masked_bias"] = np.array(-1e9, np.float32)
        content[f"{at}.rotary_emb.inv_freq"] = np.array([1, 500**-0.5], np.float16)
    model = sources.read(tiny.write(tmp_path, "gpt_neox", content))
    assert (set(model.tensors), model.warnings) == (wanted, [])


@pytest.mark.parametrize("case", ["gemma", "granite", "gpt_neo", "llama, yarn"])
def test_weights_in_bfloat16(case: str, tmp_path: Path) -> None:
    """What is multiplied at reading is no number of bfloat16 any more."""
    path = tiny.write(tmp_path, case)
    content = {n: rounded(x) for n, x in load_file(path).items()}
    (wanted,) = forced(sources.read(tiny.write(tmp_path, case, content)), [[]], [TARGET])
    write_bfloat16(path, content)
    (found,) = forced(sources.read(path), [[]], [TARGET])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def rounded(x: np.ndarray[Any, Any]) -> Any:
    return (np.ascontiguousarray(x).view(np.uint32) & 0xFFFF0000).view(np.float32)


def write_bfloat16(path: Path, content: dict[str, Any]) -> None:
    """Write a safetensors by hand, because NumPy has no such type."""
    header, data = {}, b""
    for name, x in content.items():
        half = (x.view(np.uint32) >> 16).astype("<u2").tobytes()
        at = [len(data), len(data) + len(half)]
        header[name] = {"dtype": "BF16", "shape": list(x.shape), "data_offsets": at}
        data += half
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@FUZZ
@given(data=st.data(), case=st.sampled_from(sorted(tiny.CASES)))
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, case: str) -> None:
    path = tiny.write(tmp_path, case)
    damage(data, [path, tmp_path / "config.json"], 4000)
    with contextlib.suppress(CheckpointError):
        sources.read(path)
