"""Marian's options: one message names all unsupported options.  Hostile YAML does no harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_marian as tiny

from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.sources import marian


def test_supported_options_give_the_shape() -> None:
    options = marian.read_options(tiny.OPTIONS.encode() + b"\0")
    assert marian.shape_of(options, 50) == tiny.SHAPE
    assert marian.generation(tiny.SHAPE) == tiny.GENERATION


def test_a_decoder_has_self_attention_unless_it_is_recurrent() -> None:
    options = marian.read_options(tiny.SELF_ATTENTION_OPTIONS.encode())
    found = marian.shape_of(options, 50)
    assert found == replace(tiny.SHAPE, recurrent=False)
    del options["transformer-decoder-autoreg"]
    assert marian.shape_of(options, 50) == found
    options["transformer-decoder-autoreg"] = "average-attention"
    with pytest.raises(CheckpointError, match="supported: self-attention or rnn"):
        marian.shape_of(options, 50)


@pytest.mark.parametrize(
    ("steps", "before"),
    [
        (("", "dan", ""), False),
        (("d", "an", "d"), False),
        (("n", "da", "n"), True),
        (("nd", "a", "dn"), True),
        (("n", "da", ""), None),
        (("n", "dan", "n"), None),
        (("", "da", ""), None),
        ((["n"], "da", "n"), None),
    ],
)
def test_where_the_norms_are(steps: tuple[object, ...], before: bool | None) -> None:
    assert marian.norms_before(dict(zip(marian.STEPS, steps, strict=True))) == before


@pytest.mark.parametrize("activation", ["relu", "swish", "gelu"])
def test_activations(activation: str) -> None:
    options = marian.read_options(tiny.OPTIONS.encode()) | {
        "transformer-ffn-activation": activation
    }
    assert marian.shape_of(options, 50).activation == activation


def test_all_unsupported_options_are_told_as_on_the_command_line() -> None:
    text = tiny.OPTIONS.replace("dec-cell: ssru", "dec-cell: gru").replace("heads: 2", "heads: x")
    text += "transformer-preprocess: n\ntransformer-ffn-depth: 3\ntransformer-pool: true\n"
    text += "transformer-tied-layers: [1, 1]\nright-left: 0\n"
    with pytest.raises(CheckpointError) as caught:
        marian.shape_of(marian.read_options(text.encode()), 50)
    for part in (
        "--dec-cell gru (supported: ssru)",
        "--transformer-heads x",
        '--transformer-preprocess n --transformer-postprocess dan --transformer-postprocess-top ""',
        "--transformer-ffn-depth 3",
        "--transformer-pool true (supported: false)",
        "--transformer-tied-layers [1, 1]",
        "--right-left 0",
    ):
        assert part in str(caught.value)


def test_absent_options_have_the_defaults_of_marian() -> None:
    with pytest.raises(CheckpointError) as caught:
        marian.shape_of({}, 50)
    message = str(caught.value)
    assert "--type amun (supported: transformer)" in message
    assert "--transformer-ffn-activation" not in message
    assert "--dim-emb (absent)" in message
    assert "--transformer-decoder-autoreg" not in message
    assert "--dec-cell" not in message
    assert "--transformer-postprocess" not in message


@pytest.mark.parametrize(
    "change",
    [
        ("enc-depth: 2", "enc-depth: 1000000000"),
        ("enc-depth: 2", "enc-depth: true"),
        ("enc-depth: 2", "enc-depth: 2.0"),
        ("dim-emb: 8", "dim-emb: -8"),
        ("dim-emb: 8", "dim-emb: [8]"),
        ("heads: 2", "heads: 3"),
        ("  - 11\n  - 11", "  - 11"),
        ("  - 11\n  - 11", "  - 11\n  - 1"),
    ],
)
def test_sizes_are_checked(change: tuple[str, str]) -> None:
    assert change[0] in tiny.OPTIONS
    options = marian.read_options(tiny.OPTIONS.replace(*change).encode())
    with pytest.raises(CheckpointError):
        marian.generation(marian.shape_of(options, 50))


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "a: [",
        "1: 2",
        "type: !!python/object/apply:os.system [exit]",
        "a: " + "[" * 20000,
        "a: " + "1" * 9000,
        "a: 2001-99-99",
        "a: 1:" + ":".join(["59"] * 3000) + ".5",
        "\x07",
        "? [a]\n: b",
        "a: 1\n" * 20000,
        LAUGHS + "type: *j",
        "&x type: *x",
        "&x [*x]",
    ],
)
def test_hostile_yaml(text: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        marian.shape_of(marian.read_options(text.encode()), 50)
    assert len(str(caught.value)) < 10_000


def test_invalid_utf8() -> None:
    with pytest.raises(CheckpointError, match="UnicodeDecodeError"):
        marian.read_options(b"type: \xff")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("transformer-no-bias: true", "--transformer-no-bias true (not known)"),
        ("transformer-heads-cross: 4", "--transformer-heads-cross 4 (not known)"),
        ("transformer-train-positions: true", "--transformer-train-positions true (supported: fal"),
        ("factors-combine: concat", "--factors-combine concat (supported: sum)"),
        ("lemma-dependency: soft-transformer-layer", "--lemma-dependency soft-transformer-layer"),
        ("lemma-dim-emb: 8", "--lemma-dim-emb 8 (supported: 0)"),
        ("input-types: [class, sequence]", "--input-types [class, sequence]"),
        ("right-left: true", "--right-left true (supported: false)"),
    ],
)
def test_options_that_change_the_model_are_refused(line: str, told: str) -> None:
    options = marian.read_options(f"{tiny.OPTIONS}{line}\n".encode())
    with pytest.raises(CheckpointError) as caught:
        marian.shape_of(options, 50)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "transformer-no-bias: false",
        "transformer-depth-scaling: true",
        "transformer-aan-depth: 2",
        "transformer-dropout: 0.1",
        "input-types: [sequence, sequence]",
        "output-omit-bias: true",
        "lemma-dependency: ''",
    ],
)
def test_options_that_change_nothing(line: str) -> None:
    options = marian.read_options(f"{tiny.OPTIONS}{line}\n".encode())
    assert marian.shape_of(options, 50) == tiny.SHAPE


@pytest.mark.parametrize(
    ("layer", "warned"), [("last", False), ("2", False), ("1", True), ("none", True)]
)
def test_alignment_by_another_layer_is_told(layer: str, warned: bool, tmp_path: Path) -> None:
    text = f"{tiny.OPTIONS}transformer-guided-alignment-layer: {layer}\n"
    (tmp_path / "model.bin").write_bytes(tiny.write_bin(tiny.stored(0), text))
    found = sources.read(tmp_path).warnings
    assert len(found) == warned
    assert all("--transformer-guided-alignment-layer), but alignments" in one for one in found)


def test_a_vocabulary_of_factors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(tiny.write_bin(tiny.stored(0)))
    (tmp_path / "vocab.fsv").touch()
    with pytest.raises(CheckpointError, match=r"vocab.fsv: a vocabulary of factors, which is not"):
        sources.read(tmp_path)
