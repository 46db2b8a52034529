"""The Python interface: lazy imports, types, pickles, threads, streams."""

from __future__ import annotations

import importlib.metadata
import itertools
import multiprocessing
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

import int8ref
from int8ref import Options, Translator
from int8ref.files.model_file import save
from int8ref.options import OptionError
from int8ref.translation.alignment import AlignmentError
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import TIMEOUT

MODEL = build_tiny_model(2)
LINES = ["The cat sat on the mat.", "", "a", "We like to eat red fish; do you?", "O sol nasceu"]
FULL = Options(beam_size=3, n_best=2, scores=True, alignment="soft")


@pytest.fixture(scope="module")
def translator(tiny_file: Path) -> Translator:
    found = int8ref.load(tiny_file, "reference", threads=2)
    assert isinstance(found, Translator)
    return found


def test_the_import_is_lazy_and_numba_is_never_needed(tiny_file: Path) -> None:
    """The first of two processes may compile.  The second process does not import Numba."""
    program = f"""
import sys
import int8ref
heavy = {{"numpy", "numba", "msgspec", "sentencepiece", "argparse", "logging", "decimal"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert "Translator" in dir(int8ref) and "load" in dir(int8ref)
int8ref.Options(beam_size=4)
assert not {{"numpy", "numba"}} & set(sys.modules)
int8ref.load({str(tiny_file)!r}).translate(["a cat", ""], int8ref.Options(alignment="hard"))
print("numpy" in sys.modules, "numba" in sys.modules)
"""
    for _ in range(2):
        out = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=TIMEOUT)
    assert out == "True False\n"


def test_the_version_is_that_of_the_distribution() -> None:
    """The version is read on demand, without `importlib.metadata`, which is slow."""
    program = """
import sys
import int8ref
assert "int8ref.host.installed" not in sys.modules
assert "__version__" in dir(int8ref)
print(int8ref.__version__)
assert "importlib.metadata" not in sys.modules
"""
    out = subprocess.check_output([sys.executable, "-P", "-c", program], text=True, timeout=TIMEOUT)
    assert out == importlib.metadata.version("int8ref") + "\n"


def test_a_folder_on_the_path_has_a_version_too(tmp_path: Path) -> None:
    (tmp_path / "int8ref" / "host").mkdir(parents=True)
    for name in ("__init__.py", "host/__init__.py", "host/installed.py", "host/missing.py"):
        shutil.copy(Path(int8ref.__file__).parent / name, tmp_path / "int8ref" / name)
    command = [sys.executable, "-S", "-c", "import int8ref; print(int8ref.__version__)"]
    out = subprocess.check_output(command, text=True, cwd=tmp_path, timeout=TIMEOUT)
    assert out == "0 (not installed)\n"


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'transmogrify'"):
        int8ref.transmogrify  # noqa: B018
    assert {name for name in int8ref.__all__ if getattr(int8ref, name) is None} == set()


def test_one_text_and_several(translator: Translator) -> None:
    results = translator.translate(LINES, FULL)
    assert [result.source for result in results] == LINES
    assert results == [translator.translate(line, FULL) for line in LINES]
    assert results == list(translator.stream(iter(LINES), FULL))
    first = results[0]
    assert first.best is first.translations[0]
    assert (first.text, first.tokens) == (first.best.text, first.best.tokens)
    assert first.best.scores is not None
    assert first.score == first.best.scores.score
    assert isinstance(first.score, Decimal)
    assert first.score >= first.translations[1].scores.score  # type: ignore[union-attr]
    assert first.alignment == first.best.alignment
    assert len(first.best.ids) == len(first.tokens)
    assert not first.truncated
    blank = results[1]
    assert (blank.text, blank.tokens, blank.score) == ("", (), Decimal(0))


def test_without_scores_there_are_none(translator: Translator) -> None:
    result = translator.translate("The cat")
    assert (result.score, result.alignment) == (None, None)
    assert result.text == translator.translate("The cat", Options(scores=True)).text


def test_long_texts_are_cut_and_say_so(translator: Translator) -> None:
    result = translator.translate("the cat sat " * 40)
    assert result.truncated
    assert len(result.source_tokens) == 63


