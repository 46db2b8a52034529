"""Converts text to token ids: trains one joint SentencePiece vocabulary, and stores binary ids.

A prepared folder holds
    tokenizer.model                    SentencePiece; pad 0, unk 1, bos 2, eos 3
    {train,valid,test}.{source,target}.ids.npy      uint16, eos follows every line
    {train,valid,test}.{source,target}.offsets.npy  int64, the start of each line, and the end
    {valid,test}.{source,target}.txt   the text, for scoring
    calibration.txt                    training lines for the calibration of the integer model
    data.json                          the settings of the folder
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import sentencepiece

from training import held_out
from training.config import Data
from training.text_files import Text

PAD, UNK, BOS, EOS = range(4)

CALIBRATION_LINES = 500
LINES_AT_ONCE = 20_000


Corpus = dict[str, Iterable[str]]
"""The lines of each side: "source" and "target"."""


def prepare(data: Data, root: Path, folder: Path) -> None:
    """Fill `folder`, unless `data.json` has the same settings.

    Without `held_out` the text is read in several passes and is never whole in memory.
    """
    settings = json.dumps(dataclasses.asdict(data), indent=1)
    done = folder / "data.json"
    if done.exists() and done.read_text(encoding="utf-8") == settings:
        return
    folder.mkdir(parents=True, exist_ok=True)
    corpora = read_corpora(data, root)
    sides = ("source", "target") if data.train_source else ("target",)
    train = corpora["train"]
    tokenizer = train_tokenizer(
        data, chain.from_iterable(spread(train[side], data.tokenizer_lines) for side in sides)
    )
    (folder / "tokenizer.model").write_bytes(tokenizer)
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer)
    for name, corpus in corpora.items():
        for side in sides:
            write_ids(folder, f"{name}.{side}", processor, corpus[side])
            if name != "train":
                write_lines(folder / f"{name}.{side}.txt", corpus[side])
    write_lines(folder / "calibration.txt", spread(train[sides[0]], CALIBRATION_LINES))
    done.write_text(settings, encoding="utf-8")


def read_corpora(data: Data, root: Path) -> dict[str, Corpus]:
    """Return train, valid and test text."""
    corpora: dict[str, Corpus] = {}
    for name in ("train", "valid", "test"):
        source, target = (
            Text(root, getattr(data, f"{name}_{side}"), data.lowercase)
            for side in ("source", "target")
        )
        if data.train_source:
            lengths = sum(1 for _ in source), sum(1 for _ in target)
            if lengths[0] != lengths[1]:
                raise ValueError(
                    f"{name}: {lengths[0]} source lines, but {lengths[1]} target lines"
                )
        corpora[name] = {"source": source, "target": target}
    if data.held_out:
        valid, test = data.held_out
        pairs = list(zip(corpora["train"]["source"], corpora["train"]["target"], strict=True))
        parts = held_out.split(pairs, valid, test, data.seed)
        for name in corpora:
            chosen = getattr(parts, name)
            corpora[name] = {"source": [s for s, _ in chosen], "target": [t for _, t in chosen]}
    if data.reverse:
        for corpus in corpora.values():
            corpus["source"], corpus["target"] = corpus["target"], corpus["source"]
    return corpora


def train_tokenizer(data: Data, lines: Iterable[str]) -> bytes:
    """Return a serialised SentencePiece model of exactly `data.vocabulary` pieces."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=data.vocabulary,
        model_type=data.tokenizer,
        normalization_rule_name=data.normalization,
        user_defined_symbols=list(data.user_symbols),
        character_coverage=0.9999,
        pad_id=PAD,
        unk_id=UNK,
        # WikiText contains <unk> as an ordinary word.
        unk_piece="<unknown>" if "<unk>" in data.user_symbols else "<unk>",
        bos_id=BOS,
        eos_id=EOS,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def spread(lines: Iterable[str], count: int) -> Iterator[str]:
    """Yield at most `count` evenly spaced lines that are not blank; count = 0 yields all lines."""
    if not count:
        yield from lines
        return
    written = sum(1 for line in lines if line)
    wanted = (i * written // count for i in range(count)) if written > count else range(written)
    places = iter(wanted)
    place = next(places, None)
    for index, line in enumerate(line for line in lines if line):
        if index == place:
            yield line
            place = next(places, None)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_ids(
    folder: Path,
    name: str,
    processor: sentencepiece.SentencePieceProcessor,
    lines: Iterable[str],
) -> None:
    """Store the ids of all lines in sequence, with eos after each line."""
    if processor.get_piece_size() > np.iinfo(np.uint16).max + 1:
        raise ValueError(f"{processor.get_piece_size()} pieces, but an id has 16 bits")
    ids, lengths = [np.empty(0, np.uint16)], [np.empty(0, np.int64)]
    source = iter(lines)
    while chunk := list(islice(source, LINES_AT_ONCE)):
        rows = processor.encode(chunk)
        lengths.append(np.array([len(row) + 1 for row in rows], np.int64))
        ids.append(np.array([token for row in rows for token in (*row, EOS)], np.uint16))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    np.save(folder / f"{name}.ids.npy", np.concatenate(ids))
    np.save(folder / f"{name}.offsets.npy", offsets)
