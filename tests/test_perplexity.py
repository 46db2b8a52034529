"""Perplexity: windows, sums on both engines, the conversion, and the command."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref import LanguageModel, Perplexity, Speed
from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.errors import UserError
from int8ref.files.model_file import Model, save
from int8ref.translation.windows import TextWindow, windows
from tests.helpers.engines import paths
from tests.helpers.machine_text import machine_text
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import Command, run

MODEL = build_tiny_model(4, "decoder")
TEXT = [*SENTENCES, "", "  ", *SENTENCES[::-1], SENTENCES[0] * 3]


def sliced(text: list[int], length: int) -> list[TextWindow]:
    """Return the windows as slices of the whole text, as in the training recipe."""
    half, total = length // 2, len(text) - 1
    if total < length:
        return [TextWindow(text[0], text[1:], total)] if total else []
    found = [TextWindow(text[0], text[1 : length + 1], length)]
    for begin in range(half, total - length + 1, half):
        found.append(TextWindow(text[begin], text[begin + 1 : begin + length + 1], half))
    rest = (total - length) % half
    if rest:
        found.append(TextWindow(text[-(rest + half + 1)], text[-(rest + half) :], rest))
    return found


@given(st.integers(0, 70), st.integers(1, 12).map(lambda half: 2 * half))
def test_windows_are_those_of_the_training_recipe(total: int, length: int) -> None:
    text = list(range(100, 101 + total))
    assert list(windows(text[1:], text[0], length)) == sliced(text, length)


@given(st.integers(0, 70), st.integers(2, 25))
def test_every_token_is_fresh_once(total: int, length: int) -> None:
    text = list(range(total))
    found = list(windows(text, -1, length))
    assert [token for w in found for token in w.tokens[-w.fresh :]] == text
    for window in found:
        assert len(window.tokens) <= length
        assert window.start == window.tokens[0] - 1
        context = len(window.tokens) - window.fresh
        assert window is found[0] or context == length - length // 2


@pytest.mark.parametrize("window", [None, 8, 9])
def test_neither_backend_nor_batches_nor_threads_change_it(window: int | None) -> None:
    machine_text()
    wanted = LanguageModel(MODEL, "reference").perplexity(TEXT, window)
    assert wanted.words == sum(len(line.split()) + 1 for line in TEXT)
    assert wanted.log2 < 0
    for speed in (Speed(1, 1, 1), Speed(3, 2), Speed(64, 1, 5)):
        assert LanguageModel(MODEL, "compiled", speed).perplexity(TEXT, window) == wanted


def float_log2(model: Model, lines: list[str], length: int) -> float:
    """Return the sum in floats, from the logits of the reference, one window at a time."""
    from int8ref.text.tokenizers import build_tokenizer

    program = model.program
    tokenizer = build_tokenizer(model.target, len(model.tensors["embeddings"]))
    text = [program.start]
    for line in lines:
        text += [*tokenizer.encode(line.strip()), program.eos]
    unit = program.log_softmax.multiplier * 2.0 ** -(program.log_softmax.shift + 20)
    engine, total = load_engine(program, model.tensors, "reference"), 0.0
    for window in sliced(text, length):
        session, ids = engine.session([[]]), [window.start, *window.tokens]
        rows: list[NDArray[Any]] = [session.step(np.array([t], np.int32))[0] for t in ids[:-1]]
        octaves = np.array(rows) * unit
        octaves -= octaves.max(axis=1, keepdims=True)
        logs = octaves - np.log2(np.exp2(octaves).sum(axis=1, keepdims=True))
        picked = logs[np.arange(len(rows)), window.tokens]
        total += float(picked[-window.fresh :].sum())
    return total


@pytest.mark.parametrize("length", [8, 32])
def test_the_sum_is_that_of_floats(length: int) -> None:
    found = LanguageModel(MODEL, "reference").perplexity(TEXT, length)
    exact = float_log2(MODEL, TEXT, length)
    assert found.log2 / 2**20 == pytest.approx(exact, abs=found.tokens * 3e-6)
    assert float(found.of_words) == pytest.approx(2 ** (-exact / found.words), rel=1e-4)
    assert float(found.of_tokens) == pytest.approx(2 ** (-exact / found.tokens), rel=1e-4)


@given(st.integers(0, 2**34), st.integers(1, 10**6))
def test_the_conversion_is_exact(log2: int, count: int) -> None:
    found = Perplexity(count, 2 * count, -log2).of_words
    assert found.as_tuple().exponent == -6
    exponent = log2 / 2**20 / count
    if exponent < 60:
        assert math.isclose(float(found), 2**exponent, rel_tol=1e-9, abs_tol=1e-6)


def test_powers_of_two() -> None:
    assert str(Perplexity(3, 6, -6 << 20).of_words) == "4.000000"
    assert str(Perplexity(3, 6, -6 << 20).of_tokens) == "2.000000"
    assert str(Perplexity(2, 2, -1 << 20).of_words) == "1.414214"


@pytest.mark.parametrize("kind", ["decoder", "translation"])
@given(data=st.data())
def test_log_probabilities(kind: str, data: st.DataObject) -> None:
    """Any start tokens, and paths of different lengths with eos anywhere, on both engines."""
    machine_text()
    model = MODEL if kind == "decoder" else build_tiny_model(6, "translation")
    size = len(model.tensors["embeddings"])
    tokens = data.draw(
        st.lists(st.lists(st.integers(0, size - 1), min_size=1, max_size=9), min_size=1, max_size=5)
    )
    starts = [data.draw(st.integers(-1, size - 1)) for _ in tokens]
    batch = [[] if kind == "decoder" else [4 + i, 0] for i in range(len(tokens))]
    given = paths(batch, starts, tokens)
    results = []
    for backend in BACKENDS:
        engine = load_engine(model.program, model.tensors, backend)
        results.append(engine.log_probabilities(given))
    assert results[0] == results[1]
    assert [len(found) for found in results[0]] == [len(path.tokens) for path in given]
    assert all(-(2**30) <= x <= 0 for found in results[0] for x in found)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("starts", "tokens", "error", "message"),
    [
        ([0, 0], [[1], []], ValueError, "path 1 has 0 tokens"),
        ([0, 0], [[1], [-1]], ValueError, "path 1 has the token id -1"),
        ([0, 0], [[1], [10**6]], ValueError, "path 1 has the token id 1000000"),
        ([0, -2], [[1], [1]], IndexError, r"token ids must lie in \[-1"),
        ([0, 0], [[1], [1] * 65], IndexError, r"positions must lie in \[0, 64\)"),
    ],
)
def test_refuses_paths(
    backend: Any, starts: list[int], tokens: list[list[int]], error: type[Exception], message: str
) -> None:
    engine = load_engine(MODEL.program, MODEL.tensors, backend)
    with pytest.raises(error, match=message):
        engine.log_probabilities(paths([[], []], starts, tokens))


@pytest.fixture(scope="module", name="decoder")
def decoder_command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command with a decoder alone.  The machine is compiled before."""
    machine_text()
    path = tmp_path_factory.mktemp("model") / "decoder.safetensors"
    save(path, MODEL)
    return [sys.executable, "-m", "int8ref.perplexity", "-m", path]


