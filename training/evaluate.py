"""Computes scores: BLEU and chrF of translations, and perplexity of a language model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import sacrebleu
import sentencepiece
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from training.batches import Lines
from training.model.loss import CHUNK
from training.model.transformer import Transformer
from training.prepare import EOS
from training.search import translate

METRICS = {
    "bleu": sacrebleu.BLEU(),
    "bleu_lower": sacrebleu.BLEU(lowercase=True),
    "chrf": sacrebleu.CHRF(),
}


def translation(
    model: Transformer, folder: Path, split: str, count: int | None = None, beam: int = 1
) -> dict[str, float]:
    """Return the scores of the first `count` lines of a split, translated in float."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    source, target = (text(folder, split, side)[:count] for side in ("source", "target"))
    found = translate(model, tokenizer, [[*ids, EOS] for ids in tokenizer.encode(source)], beam)
    return of_translations(found, target)


def text(folder: Path, split: str, side: str) -> list[str]:
    """Return the lines of one side of a split, as `prepare` wrote them."""
    return (folder / f"{split}.{side}.txt").read_text(encoding="utf-8").split("\n")[:-1]


def of_translations(found: list[str], target: list[str]) -> dict[str, float]:
    """Return sacrebleu's scores of translations.

    bleu        cased and detokenised, sacrebleu's default
    bleu_lower  lower-cased, comparable to tokenised lower-cased BLEU
    chrf        chrF2
    """
    return {name: metric.corpus_score(found, [target]).score for name, metric in METRICS.items()}


@torch.inference_mode()
def language_model(
    model: Transformer, folder: Path, split: str, length: int, count: int | None = None
) -> dict[str, float]:
    """Return the perplexity of the first `count` lines of a split, per word and per piece.

    The text is the lines, joined by eos.  The model reads it in windows of `length` ids that
    overlap by half.  The first window scores all of its ids, and each later window scores its
    second half.  Therefore an id has length / 2 ids of context.  A word is a white-space token, and
    the end of a line counts as one word, as usual for WikiText.
    """
    training, _ = model.training, model.eval()
    lines = text(folder, split, "target")[:count]
    offsets = Lines(folder, f"{split}.target").offsets
    ids = np.load(folder / f"{split}.target.ids.npy")[: offsets[len(lines)]].astype(np.int64)
    stream = torch.from_numpy(np.concatenate([[EOS], ids])).to(model.embedding.weight.device)
    words = sum(len(line.split()) + 1 for line in lines)
    half, total = length // 2, 0.0

    def score(first: int, windows: Tensor) -> float:
        """Return the sum of -log p of the labels of windows [B, T + 1].

        The first `first` labels of each window do not count.
        """
        states = model(None, windows[:, :-1])[:, first:].flatten(0, 1)
        labels = windows[:, first + 1 :].flatten()
        found = 0.0
        for start in range(0, len(labels), CHUNK):
            logits = states[start : start + CHUNK] @ model.embedding.weight.T
            found += float(cross_entropy(logits, labels[start : start + CHUNK], reduction="sum"))
        return found

    windows = stream.unfold(0, length + 1, half) if len(ids) >= length else stream[None]
    total += score(0, windows[:1])
    for place in range(1, len(windows), 16):
        total += score(half, windows[place : place + 16])
    if rest := (len(ids) - length) % half if len(ids) > length else 0:
        total += score(half, stream[None, -(rest + half + 1) :])
    model.train(training)
    return {
        "word_perplexity": math.exp(total / words),
        "piece_perplexity": math.exp(total / len(ids)),
    }
