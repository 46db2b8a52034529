"""Checkpoints of fairseq, OpenNMT-py, JoeyNMT and Sockeye: equal to the programs themselves."""

from __future__ import annotations

import contextlib
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_frameworks as tiny
import torch_writer
from damage import FUZZ, damage
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities

from int8ref.engines.backends import load_engine
from tests.helpers.engines import paths
from weights_import import sources
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy, sample
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.sources.vocabulary import Piece, byte_pairs

SOURCE, TARGET = [5, 7, 9, 4, 6], [6, 8, 5, 9, 4]
# log P of each token of TARGET and of the end, by fairseq 0.12.2, OpenNMT-py 3.5.1, JoeyNMT 2.3.0
# and Sockeye 3.1.34, in float32 with PyTorch 2.13.
SCORES = {
    "fairseq, post-norm": [-7.76847, -2.01154, -3.22972, -3.76378, -0.6834, -4.9382],
    "fairseq, pre-norm, all tied": [-4.43891, -0.39043, -4.94588, -4.17036, -6.79145, -4.94373],
    "fairseq, language model": [-3.08978, -2.03451, -3.37446, -3.79388, -4.14765, -5.84723],
    "OpenNMT-py, version 3": [-6.71193, -4.09437, -2.7776, -2.31023, -3.47413, -2.02794],
    "OpenNMT-py, version 2": [-5.06696, -4.2883, -1.7255, -2.41326, -5.44957, -7.84379],
    "OpenNMT-py, language model": [-2.67377, -1.18614, -4.69574, -4.62064, -5.2917, -2.96611],
    "JoeyNMT, pre-norm": [-2.9265, -3.09276, -1.80413, -3.92546, -5.57866, -2.06784],
    "JoeyNMT, post-norm": [-6.20592, -2.492, -2.08653, -5.45161, -1.68847, -0.90198],
    "JoeyNMT, version 1": [-6.15028, -2.7468, -5.68084, -6.25064, -1.62998, -3.84157],
    "Sockeye, pre-norm": [-5.8305, -0.51103, -2.30155, -4.58893, -7.41969, -6.2064],
    "Sockeye, post-norm": [-0.75811, -5.11243, -4.03138, -4.19363, -2.83687, -2.6125],
    "Sockeye, recurrent": [-5.46561, -7.19434, -1.03876, -7.28671, -0.94712, -5.14064],
}


def framed(model: FloatModel) -> list[int]:
    return model.generation.frame.around(SOURCE) if model.translates else []


