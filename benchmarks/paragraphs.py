"""Compares translations of paragraphs with translations of their sentences, by BLEU.

A paragraph is five sentences in one line.  `int8ref.documents` splits it into sentences again:

    python -m benchmarks.paragraphs -m en-pt SOURCES REFERENCES
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import sacrebleu

import int8ref
from int8ref.documents import translate_text

SIZE = 5


def joined(lines: Sequence[str]) -> list[str]:
    """Return the paragraphs of lines."""
    return [" ".join(lines[place : place + SIZE]) for place in range(0, len(lines), SIZE)]


def main() -> None:
    """Print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="en-pt")
    parser.add_argument("sources", type=Path)
    parser.add_argument("references", type=Path)
    given = parser.parse_args()
    sources = given.sources.read_text("utf-8").splitlines()
    references = joined(given.references.read_text("utf-8").splitlines())
    translator = int8ref.load(given.model)
    assert isinstance(translator, int8ref.Translator)
    sentences = [result.text for result in translator.translate(sources)]
    options = int8ref.Options(copy_unknown=True)
    copied = [result.text for result in translator.translate(sources, options)]
    ways = {
        "by line, cut": [result.text for result in translator.translate(joined(sources))],
        "by sentence": joined(sentences),
        "by sentence, --copy-unknown": joined(copied),
        "by paragraph": [
            translate_text(translator, text, int8ref.Options()) for text in joined(sources)
        ],
        "by paragraph, --copy-unknown": [
            translate_text(translator, text) for text in joined(sources)
        ],
    }
    for name, texts in ways.items():
        score = sacrebleu.corpus_bleu(texts, [references]).score
        equal = sum(a == b for a, b in zip(texts, ways["by sentence"], strict=True))
        print(f"{name:30} BLEU {score:.2f}, {equal} of {len(texts)} equal to by sentence")


if __name__ == "__main__":
    main()
