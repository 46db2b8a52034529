from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from toy import toy_config  # noqa: E402

from training.model.transformer import Transformer  # noqa: E402
from training.prepare import BOS, EOS, PAD  # noqa: E402
from training.search import beam_search  # noqa: E402

SOURCES = [[5, 6, 7, EOS], [8, EOS], [9, 10, 11, 12, 13, EOS]]


def model(seed: int) -> Transformer:
    torch.manual_seed(seed)
    made = Transformer(toy_config().model, 12).eval()
    # Large enough to make the past matter.  Otherwise tied embeddings repeat the last token.
    for layer in made.decoder.layers:
        layer.self_attention.output.weight.data *= 20
    return made


def padded(sources: list[list[int]]) -> torch.Tensor:
    rows = [torch.tensor(s) for s in sources]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD) % 12


@torch.inference_mode()
def log_p(network: Transformer, source: torch.Tensor, ids: list[int]) -> torch.Tensor:
    """Return [len(ids) + 1, V] log-probabilities after bos and after each id, by a full pass."""
    states = network(source, torch.tensor([[BOS, *ids]]))[0]
    found = torch.log_softmax(states @ network.embedding.weight.t(), -1)
    found[:, [PAD, BOS]] = -torch.inf
    return found


@pytest.mark.parametrize("seed", range(3))
def test_beam_of_one_is_greedy(seed: int) -> None:
    network, source = model(seed), padded(SOURCES)
    limit = 2 * source.shape[1] + 10
    for row, found in enumerate(beam_search(network, source, 1)):
        ids: list[int] = []
        while len(ids) < limit - 1:
            token = int(log_p(network, source[row : row + 1], ids)[-1].argmax())
            if token == EOS:
                break
            ids.append(token)
        assert found == ids


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_does_not_depend_on_the_batch(seed: int) -> None:
    """The sentences have one length, because padding would raise the limit of shorter sentences."""
    network, sources = model(seed), [[a, b, c, EOS] for a in (5, 9) for b in (6, 8) for c in (7, 4)]
    together = beam_search(network, padded(sources), 4)
    assert together == [beam_search(network, padded([s]), 4)[0] for s in sources]


def plain_beam(network: Transformer, source: torch.Tensor, beam: int) -> list[int]:
    """Run a beam search over lists, without a cache."""
    limit = 2 * source.shape[1] + 10
    alive, ended = [(0.0, [])], []
    for length in range(1, limit + 1):
        grown = []
        for score, ids in alive:
            row = log_p(network, source, ids)[-1].tolist()
            grown += [(score + row[t], [*ids, t]) for t in range(12) if t not in (PAD, BOS)]
        if length == limit:
            grown = [g for g in grown if g[1][-1] == EOS]
        grown = sorted(grown, key=lambda g: -g[0])[: 2 * beam]
        ended += [(score / length, ids[:-1]) for score, ids in grown[:beam] if ids[-1] == EOS]
        if len(ended) >= beam:
            break
        alive = [g for g in grown if g[1][-1] != EOS][:beam]
    return max(ended[:beam], key=lambda e: e[0])[1]


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_is_the_plain_beam(seed: int) -> None:
    network, source = model(seed), padded(SOURCES[:1])
    assert beam_search(network, source, 3)[0] == plain_beam(network, source, 3)


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_short_hypothesis(seed: int) -> None:
    network, source = model(seed), padded(SOURCES[:1])

    def score(ids: list[int]) -> float:
        rows = log_p(network, source, ids)
        return float(sum(rows[i, t] for i, t in enumerate([*ids, EOS]))) / (len(ids) + 1)

    tokens = [t for t in range(12) if t not in (PAD, BOS, EOS)]
    short = [[], *([t] for t in tokens), *([t, u] for t in tokens for u in tokens)]
    assert score(beam_search(network, source, 200)[0]) >= max(map(score, short)) - 1e-4