def test_the_command(decoder: Command, tmp_path: Path) -> None:
    wanted = LanguageModel(MODEL, "reference").perplexity(TEXT, 16)
    lines = [
        f"word perplexity   {wanted.of_words} ({wanted.words} words)",
        f"token perplexity  {wanted.of_tokens} ({wanted.tokens} tokens)",
    ]
    text = "".join(f"{line}\n" for line in TEXT).encode()
    (tmp_path / "text").write_bytes(text)
    status, out, told = run([*decoder, "-i", tmp_path / "text", "--window", "16", "--stats"])
    assert (status, out.decode().splitlines()) == (0, lines)
    assert "tokens/s" in told
    status, out, told = run([*decoder, "--window", "16", "--backend", "reference"], text)
    assert (status, out.decode().splitlines(), told) == (0, lines, "")


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (["--window", "1"], b"a\n", "a window of 1 tokens: the model takes 2 to 64"),
        (["--window", "65"], b"a\n", "a window of 65 tokens"),
        ([], b"", "there is no text to measure"),
        ([], b"a\n\xff\n", "line 2 is not UTF-8"),
        (["-i", "absent.txt"], b"", "absent.txt: No such file"),
    ],
)
def test_errors(decoder: Command, arguments: list[str], text: bytes, message: str) -> None:
    status, out, told = run([*decoder, *arguments], text)
    assert (status, out) == (1, b"")
    assert message in told
    assert told.startswith("int8ref: error: ")
    assert told.count("\n") == 1


def test_a_result_that_cannot_be_written(decoder: Command) -> None:
    shell: Command = ["env", "-u", "PYTHONUNBUFFERED", "sh", "-c", 'exec "$@" >/dev/full', "sh"]
    status, _, told = run([*shell, *decoder], b"a\n")
    assert status == 1
    assert "No space left" in told
    assert told.count("\n") == 1


def test_help_needs_no_library() -> None:
    program = (
        "import sys; from int8ref.perplexity import main\n"
        "try: main(['--help'])\n"
        "finally: print({'numpy', 'numba', 'sentencepiece'} & set(sys.modules))"
    )
    out = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert out.endswith("set()\n")


def test_a_translation_model_has_no_perplexity() -> None:
    with pytest.raises(UserError, match="model tiny translates: a language model takes no source"):
        LanguageModel(build_tiny_model(2))
