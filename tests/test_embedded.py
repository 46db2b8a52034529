"""The models of the package: complete, small, documented, and equal bits everywhere."""

from __future__ import annotations

import hashlib
import os
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

import int8ref
from int8ref.files import embedded
from int8ref.files.models import load_model
from int8ref.files.wanted import WantedModel
from int8ref.options import Options

ROOT = Path(__file__).parents[1]
MAX_BYTES = 4_000_000
SENTENCES = {
    "en-de-tatoeba": {
        "Good morning, how are you?": "Guten Morgen, wie bist du?",
        "I would like a cup of coffee.": "Ich hätte gern eine Tasse Kaffee.",
        "Tom doesn't know where Mary lives.": "Tom weiß nicht, wo Maria wohnt.",
        "He said that he would come tomorrow.": "Er sagte, er würde morgen kommen.",
    }
}
DIGESTS = {"en-de-tatoeba": "fa0639a52097aac256fbee9c86fa5078c262022c9b281c993b270472b2dfa4c7"}
"""SHA-256 of all results for these sentences.  Any changed bit changes the digest."""
GREEDY_BLEU = {"en-de-tatoeba": "41.94"}
"""BLEU on the test part of the held-out text."""

pytestmark = pytest.mark.parametrize("name", embedded.names())


def test_is_small_and_described(name: str) -> None:
    path, model = load_model(WantedModel(name), pytest.fail)
    assert path == embedded.path(name)
    assert path.stat().st_size <= MAX_BYTES
    card = (ROOT / "docs" / "models" / f"{name}.md").read_text("utf-8")
    assert model.name == name
    for said in (hashlib.sha256(path.read_bytes()).hexdigest(), model.provenance["licence"]):
        assert said in card


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_gives_the_bits_it_gave(name: str, backend: str) -> None:
    """These results are the golden vector of the golden model, on every machine."""
    translator = int8ref.load(name, backend=backend)
    found = translator.translate(list(SENTENCES[name]), Options())
    assert [result.text for result in found] == list(SENTENCES[name].values())
    everything = Options(beam_size=4, n_best=4, scores=True, alignment="soft")
    told = [all_of(result) for result in translator.translate(list(SENTENCES[name]), everything)]
    assert hashlib.sha256(repr(told).encode()).hexdigest() == DIGESTS[name]


def all_of(result: int8ref.Result) -> tuple[Any, ...]:
    """Return the fields of a result, except newer fields: `unknown`, `logits`, `before`, places.

    The digests are older than these fields.
    """
    *head, translations, unknown, _ = astuple(result)
    found = []
    for *first, (points, weights, before), lacking, logits, _, copied in translations:
        assert (unknown, before, lacking, logits, copied) == ((), 0, (), None, ())
        found.append((*first, (points, weights)))
    return (*head, tuple(found))


@pytest.mark.slow
def test_scores_what_its_card_says(name: str) -> None:
    """The test draws the split again from the training text."""
    from training.config import load
    from training.prepare import read_corpora

    shared = os.environ.get("INT8REF_SHARED")
    if shared is None:
        pytest.skip("needs the training text: set INT8REF_SHARED")
    config = load(ROOT / "training" / "configs" / f"{name}.toml", ())
    test = read_corpora(config.data, Path(shared) / "data")["test"]
    found = [result.text for result in int8ref.load(name).stream(test["source"])]
    bleu = f"{sacrebleu.corpus_bleu(found, [test['target']]).score:.2f}"
    assert bleu == GREEDY_BLEU[name]
    assert bleu in (ROOT / "docs" / "models" / f"{name}.md").read_text("utf-8")
