"""Greedy search and beam search with a key/value cache, in float."""

from __future__ import annotations

import sentencepiece
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from training.model.transformer import KeysValues, Transformer
from training.prepare import BOS, EOS, PAD


def reorder(states: list[KeysValues], rows: Tensor) -> list[KeysValues]:
    return [(keys[rows], values[rows]) for keys, values in states]


@torch.inference_mode()
def beam_search(
    model: Transformer, source: Tensor, beam: int, penalty: float = 1.0
) -> list[list[int]]:
    """Return the best target ids, without bos and eos, for each row of source [B, S].

    The score of a hypothesis of n tokens with eos is sum log p / n^penalty.  The search of a
    sentence ends when `beam` hypotheses have ended in eos, or at 2 S + 10 tokens. beam = 1 is
    greedy search.
    """
    batch, limit = len(source), min(2 * source.shape[1] + 10, model.config.max_positions - 1)
    memory, keep = model.encode(source)
    each = torch.arange(batch).repeat_interleave(beam)
    memory, keep = reorder(memory, each), keep[each]
    scores = torch.full((batch, beam), -torch.inf)
    scores[:, 0] = 0.0
    tokens = torch.full((batch * beam, 1), BOS)
    past: list[KeysValues] | None = None
    best_score = torch.full((batch,), -torch.inf)
    best: list[list[int]] = [[] for _ in range(batch)]
    ended = torch.zeros(batch, dtype=torch.long)
    for length in range(1, limit + 1):
        states, past = model.decode(tokens[:, -1:], memory, keep, past)
        log_p = torch.log_softmax(states[:, -1] @ model.embedding.weight.t(), -1)
        log_p[:, [PAD, BOS]] = -torch.inf
        if length == limit:
            log_p[:, :EOS] = log_p[:, EOS + 1 :] = -torch.inf
        total = scores[:, :, None] + log_p.view(batch, beam, -1)
        vocabulary = total.shape[-1]
        top, place = total.flatten(1).topk(2 * beam)
        token, parent = place % vocabulary, place // vocabulary
        over = (token == EOS) & torch.isfinite(top)
        for row, column in over[:, :beam].nonzero().tolist():
            score = top[row, column] / length**penalty
            if ended[row] < beam and score > best_score[row]:
                best_score[row] = score
                best[row] = tokens[row * beam + parent[row, column], 1:].tolist()
            ended[row] += 1
        if bool((ended >= beam).all()):
            break
        alive = over.to(torch.long).argsort(dim=1, stable=True)[:, :beam]
        scores = top.gather(1, alive).masked_fill(over.gather(1, alive), -torch.inf)
        rows = (parent.gather(1, alive) + torch.arange(batch)[:, None] * beam).flatten()
        tokens = torch.cat((tokens[rows], token.gather(1, alive).flatten()[:, None]), 1)
        past = reorder(past, rows)
    return best


def translate(
    model: Transformer,
    tokenizer: sentencepiece.SentencePieceProcessor,
    sources: list[list[int]],
    beam: int = 1,
    batch: int = 64,
) -> list[str]:
    """Return the translations of the sources (ids, each with eos) in order.

    Sentences of similar length are searched together, `batch` at a time.
    """
    training, _ = model.training, model.eval()
    order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
    out = [""] * len(order)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        chosen = [torch.tensor(sources[row]) for row in rows]
        padded = pad_sequence(chosen, batch_first=True, padding_value=PAD)
        for row, ids in zip(rows, beam_search(model, padded, beam), strict=True):
            out[row] = tokenizer.decode(ids)
    model.train(training)
    return out