def test_scores_of_given_translations(translator: Translator) -> None:
    pairs = list(zip(LINES, ["O gato", "", "x", "y", "z"], strict=True))
    options = Options(normalization="none", alignment="hard")
    results = list(translator.stream_scores(pairs, options))
    assert results == [translator.score(*pair, options) for pair in pairs]
    for result, (source, text) in zip(results, pairs, strict=True):
        assert (result.source, result.text) == (source, text)
        assert result.best.scores is not None
        assert result.score == result.best.scores.log_probability <= 0


def test_threads_share_a_translator(translator: Translator) -> None:
    expected = translator.translate(LINES, FULL)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda line: translator.translate(line, FULL), LINES * 4))
    assert found == expected * 4


def test_a_stream_may_be_endless(translator: Translator) -> None:
    """The number of lines that are read ahead is bounded."""
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        for line in itertools.cycle(LINES):
            asked += 1
            yield line

    short = Translator(MODEL, "reference", int8ref.Speed(batch_size=2, buffer_size=4))
    before = threading.active_count()
    results = list(itertools.islice(short.stream(endless()), 20))
    assert results == translator.translate(LINES) * 4
    assert asked <= 20 + 4 * 4
    assert threading.active_count() <= before + 2


def test_a_stream_answers_before_the_next_line(translator: Translator) -> None:
    answered = threading.Semaphore(1)

    def lines() -> Iterator[str]:
        for line in LINES:
            assert answered.acquire(timeout=TIMEOUT)
            yield line

    found = []
    for result in translator.stream(lines()):
        found.append(result)
        answered.release()
    assert found == translator.translate(LINES)


def translate_a_line(given: tuple[Translator, str]) -> tuple[int, int8ref.Result]:
    """Translate a line in another process.  Also return the identity of the Translator there."""
    translator, line = given
    return id(translator), translator.translate(line, FULL)


def test_a_pickle_names_the_file(translator: Translator) -> None:
    """The pickle is small.  All tasks in the other process use one Translator."""
    assert len(pickle.dumps(translator)) < 1000
    expected = translator.translate(LINES, FULL)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(translate_a_line, [(translator, line) for line in LINES], chunksize=1)
    assert [result for _, result in found] == expected
    assert len({identity for identity, _ in found}) == 1
    assert pickle.loads(pickle.dumps(expected)) == expected


def test_a_pickle_of_a_model_in_memory_holds_it(translator: Translator) -> None:
    again = pickle.loads(pickle.dumps(Translator(MODEL, "reference")))
    assert again.translate(LINES, FULL) == translator.translate(LINES, FULL)


def test_a_pickle_does_not_take_another_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(path, MODEL)
    pickled = pickle.dumps(int8ref.load(path, "reference"))
    save(path, build_tiny_model(1))
    with pytest.raises(int8ref.UserError, match=r"model.safetensors: not the model that"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(int8ref.UserError, match=r"model.safetensors"):
        pickle.loads(pickled)


def test_a_decoder_alone_translates_nothing() -> None:
    with pytest.raises(int8ref.UserError, match="model tiny-decoder-only: a decoder alone"):
        Translator(build_tiny_model(0, "decoder"), "reference")


def test_errors(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(int8ref.UserError, match="nor one of the names en-pt, pt-en, en-de-tatoeba"):
        int8ref.load("xx-yy")
    with pytest.raises(OptionError, match="backend is 'gpu', not one of"):
        Translator(MODEL, "gpu")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="threads is 0"):
        int8ref.load("xx-yy", threads=0)

    def missing(program: object) -> None:
        raise AlignmentError("nothing to align by")

    monkeypatch.setattr("int8ref.translator.aligning_attention", missing)
    with pytest.raises(AlignmentError, match="nothing to align by"):
        translator.stream(iter(LINES), FULL)


def test_a_wrong_backend_is_refused_before_a_model_is_looked_for() -> None:
    with pytest.raises(int8ref.OptionError, match="backend is 'gpu', not one of"):
        int8ref.load("/no/such/model", "gpu")  # type: ignore[call-overload]
