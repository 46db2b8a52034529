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
from pathlib import Path

import numpy as np
import sentencepiece

from training import held_out
from training.config import Data
from training.text_files import read_lines

PAD, UNK, BOS, EOS = range(4)

CALIBRATION_LINES = 500


def prepare(data: Data, root: Path, folder: Path) -> None:
    """Fill `folder`, unless `data.json` has the same settings."""
    settings = json.dumps(dataclasses.asdict(data), indent=1)
    done = folder / "data.json"
    if done.exists() and done.read_text(encoding="utf-8") == settings:
        return
    folder.mkdir(parents=True, exist_ok=True)
    corpora = read_corpora(data, root)
    sides = ("source", "target") if data.train_source else ("target",)
    tokenizer = train_tokenizer(data, [line for side in sides for line in corpora["train"][side]])
    (folder / "tokenizer.model").write_bytes(tokenizer)
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer)
    for name, corpus in corpora.items():
        for side in sides:
            write_ids(folder, f"{name}.{side}", processor.encode(corpus[side]))
            if name != "train":
                write_lines(folder / f"{name}.{side}.txt", corpus[side])
    write_lines(folder / "calibration.txt", spread(corpora["train"][sides[0]], CALIBRATION_LINES))
    done.write_text(settings, encoding="utf-8")


def read_corpora(data: Data, root: Path) -> dict[str, dict[str, list[str]]]:
    """Return train, valid and test text, each as {"source": lines, "target": lines}."""
    corpora = {}
    for name in ("train", "valid", "test"):
        files = getattr(data, f"{name}_source"), getattr(data, f"{name}_target")
        source, target = (read_lines(root, names, data.lowercase) for names in files)
        if data.train_source and len(source) != len(target):
            raise ValueError(f"{name}: {len(source)} source lines, but {len(target)} target lines")
        corpora[name] = {"source": source, "target": target}
    if data.held_out:
        valid, test = data.held_out
        train = corpora["train"]
        pairs = list(zip(train["source"], train["target"], strict=True))
        parts = held_out.split(pairs, valid, test, data.seed)
        for name in corpora:
            chosen = getattr(parts, name)
            corpora[name] = {"source": [s for s, _ in chosen], "target": [t for _, t in chosen]}
    if data.reverse:
        for corpus in corpora.values():
            corpus["source"], corpus["target"] = corpus["target"], corpus["source"]
    return corpora


def train_tokenizer(data: Data, lines: list[str]) -> bytes:
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


def spread(lines: list[str], count: int) -> list[str]:
    """Return at most `count` evenly spaced lines that are not blank."""
    written = [line for line in lines if line]
    count = min(count, len(written))
    return [written[i * len(written) // count] for i in range(count)]


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_ids(folder: Path, name: str, rows: list[list[int]]) -> None:
    """Store all lines in sequence, with eos after each line."""
    lengths = np.array([len(row) + 1 for row in rows], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = [token for row in rows for token in (*row, EOS)]
    if flat and max(flat) > np.iinfo(np.uint16).max:
        raise ValueError(f"{name}: a token id exceeds 16 bits")
    np.save(folder / f"{name}.ids.npy", np.array(flat, np.uint16))
    np.save(folder / f"{name}.offsets.npy", offsets)
