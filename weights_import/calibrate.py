"""The text that a model is calibrated on, as token ids: sources, and their translations."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

import numpy as np

from int8ref.errors import UserError
from int8ref.program.source_frame import SourceFrame
from int8ref.search.sampling import random_numbers
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy, sample
from weights_import.id_batch import Ids
from weights_import.processor import reader, told
from weights_import.progress import Tell, silent

_log = logging.getLogger("int8ref.weights_import")

DATA = Path(__file__).parent / "data"
SHORT = {"eng": "en", "por": "pt"}
"""Languages of the texts that come with the project, by their longer codes (ISO 639-3)."""
MOST_TOKENS = 8192
"""The most tokens of a calibration text.  From a longer text, sentences are drawn."""
OWN_TEXTS, OWN_TOKENS = 32, 128
"""The number of texts that a language model writes for its calibration, and the most tokens of
each."""


class CalibrationError(UserError, ValueError):
    """There is no text to calibrate on.  The message names the text and a solution."""


@dataclass(frozen=True)
class Calibration:
    """A text to calibrate on.

    sources     in their frame; empty lists for a decoder alone
    targets     without `eos`
    provenance  SHA-256 and size of the text
    """

    sources: list[list[int]]
    targets: list[list[int]]
    provenance: dict[str, str]


def calibration(
    model: FloatModel,
    sentences: Sequence[str] | Sequence[Ids],
    positions: int = 512,
    tell: Tell = silent,
) -> Calibration:
    """Translate the sentences greedily; an encoder alone or a decoder alone takes them as they are.

    Sentences are texts, if the model has a tokenizer, or lists of ids in their frame.  A source is
    cut to `positions` tokens, or to the positions of the model.  A decoder alone reads the
    concatenated sentences in pieces of this length, because then it shows its values at every
    position.  If a text has more than MOST_TOKENS tokens, sentences are drawn by the random numbers
    of `int8ref.search.sampling`.  The digest in `provenance` is the SHA-256 of the lines, each
    closed by a newline: for most texts, of the file itself.  If all translations are empty, the
    sentences are translated again without an end, because empty translations show nothing of the
    decoder.  Raises CalibrationError without a sentence, and CheckpointError for text without a
    tokenizer.
    """
    if not sentences:
        raise CalibrationError("no sentences to calibrate on")
    lines = [s if isinstance(s, str) else " ".join(map(str, s)) for s in sentences]
    digest = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    most = min(positions, model.generation.max_positions or positions)
    drawn = few(tokenize(model, sentences), most)
    if model.encodes:
        sources = [cut(ids, model.generation.frame, most) for ids in drawn]
        targets: list[list[int]] = []
    elif model.translates:
        sources, targets = translated(model, drawn, most, tell)
    else:
        sources, targets = in_pieces(drawn, most)
    provenance = {"calibration_sha256": digest, "calibration_sentences": str(len(sentences))}
    return Calibration(sources, targets, provenance)


def few(sentences: list[list[int]], most: int) -> list[list[int]]:
    """All sentences, or drawn sentences of at most MOST_TOKENS tokens in total.

    At most `most` tokens count of each sentence.
    """
    lengths = np.array([min(len(ids), most) for ids in sentences], np.int64)
    if int(lengths.sum()) <= MOST_TOKENS:
        return sentences
    order = np.argsort(random_numbers(0, range(len(sentences)), 1)[:, 0], kind="stable")
    reached = np.cumsum(lengths[order])
    count = max(1, int(np.searchsorted(reached, MOST_TOKENS, side="right")))
    return [sentences[i] for i in np.sort(order[:count])]


def translated(
    model: FloatModel, sentences: Sequence[Ids], most: int, tell: Tell = silent
) -> tuple[list[list[int]], list[list[int]]]:
    """Sources of at most `most` tokens, and their translations.

    For a model of many languages without a default, the translations are in each language in turn.
    """
    generation = model.generation
    ways = [way for way, _ in zip(cycle(generation.directions), sentences, strict=False)]
    sources = [
        cut(ids, generation.frame, most, way.frame)
        for ids, way in zip(sentences, ways, strict=True)
    ]
    begun = [way.forced for way in ways]
    room = generation.max_positions or None
    targets = [ids[: room and room - 1] for ids in greedy(model, sources, begun=begun, tell=tell)]
    if not any(len(target) > len(first) for target, first in zip(targets, begun, strict=True)):
        _log.warning(
            "every calibration sentence is translated into nothing; calibrating on translations"
            " that do not end before the length of their source"
        )
        targets = greedy(model, sources, max_length_factor=1, ends=False, begun=begun, tell=tell)
        targets = [ids[: room and room - 1] for ids in targets]
    return sources, targets


def in_pieces(sentences: Sequence[Ids], most: int) -> tuple[list[list[int]], list[list[int]]]:
    """Empty sources, and the sentences in pieces of `most` tokens, the start of each counted."""
    text = list(chain.from_iterable(sentences))
    pieces = [text[at : at + most - 1] for at in range(0, len(text), most - 1)]
    return [[] for _ in pieces], pieces


def cut(ids: Ids, frame: SourceFrame, most: int, wanted: SourceFrame | None = None) -> list[int]:
    """A source in the `wanted` frame instead of its own frame, which is the default, without its
    last tokens if it is longer than `most`."""
    own = ids[len(frame.before) : len(ids) - len(frame.after)]
    wanted = wanted or frame
    return wanted.around(own[: most - wanted.size])


def tokenize(model: FloatModel, sentences: Sequence[str] | Sequence[Ids]) -> list[list[int]]:
    """Source ids of each sentence, in their frame, by the model's own tokenizer.

    A decoder alone has no source, so the ids are ids of its target.  Lists of ids stay unchanged.
    Raises CheckpointError if the model has no tokenizer, a damaged tokenizer, or a tokenizer of
    another vocabulary.
    """
    texts = [sentence for sentence in sentences if isinstance(sentence, str)]
    if len(texts) < len(sentences):
        return [list(ids) for ids in sentences if not isinstance(ids, str)]
    generation = model.generation
    side, vocabulary = "source", generation.source_vocabulary
    if not model.translates:
        side, vocabulary = "target", generation.target_vocabulary
    if side not in model.tokenizers:
        raise CheckpointError(f"the model has no {side} tokenizer: pass id lists instead")
    try:
        content = model.tokenizers[side]
        found = told(content)
    except CheckpointError as error:
        raise CheckpointError(f"{side} tokenizer: {error}") from None
    special = generation.eos, generation.unk
    if side == "source" and generation.source_special is not None:
        special = generation.source_special
    expected = (vocabulary, *special)[: len(found)]
    if found != expected:
        raise CheckpointError(
            f"{side} tokenizer: (vocabulary, eos, unk) = {found}, the model has {expected}"
        )
    encode = reader(content).encode
    return [generation.frame.around(encode(text)) for text in texts]


def own_text(model: FloatModel, tell: Tell = silent) -> list[list[int]]:
    """Texts that a decoder alone writes for its calibration, as ids in their frame.

    Raises CheckpointError if all texts are empty.
    """
    texts = sample(model, OWN_TEXTS, OWN_TOKENS, tell=tell)
    if not any(texts):
        raise CheckpointError("the model writes nothing to calibrate on")
    return [model.generation.frame.around(text) for text in texts]


def shipped_text(language: str) -> list[str]:
    """The calibration sentences that come with the project, for example of `en` or `pt`.

    Raises CalibrationError for a language that has none.
    """
    path = DATA / f"calibration.{SHORT.get(language, language)}.txt"
    if not path.is_file():
        known = sorted(file.name.split(".")[1] for file in DATA.glob("calibration.*.txt"))
        raise CalibrationError(
            f"no calibration text of {language!r} comes with int8ref (there is {', '.join(known)}):"
            " name the source's language with --languages, or a text in it with --calibration"
        )
    return path.read_text(encoding="utf-8").splitlines()
