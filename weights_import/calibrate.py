"""Activation ranges of a FloatModel, measured on real sentences.

Every observed tensor keeps its exact maximum per feature and a uniform random sample of its rows;
any threshold (per tensor, per head, per channel) is computed from these afterwards.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from int8ref.errors import UserError
from int8ref.program.program import SourceFrame
from weights_import.float_forward import teach
from weights_import.float_model import CheckpointError, Float32, FloatModel
from weights_import.float_search import batches, greedy, sample
from weights_import.id_batch import Ids
from weights_import.processor import processor

_log = logging.getLogger("int8ref.weights_import")

DATA = Path(__file__).parent / "data"
LARGEST = 127
BATCH = 16  # Teacher-forced logits of 16 sentences: 16 * length * vocabulary * 4 bytes.
SAMPLE_VALUES = 1 << 23  # Of one tensor; wide ones, such as logits, keep fewer rows.
BINS = 8192
CANDIDATES = 2.0 ** -(np.arange(193) / 32)  # Thresholds tried, as a share of the maximum.
COARSE = 8
TINY, RAISED = 2.0**-100, 64
"""Values below are counted as if they were larger by so many bits."""
OWN_TEXTS, OWN_TOKENS = 100, 256
"""Texts that a language model writes to be calibrated on, and the most tokens of each."""


class CalibrationError(UserError, ValueError):
    """There is no text to calibrate on: the message says which, and what helps."""


@dataclass
class Ranges:
    """What the activations of a model were on the calibration text.

    maxima      name -> largest |x| of each feature, over all rows
    samples     name -> [rows, features], a uniform sample of the rows
    provenance  sha256 and size of the calibration text
    """

    maxima: dict[str, Float32] = field(default_factory=dict)
    samples: dict[str, Float32] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def maximum(self, name: str) -> float:
        """The largest |x| of a tensor; KeyError if it was never observed."""
        return float(self.maxima[name].max())

    def replace(self, name: str, sample: Float32) -> None:
        """Put other rows in place of a tensor's sample; its maxima become theirs."""
        self.samples[name] = sample
        self.maxima[name] = np.abs(sample).max(axis=0, initial=0)

    def clip(self, name: str, method: str = "mse", groups: int = 1) -> NDArray[np.float64]:
        """The threshold T of symmetric int8 quantisation (step T / 127), one a group: [groups].

        Features are grouped in blocks of equal size: groups = 1 is per tensor, groups = heads per
        head, groups = features per channel.  Methods:

        max             the largest |x|, over all rows
        mse             minimises the mean of (x - step * clamp(round(x / step), -127, 127))^2,
                        rounding and clipping error together, over the sample
        percentile:P    the P-th percentile of |x| over the sample, for example percentile:99.99

        A group that is zero throughout gets T = 0.  Raises ValueError on another method or on
        groups that do not divide the features, KeyError on a name that was never observed.
        """
        maxima, sample = self.maxima[name], self.samples[name]
        if groups < 1 or maxima.size % groups:
            raise ValueError(f"{name}: {groups} groups do not divide {maxima.size} features")
        if method == "max":
            largest: Float32 = maxima.reshape(groups, -1).max(axis=1)
            return largest.astype(np.float64)
        blocks = [np.abs(block) for block in np.split(sample, groups, axis=1)]
        if method == "mse":
            return np.array([mse_threshold(block) for block in blocks])
        kind, _, share = method.partition(":")
        if kind == "percentile":
            return np.array([np.percentile(block, float(share)) for block in blocks])
        raise ValueError(f"unknown method {method!r} (known: max, mse, percentile:P)")


