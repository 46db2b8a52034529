"""A real model of CTranslate2: its log-probabilities, and its names in integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from log_probabilities import log_probabilities

import int8ref
from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.float_search import greedy

REAL = [-0.04199, -0.01389, -1.13757, -0.04293, -0.62879, -0.29838, -0.14003, -0.0048]
RIGHT = 98


@pytest.fixture
def real(real_model: Callable[[str], Path]) -> Path:
    """A real model that transliterates Arabic names, and names to test it."""
    return real_model("aren-transliteration")


def test_a_real_model(real: Path) -> None:
    """log P of each letter and of the end, by CTranslate2 4.8.5 in float32."""
    model = sources.read(real)
    (ids,) = tokenize(model, ["آسينسيو"])
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    assert tokenizer.decode(greedy(model, [ids])[0]) == "assensio"
    found = log_probabilities(model, ids, tokenizer.encode("asensio"))
    np.testing.assert_allclose(found, REAL, atol=2e-5)


def test_a_real_model_in_integers(real: Path, tmp_path: Path) -> None:
    """The number of right names of 400 differs by at most 2 from greedy search of CTranslate2."""
    pairs = [line.split("\t") for line in (real / "ar2en-eval.txt").read_text().splitlines()[:400]]
    (tmp_path / "names").write_text("".join(f"{name}\n" for name, _ in pairs))
    out = tmp_path / "names.safetensors"
    calibration = ["--calibration", str(tmp_path / "names")]
    assert main([str(real), "-o", str(out), *calibration, "-q"]) == 0
    found = int8ref.load(out).translate([name for name, _ in pairs])
    right = sum(result.text == name for result, (_, name) in zip(found, pairs, strict=True))
    assert abs(right - RIGHT) <= 2
