"""Splits off a test set that shares no line with the training text in either language."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True)
class Split:
    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]


def line_key(line: str) -> str:
    """Return the letters and digits of a line, case-folded.  Lines of one key count as equal."""
    return "".join(c for c in line.casefold() if c.isalnum())


def components(keys: list[tuple[str, str]]) -> list[int]:
    """Return the component of each pair, by union-find over the lines.

    Pairs that share a line, in either language, are in one component.
    """
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        root = key
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[key] != root:
            parent[key], key = root, parent[key]
        return root

    for source, target in keys:
        parent[find(source)] = find(target)
    numbers: dict[str, int] = {}
    return [numbers.setdefault(find(source), len(numbers)) for source, _ in keys]


def split(pairs: list[Pair], valid: int, test: int, seed: int) -> Split:
    """Split parallel text into train, valid and test.

    A component is a set of pairs that equal lines connect.  The function holds out whole
    components.  It draws them by a hash of the seed and their lines.  A component gives one pair,
    so that no held-out source repeats.  Only components of at most three pairs are drawn, so that
    the training text loses few pairs.  Duplicates and pairs with an empty side are removed from the
    training text.
    """
    unique = [p for p in dict.fromkeys(pairs) if line_key(p[0]) and line_key(p[1])]
    keys = [(line_key(s), line_key(t)) for s, t in unique]
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(components(keys)):
        members[number].append(index)
    small = [group for group in members.values() if len(group) <= 3]
    if len(small) < valid + test:
        raise ValueError(
            f"{valid + test} held-out pairs asked for, only {len(small)} are separable"
        )

    def rank(group: list[int]) -> bytes:
        return hashlib.sha256(f"{seed}\t{keys[group[0]]}".encode()).digest()

    drawn = sorted(small, key=rank)[: valid + test]
    gone = {index for group in drawn for index in group}
    firsts = [unique[group[0]] for group in drawn]
    train = [pair for index, pair in enumerate(unique) if index not in gone]
    return Split(train, firsts[:valid], firsts[valid:])