class Collector:
    """Collects Ranges; call it with a name and rows [rows, features] as often as rows appear.

    All names draw the same keys, so the samples of tensors with equally many rows belong to the
    same tokens.
    """

    def __init__(self, rows: int = 4096, seed: int = 0) -> None:
        self.rows = rows
        self._seed = seed
        self._maxima: dict[str, Float32] = {}
        self._samples: dict[str, _Sample] = {}

    def __call__(self, name: str, x: Float32) -> None:
        if name not in self._samples:
            width = x.shape[1]
            limit = max(1, min(self.rows, SAMPLE_VALUES // width))
            self._maxima[name] = np.zeros(width, np.float32)
            self._samples[name] = _Sample(limit, width, self._seed)
        largest = self._maxima[name]
        np.maximum(largest, np.maximum(x.max(axis=0), -x.min(axis=0)), out=largest)
        self._samples[name].add(x)

    def finish(self) -> Ranges:
        """What has been collected; nothing can be added to it."""
        samples = {name: self._samples.pop(name).finish() for name in list(self._samples)}
        return Ranges(self._maxima, samples)


class _Sample:
    """A uniform sample of at most `limit` of all rows that were added.

    Each row gets a random key, and the rows with the smallest keys stay, whatever the batches that
    they came in.  Memory is taken once: a row that enters takes the place of one that leaves.
    """

    def __init__(self, limit: int, width: int, seed: int) -> None:
        self._rows = np.empty((limit, width), np.float32)
        self._keys = np.full(limit, np.inf)  # of an empty place: larger than any
        self._ages = np.zeros(limit, np.int64)
        self._added = 0
        self._random = np.random.default_rng(seed)

    def add(self, x: Float32) -> None:
        keys = self._random.random(len(x))
        entering = np.flatnonzero(keys < self._keys.max())
        order = np.argsort(np.concatenate([self._keys, keys[entering]]), kind="stable")
        limit = len(self._keys)
        leaving, staying = order[limit:], order[:limit]
        places = leaving[leaving < limit]
        entering = entering[np.sort(staying[staying >= limit]) - limit]
        self._rows[places] = x[entering]
        self._keys[places] = keys[entering]
        self._ages[places] = self._added + entering
        self._added += len(x)

    def finish(self) -> Float32:
        """The rows, in the order in which they came."""
        filled = np.flatnonzero(self._keys < np.inf)
        return self._rows[filled[np.argsort(self._ages[filled])]]


def mse_threshold(magnitudes: Float32) -> float:
    """The T among CANDIDATES * max|x| of the least mean squared int8 quantisation error.

    Every eighth candidate is tried first, then those around the best of these.
    Values are first counted in BINS equal bins, and each bin stands for its mean.
    """
    magnitudes = magnitudes.ravel()
    largest = float(magnitudes.max(initial=0))
    if largest == 0:
        return 0.0
    if largest < TINY:  # whose inverse is not a float32
        return mse_threshold(np.ldexp(magnitudes, RAISED)) * 2.0**-RAISED
    bins = (magnitudes * ((BINS - 1) / largest)).astype(np.intp)
    counts = np.bincount(bins)
    filled = np.flatnonzero(counts)
    counts = counts[filled]
    means = np.bincount(bins, weights=magnitudes)[filled] / counts
    near = COARSE * _best(means, counts, largest * CANDIDATES[::COARSE])
    shares = CANDIDATES[max(0, near - COARSE + 1) : near + COARSE]
    return float(largest * shares[_best(means, counts, largest * shares)])


def _best(
    magnitudes: NDArray[np.float64], counts: NDArray[np.intp], tried: NDArray[np.float64]
) -> int:
    """Index of the threshold of the least error."""
    return int(np.argmin([_error(magnitudes, counts, threshold) for threshold in tried]))


def _error(magnitudes: NDArray[np.float64], counts: NDArray[np.intp], threshold: float) -> float:
    """Summed squared error of quantising to steps of threshold / 127, saturating at 127."""
    step = threshold / LARGEST
    quantised = np.minimum(np.rint(magnitudes / step), LARGEST)
    return float(counts @ np.square(magnitudes - step * quantised))


def calibrate(
    model: FloatModel,
    sentences: Sequence[str] | Sequence[Ids],
    rows: int = 4096,
    seed: int = 0,
    positions: int = 512,
) -> Ranges:
    """Translates the sentences greedily, then observes a teacher-forced pass over the result.

    Sentences are text, if the model has a tokenizer, or id lists in their frame; they are cut
    to `positions` tokens, or as many as the model has positions for.  A decoder alone is observed
    on the sentences themselves, one after another in pieces of so many tokens: at every position.
    The digest in `provenance` is that of the lines, each closed by a newline (the file itself).
    Where all translations are empty, which would show nothing of the decoder, they may not end.
    Raises CalibrationError for no sentences, and CheckpointError where text finds no tokenizer.
    """
    if not sentences:
        raise CalibrationError("no sentences to calibrate on")
    lines = [s if isinstance(s, str) else " ".join(map(str, s)) for s in sentences]
    texts = isinstance(sentences[0], str)
    whole = tokenize(model, lines) if texts else cast(Sequence[Ids], sentences)
    most = min(positions, model.architecture.max_positions or positions)
    follow = translated if model.architecture.encoder_layers else in_pieces
    sources, targets = follow(model, whole, most)
    collector = Collector(rows, seed)
    for batch in batches([len(ids) for ids in sources], BATCH):
        teach(model, [sources[i] for i in batch], [targets[i] for i in batch], collector)
    ranges = collector.finish()
    digest = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    ranges.provenance = {
        "calibration_sha256": digest,
        "calibration_sentences": str(len(sentences)),
    }
    return ranges


def translated(
    model: FloatModel, sentences: Sequence[Ids], most: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Sources of at most so many tokens, and their translations."""
    sources = [cut(ids, model.architecture.frame, most) for ids in sentences]
    room = model.architecture.max_positions or None
    targets = [ids[: room and room - 1] for ids in greedy(model, sources)]
    if not any(targets):
        _log.warning(
            "every calibration sentence is translated into nothing; calibrating on translations"
            " that do not end before the length of their source"
        )
        targets = greedy(model, sources, max_length_factor=1, ends=False)
        targets = [ids[: room and room - 1] for ids in targets]
    return sources, targets


def in_pieces(
    model: FloatModel, sentences: Sequence[Ids], most: int
) -> tuple[list[list[int]], list[list[int]]]:
    """No sources, and the sentences in pieces of so many tokens, the start before each counted."""
    text = list(chain.from_iterable(sentences))
    pieces = [text[at : at + most - 1] for at in range(0, len(text), most - 1)]
    return [[] for _ in pieces], pieces


def cut(ids: Ids, frame: SourceFrame, most: int) -> list[int]:
    """A source in its frame, without its last tokens where it is longer than `most`."""
    own = ids[len(frame.before) : len(ids) - len(frame.after)]
    return frame.around(own[: most - frame.size])


def tokenize(model: FloatModel, sentences: Sequence[str]) -> list[list[int]]:
    """Source ids of each sentence, in their frame, by the model's own SentencePiece tokenizer.

    A decoder alone has no source: they are ids of its target then.

    Raises CheckpointError if the model has none, a damaged one, or one that does not fit its
    vocabulary.
    """
    architecture = model.architecture
    side, vocabulary = "source", architecture.source_vocabulary
    if not architecture.encoder_layers:
        side, vocabulary = "target", architecture.target_vocabulary
    if side not in model.tokenizers:
        raise CheckpointError(f"the model has no {side} tokenizer: pass id lists instead")
    try:
        reader = processor(model.tokenizers[side])
    except CheckpointError as error:
        raise CheckpointError(f"{side} tokenizer: {error}") from None
    found = (reader.vocab_size(), reader.eos_id(), reader.unk_id())
    special = architecture.eos, architecture.unk
    if side == "source" and architecture.source_special is not None:
        special = architecture.source_special
    expected = (vocabulary, *special)
    if found != expected:
        raise CheckpointError(
            f"{side} tokenizer: (vocabulary, eos, unk) = {found}, the model has {expected}"
        )
    return [architecture.frame.around(ids) for ids in reader.encode(list(sentences))]


def own_text(model: FloatModel) -> list[list[int]]:
    """What a decoder alone is calibrated on where there is no other text: texts that it writes, as
    ids in their frame.  Raises CheckpointError where they are all empty."""
    texts = sample(model, OWN_TEXTS, OWN_TOKENS)
    if not any(texts):
        raise CheckpointError("the model writes nothing to calibrate on")
    return [model.architecture.frame.around(text) for text in texts]


def shipped_text(language: str) -> list[str]:
    """The calibration sentences that come with the project, for example of `en` or `pt`.

    Raises CalibrationError for a language that has none.
    """
    path = DATA / f"calibration.{language}.txt"
    if not path.is_file():
        known = sorted(file.name.split(".")[1] for file in DATA.glob("calibration.*.txt"))
        raise CalibrationError(
            f"no calibration text of {language!r} comes with int8ref (there is {', '.join(known)}):"
            " name the source's language with --languages, or a text in it with --calibration"
        )
    return path.read_text(encoding="utf-8").splitlines()
