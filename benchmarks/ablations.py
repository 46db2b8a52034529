"""What each choice of the importer costs in quality and speed, beside the float model.

    python -m benchmarks.ablations CHECKPOINT --calibration FILE --source FILE --target FILE

The importer lowers one checkpoint once for each choice.  All other choices keep their defaults.
BLEU and chrF (sacrebleu) score greedy translations.  One changed rounding changes BLEU and chrF
more than most choices do.  Therefore the table also reports the loss: nats for each token of the
reference translations, integer minus float, with the standard error over sentences.  It also
reports the share of lines whose translation equals the float translation.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sacrebleu
from numpy.typing import NDArray

from int8ref.engines.backends import load_engine
from int8ref.program.sizes import max_target_length
from int8ref.program.validate import validate
from int8ref.search.request import Path as Given
from int8ref.search.request import Request
from int8ref.spec.arithmetic import LOG_BITS
from int8ref.text.tokenizers import TextTokenizer, build_tokenizer
from weights_import import sources
from weights_import.__main__ import tokenizers
from weights_import.arithmetic.distribution import log_probabilities
from weights_import.calibrate import Calibration, calibration, tokenize
from weights_import.float_model import FloatModel
from weights_import.float_search import batches, greedy
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

CHOICES = {
    "integer": LoweringOptions(),
    "weights of all 8 bits": LoweringOptions(weights="full"),
    "one scale a tensor": LoweringOptions(scales="tensor"),
    "residual of 8 bits": LoweringOptions(residual=8),
    "shift only": LoweringOptions(requantize="shift"),
    "static re-scaling": LoweringOptions(rescaling="static"),
    "dynamic re-scaling": LoweringOptions(rescaling="dynamic"),
    "one scale, 8 bits, shift": LoweringOptions(scales="tensor", residual=8, requantize="shift"),
}
BATCH = 32


@dataclass(frozen=True)
class Corpus:
    """A test set: token ids for the models, and texts for the scores."""

    sources: list[list[int]]
    targets: list[list[int]]
    references: list[str]
    tokenizer: TextTokenizer


@dataclass(frozen=True)
class Found:
    """Translations, and the negative log-probability of every reference in nats."""

    translations: list[str]
    nats: NDArray[np.float64]
    seconds: float


def in_float(model: FloatModel, corpus: Corpus) -> Found:
    """Translate and score a corpus with the float32 forward pass of the importer."""
    start = time.process_time()
    ids = greedy(model, corpus.sources)
    seconds = time.process_time() - start
    nats = np.zeros(len(ids))
    for batch in batches([len(source) for source in corpus.sources], BATCH):
        targets = [corpus.targets[i] for i in batch]
        for i, logits in zip(
            batch, forced(model, [corpus.sources[i] for i in batch], targets), strict=True
        ):
            wanted = [*corpus.targets[i], model.generation.eos]
            nats[i] = -log_probabilities(logits)[np.arange(len(wanted)), wanted].sum()
    return Found([corpus.tokenizer.decode(row) for row in ids], nats, seconds)


def in_integers(
    model: FloatModel, text: Calibration, options: LoweringOptions, corpus: Corpus
) -> Found:
    """Translate and score a corpus with the compiled engine."""
    program, tensors = lower(model, text.sources, text.targets, options)
    validate(program, tensors)
    engine = load_engine(program, tensors)
    engine.greedy([Request(corpus.sources[0], 2)])  # packs the weights before the measurement
    ids: list[list[int]] = [[] for _ in corpus.sources]
    nats, seconds = np.zeros(len(ids)), 0.0
    for batch in batches([len(source) for source in corpus.sources], BATCH):
        some = [corpus.sources[i] for i in batch]
        limits = [max_target_length(program, tensors, len(source)) for source in some]
        start = time.process_time()
        found = engine.greedy(list(map(Request, some, limits)))
        seconds += time.process_time() - start
        targets = [[*corpus.targets[i], program.eos] for i in batch]
        paths = [
            Given(source, program.start, target)
            for source, target in zip(some, targets, strict=True)
        ]
        for i, row, gains in zip(batch, found, engine.log_probabilities(paths), strict=True):
            ids[i] = row
            nats[i] = -sum(gains) * 2.0**-LOG_BITS * np.log(2)
    return Found([corpus.tokenizer.decode(row) for row in ids], nats, seconds)


def row(name: str, found: Found, exact: Found, corpus: Corpus) -> str:
    """Return a line of the table."""
    references = [corpus.references]
    bleu = sacrebleu.corpus_bleu(found.translations, references).score
    chrf = sacrebleu.corpus_chrf(found.translations, references).score
    tokens = sum(len(target) + 1 for target in corpus.targets)
    loss = found.nats - exact.nats
    error = loss.std(ddof=1) * np.sqrt(len(loss)) / tokens
    same = sum(a == b for a, b in zip(found.translations, exact.translations, strict=True))
    cells = [name, f"{bleu:.2f} / {chrf:.2f}", f"{loss.sum() / tokens:+.4f} ± {error:.4f}"]
    cells += [f"{100 * same / len(loss):.1f} %", f"{found.seconds:.1f}"]
    return f"| {' | '.join(cells)} |"


def read(model: FloatModel, source: Path, target: Path) -> Corpus:
    """Read a corpus.  Raises ValueError if the files have different numbers of lines."""
    lines, references = (path.read_text("utf-8").splitlines() for path in (source, target))
    if len(lines) != len(references):
        raise ValueError(f"{len(lines)} source lines, but {len(references)} target lines")
    size = model.generation.target_vocabulary
    tokenizer = build_tokenizer(tokenizers(model)[1], size)
    targets = [tokenizer.encode(line) for line in references]
    return Corpus(tokenize(model, lines), targets, references, tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    for name in ("calibration", "source", "target"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="UTF-8 text")
    arguments = parser.parse_args()
    model = sources.read(arguments.checkpoint)
    corpus = read(model, arguments.source, arguments.target)
    text = calibration(model, arguments.calibration.read_text("utf-8").splitlines())
    print("| | BLEU / chrF | nats a token, minus float | lines as in float | seconds |")
    print("|---|---|---|---|---|")
    exact = in_float(model, corpus)
    print(row("float32", exact, exact, corpus), flush=True)
    for name, options in CHOICES.items():
        print(row(name, in_integers(model, text, options, corpus), exact, corpus), flush=True)


if __name__ == "__main__":
    main()