@pytest.mark.parametrize("case", tiny.CASES)
def test_log_probabilities_are_those_of_the_program(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    found = log_probabilities(model, framed(model), TARGET)
    np.testing.assert_allclose(found, SCORES[case], atol=2e-5)
    assert model.provenance["format"] == case.partition(",")[0]
    assert sources.files(tmp_path)[0].name == model.provenance["file"]


@pytest.mark.parametrize("case", tiny.CASES)
@pytest.mark.filterwarnings("ignore")  # of the programs themselves
def test_log_probabilities_are_those_of_an_installed_program(case: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the programs need it")
    import real_frameworks

    folder = tmp_path / case
    folder.mkdir()
    path = tiny.write(folder, case)
    model = sources.read(path)
    found = log_probabilities(model, framed(model), TARGET)  # before the program writes its file
    program = real_frameworks.PROGRAMS[case.partition(",")[0]]
    wanted = program(path, framed(model), TARGET, model.generation.eos)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


INTEGERS = ("fairseq, post-norm", "fairseq, language model", "OpenNMT-py, version 2",
            "JoeyNMT, pre-norm", "Sockeye, recurrent")  # fmt: skip


@pytest.mark.parametrize("case", INTEGERS)
def test_in_integers(case: str, tmp_path: Path) -> None:
    """The integer model loses less than 0.02 nats a token, on other texts than it has seen."""
    model = sources.read(tiny.write(tmp_path, case))
    program, tensors, sentences, texts = lowered(model)
    engine = load_engine(program, tensors, "compiled")
    starts = [model.generation.start] * len(texts)
    found = engine.log_probabilities(paths(sentences, starts, texts))
    nats = sum(map(sum, found)) / 2**20 * np.log(2)
    pairs = zip(sentences, texts, strict=True)
    exact = sum(sum(log_probabilities(model, s, text[:-1])) for s, text in pairs)
    assert abs(exact - nats) < 0.02 * sum(map(len, texts))


def lowered(model: FloatModel) -> tuple[Any, Any, list[list[int]], list[list[int]]]:
    """Return the integer model, and sources with targets that it has not seen."""
    eos, random = model.generation.eos, np.random.default_rng(0)
    if not model.translates:
        texts = [text for text in sample(model, 100, 16) if text]
        program, tensors = lower(model, [[]] * 50, texts[:50], LoweringOptions())
        new = [[*text[:15], eos] for text in texts[50:]]
        return program, tensors, [[] for _ in new], new
    most = model.generation.source_vocabulary
    drawn = [random.integers(4, most, random.integers(3, 9)).tolist() for _ in range(100)]
    given = [model.generation.frame.around(ids) for ids in drawn]
    targets = [ids[:12] for ids in greedy(model, given, max_length_factor=1)]
    program, tensors = lower(model, given[:50], targets[:50], LoweringOptions())
    return program, tensors, given[50:], [[*ids, eos] for ids in targets[50:]]


@pytest.mark.parametrize(
    ("case", "languages"),
    [
        ("fairseq, post-norm", ("en", "pt")),
        ("JoeyNMT, version 1", ("en", "pt-BR")),
        ("JoeyNMT, pre-norm", ("en", "pt-BR")),
        ("OpenNMT-py, version 3", None),
        ("Sockeye, pre-norm", None),
    ],
)
def test_languages_that_the_options_tell(case: str, languages: Any, tmp_path: Path) -> None:
    assert sources.read(tiny.write(tmp_path, case)).languages == languages


@pytest.mark.parametrize(
    ("case", "ids"),
    [
        ("fairseq, post-norm", [12, 4, 5, 2]),
        ("OpenNMT-py, version 3", [12, 4, 5]),
        ("JoeyNMT, pre-norm", [12, 4, 5, 3]),
        ("Sockeye, pre-norm", [12, 4, 5, 3]),
    ],
)
def test_a_tokenizer_beside_is_numbered_by_the_vocabulary(
    case: str, ids: list[int], tmp_path: Path
) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    assert tokenize(model, ["iab"]) == [ids]  # the vocabulary of single letters itself
    pieces = ["<unk>", "<s>", "</s>", "\u2581", *"abcdefghi", *"ABCDEFG", "ab"]
    made = {piece: Piece(-float(i)) for i, piece in enumerate(pieces)}
    content = byte_pairs(made, unk="<unk>", bos="<s>", eos="</s>")
    (tmp_path / "spm.model").write_bytes(content)
    model = sources.read(tmp_path)
    assert set(model.tokenizers) == {"source", "target"}
    unknown = model.generation.unk
    assert tokenize(model, ["iab"]) == [[unknown, *ids]]


def test_codes_of_subword_nmt_beside(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "fairseq, post-norm")
    pieces = ["a@@", "b@@", "c", "ab@@", "abc", "d", "d@@", "e", "f"]
    (tmp_path / "dict.en.txt").write_text("".join(f"{piece} 9\n" for piece in pieces))
    (tmp_path / "bpecodes").write_text("a b 9\nab c</w> 5\n")
    model = sources.read(path)
    assert tokenize(model, ["abc d abd"]) == [[8, 9, 7, 9, 2]]
    assert model.warnings[0].startswith("texts are cut by bpecodes as they are")


def test_a_vocabulary_of_words(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "fairseq, post-norm")
    words = ["the", "house", "is", "blue", ".", "a", "b", "c", "d"]
    (tmp_path / "dict.en.txt").write_text("".join(f"{word} 9\n" for word in words))
    model = sources.read(path)
    assert tokenize(model, ["the house is red ."]) == [[4, 5, 6, 3, 8, 2]]
    assert model.warnings[0].startswith("texts are cut at spaces into whole words")
    (tmp_path / "dict.en.txt").write_text("".join(f"\u2581{word} 9\n" for word in words))
    assert "source" not in sources.read(path).tokenizers


def test_older_options_and_names_of_fairseq(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    tiny.fairseq(tmp_path / "a", "post-norm")
    path = tiny.fairseq(tmp_path / "b", "post-norm", old=True)
    c = tiny.FAIRSEQ_CASES["post-norm"]
    content = tiny.fairseq_tensors(c)
    norms = {"encoder": ["self_attn", "final"], "decoder": ["self_attn", "encoder_attn", "final"]}
    for stack, names in norms.items():
        for i in range(tiny.LAYERS):
            at = f"{stack}.layers.{i}"
            for number, norm in enumerate(names):
                for leaf in ("weight", "bias"):
                    x = content.pop(f"{at}.{norm}_layer_norm.{leaf}")
                    content[f"{at}.layer_norms.{number}.{leaf}"] = x
            for block in ["self_attn"] + ["encoder_attn"] * (stack == "decoder"):
                for leaf in ("weight", "bias"):
                    rows = [content.pop(f"{at}.{block}.{one}_proj.{leaf}") for one in "qkv"]
                    content[f"{at}.{block}.in_proj_{leaf}"] = np.concatenate(rows)
    content["decoder.embed_out"] = content.pop("decoder.output_projection.weight")
    path.write_bytes(torch_writer.saved({"args": tiny.namespace(c), "model": content}))
    one, other = (sources.read(tmp_path / name) for name in ("a", "b"))
    assert set(one.tensors) == set(other.tensors)
    for name in one.tensors:
        np.testing.assert_array_equal(one.tensors[name], other.tensors[name])


def test_tied_matrices_are_one(tmp_path: Path) -> None:
    tied = {
        "fairseq, pre-norm, all tied": 3, "OpenNMT-py, version 2": 3, "JoeyNMT, pre-norm": 3,
        "Sockeye, pre-norm": 3, "Sockeye, recurrent": 2, "JoeyNMT, post-norm": 0,
    }  # fmt: skip
    for case, count in tied.items():
        folder = tmp_path / case
        folder.mkdir()
        found = sources.read(tiny.write(folder, case)).tensors
        names = ["source_embedding", "target_embedding", "output.weight"]
        assert sum(found.tied(name) for name in names) == count, case


def edited(folder: Path, case: str, name: str, old: str, new: str) -> None:
    tiny.write(folder, case)
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def removed(folder: Path, case: str, name: str) -> None:
    tiny.write(folder, case)
    (folder / name).unlink()


FILES: dict[str, tuple[Any, ...]] = {
    "no dict.en.txt and dict.pt.txt beside it": (removed, "fairseq, post-norm", "dict.en.txt"),
    "no dict.txt beside it": (removed, "fairseq, language model", "dict.txt"),
    "'x' is no piece with its count": (edited, "fairseq, post-norm", "dict.en.txt", "i 9", "x"),
    "dict.en.txt: a piece twice": (edited, "fairseq, post-norm", "dict.en.txt", "b 9", "a 9"),
    "13 embeddings for a source vocabulary of 12": (
        edited, "fairseq, post-norm", "dict.en.txt", "i 9\n", "",
    ),
    "no config.yaml beside it": (removed, "JoeyNMT, pre-norm", "config.yaml"),
    "no src_vocab.txt beside it": (removed, "JoeyNMT, pre-norm", "src_vocab.txt"),
    r"config.yaml: model.(de|en)coder.num_heads: Expected `int`, got `str`, which is not": (
        edited, "JoeyNMT, pre-norm", "config.yaml", "num_heads: 2", "num_heads: two",
    ),
    "config.yaml: encoder and decoder differ": (
        edited, "JoeyNMT, pre-norm", "config.yaml",
        "    decoder:\n        type: transformer\n        num_layers: 2\n        num_heads: 2",
        "    decoder:\n        type: transformer\n        num_layers: 2\n        num_heads: 4",
    ),
    "not what layer_norm and the tensors tell": (
        edited, "JoeyNMT, pre-norm", "config.yaml", "layer_norm: pre", "layer_norm: post",
    ),
    r"config.yaml: model.encoder.type: Invalid enum value .recurrent., which is not read": (
        edited, "JoeyNMT, pre-norm", "config.yaml", "type: transformer", "type: recurrent",
    ),
    "no config beside it": (removed, "Sockeye, pre-norm", "config"),
    "no vocab.trg.0.json beside it": (removed, "Sockeye, pre-norm", "vocab.trg.0.json"),
    "quantised to int8 already": (
        edited, "Sockeye, pre-norm", "config", "dtype: float32", "dtype: int8",
    ),
    "use_glu, which is not read": (
        edited, "Sockeye, pre-norm", "config", "use_glu: false", "use_glu: true",
    ),
    "lhuc, which is not read": (edited, "Sockeye, pre-norm", "config", "lhuc: false", "lhuc: true"),
    "neural_vocab_selection, which": (
        edited, "Sockeye, pre-norm", "config", "selection: null", "selection: logit_max",
    ),
    r"the steps \('n', 'drr'\) around": (
        edited, "Sockeye, pre-norm", "config", "sequence: dr", "sequence: drr",
    ),
    "missing decoder.norm.gain": (
        edited, "Sockeye, post-norm", "config", "sequence: drn\n  preprocess_sequence: ''",
        "sequence: dr\n  preprocess_sequence: n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", FILES)
def test_what_is_wrong_beside_it(said: str, tmp_path: Path) -> None:
    write, *arguments = FILES[said]
    write(tmp_path, *arguments)
    with pytest.raises(CheckpointError, match=said) as caught:
        sources.read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/")
    assert "\n" not in str(caught.value)


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "adaptive_softmax_cutoff": ("fairseq", {"adaptive_softmax_cutoff": "100,200"}),
    "cross_self_attention": ("fairseq", {"cross_self_attention": True}),
    "encoder and decoder have other heads": ("fairseq", {"encoder_attention_heads": 4}),
    "only one stack has learned": ("fairseq", {"encoder_learned_pos": True}),
    "activation_fn": ("fairseq", {"activation_fn": "linear"}),
    "max_relative_positions": ("OpenNMT-py", {"max_relative_positions": -1}),
    "layer_norm": ("OpenNMT-py", {"layer_norm": "rms"}),
    "num_experts": ("OpenNMT-py", {"num_experts": 8}),
    "position_encoding": ("OpenNMT-py", {"position_encoding": False}),
    "encoder_type": ("OpenNMT-py", {"encoder_type": "brnn"}),
}


@pytest.mark.parametrize("said", OPTIONS)
def test_options_that_are_not_read(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    title, changes = OPTIONS[said]
    case = "post-norm" if title == "fairseq" else "version 3"
    cases = tiny.FAIRSEQ_CASES if title == "fairseq" else tiny.OPENNMT_CASES
    written = tiny.WRITERS[title][0](tmp_path, case)
    monkeypatch.setitem(cases, case, cases[case] | changes)
    content = torch_writer.saved(changed_options(title, cases[case]))
    if said != "only one stack has learned":
        written.write_bytes(content)
    else:
        tiny.fairseq(tmp_path, case)
    with pytest.raises(CheckpointError, match=said):
        sources.read(tmp_path)


def changed_options(title: str, c: dict[str, Any]) -> dict[str, Any]:
    if title == "fairseq":
        return {"args": tiny.namespace(c), "model": tiny.fairseq_tensors(c)}
    sizes = {"encoder": 13, "decoder": 11}
    return {"model": tiny.drawn(tiny.opennmt_shapes(c, sizes)), "opt": tiny.namespace(c)}


def test_a_yaml_with_code_in_it_is_data(tmp_path: Path) -> None:
    tiny.write(tmp_path, "Sockeye, pre-norm")
    path = tmp_path / "config"
    trap = f"!!python/object/apply:os.mkdir ['{tmp_path / 'sprung'}']"
    path.write_text(path.read_text().replace("lhuc: false\n", f"lhuc: false\nx: {trap}\n", 1))
    sources.read(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_vocabulary_of_other_things(tmp_path: Path) -> None:
    tiny.write(tmp_path, "Sockeye, pre-norm")
    for told in ([1], {"a": "b"}, {"a": 2**70}):
        (tmp_path / "vocab.src.0.json").write_text(json.dumps(told))
        with pytest.raises(CheckpointError, match=r"vocab.src.0.json|source vocabulary of 1"):
            sources.read(tmp_path)


@cache
def written(case: str) -> dict[str, bytes]:
    """Return the files of a checkpoint by name."""
    with tempfile.TemporaryDirectory() as folder:
        tiny.write(Path(folder), case)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


@FUZZ
@given(data=st.data(), case=st.sampled_from(tiny.CASES))
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, case: str) -> None:
    for name in [file.name for file in tmp_path.iterdir()]:
        (tmp_path / name).unlink()
    for name, content in written(case).items():
        (tmp_path / name).write_bytes(content)
    damage(data, [tmp_path / name for name in sorted(written(case))], 3000)
    with contextlib.suppress(CheckpointError):
        sources.read(tmp_path)
