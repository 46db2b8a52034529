"""Converts the files that WMT and the authors of WikiText distribute to aligned text:

python -m training.corpora training/texts/NAME.toml --downloads FOLDER --out FOLDER

--downloads is the folder with the archives as they were downloaded, or with their extracted files.
The command writes {train,valid,test}.LANGUAGE.gz to OUT/NAME, and prepared.json with the number of
lines of each corpus and of the removed pairs.

The file of a corpus has `languages`, and a list of [[train]], [[valid]] and [[test]] parts.  A part
names a file for each language (several names: the first that exists), or one `tsv` file with the
`columns` of the languages.  The lines of an .sgm file are its segments.  All other files have plain
lines.  Only training pairs are filtered, by `max_words` and `max_ratio`.
"""

from __future__ import annotations

import argparse
import gzip
import html
import itertools
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from training.archives import Downloads, Place

SEGMENT = re.compile(r"<seg[^>]*>(.*?)</seg>", re.IGNORECASE)
SPLITS = "train", "valid", "test"


def text(place: Place) -> Iterator[str]:
    """Yield the lines of a file.  Bytes that are no UTF-8 become U+FFFD."""
    for line in place.lines():
        yield line.decode("utf-8", "replace").strip()


def segments(place: Place) -> Iterator[str]:
    """Yield the segments of an SGM file.  Entities such as &amp; become characters."""
    for line in text(place):
        for segment in SEGMENT.findall(line):
            yield html.unescape(segment).strip()


def one_side(place: Place) -> Iterator[str]:
    return segments(place) if place.name.endswith(".sgm") else text(place)


def rows(part: dict[str, Any], languages: list[str], downloads: Downloads) -> Iterator[list[str]]:
    """Yield one line of each language at a time.  Raises ValueError if the lines are not equal."""
    if "tsv" in part:
        place = downloads.find(names_of(part["tsv"]))
        for number, line in enumerate(text(place), 1):
            cells = line.split("\t")
            if len(cells) <= max(part["columns"]):
                raise ValueError(f"{place}: line {number} has only {len(cells)} columns")
            yield [cells[column].strip() for column in part["columns"]]
        return
    places = [downloads.find(names_of(part[language])) for language in languages]
    for row in itertools.zip_longest(*map(one_side, places)):
        if None in row:
            raise ValueError(f"{' and '.join(map(str, places))} differ in the number of lines")
        yield list(row)


def names_of(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def fault(row: list[str], table: dict[str, Any]) -> str:
    """Return why a training row is removed, or an empty string."""
    if any("\N{REPLACEMENT CHARACTER}" in line for line in row):
        return "not UTF-8"
    if len(row) == 1:
        return ""
    words = [len(line.split()) for line in row]
    if not min(words):
        return "an empty side"
    if max(words) > table.get("max_words", max(words)):
        return "too long"
    if max(words) > table.get("max_ratio", max(words)) * min(words):
        return "lengths differ too much"
    return ""


def kept(
    part: dict[str, Any],
    table: dict[str, Any],
    split: str,
    downloads: Downloads,
    counts: Counter[str],
) -> Iterator[list[str]]:
    """Yield the rows of a part that stay, and count all rows."""
    for row in rows(part, table["languages"], downloads):
        reason = fault(row, table) if split == "train" else ""
        counts[reason or "lines"] += 1
        if not reason:
            yield row


@contextmanager
def whole_files(paths: list[Path]) -> Iterator[list[gzip.GzipFile]]:
    """Open .gz files for writing.  They get their names at the end, and only without an error.

    Equal text gives equal bytes, because the headers have no time and no name.
    """
    partial = [path.with_suffix(".partial") for path in paths]
    try:
        with ExitStack() as stack:
            raw = [stack.enter_context(path.open("wb")) for path in partial]
            yield [
                stack.enter_context(gzip.GzipFile("", "wb", 6, stream, mtime=0)) for stream in raw
            ]
        for old, path in zip(partial, paths, strict=True):
            old.replace(path)
    finally:
        for path in partial:
            path.unlink(missing_ok=True)


def convert(table: dict[str, Any], split: str, downloads: Downloads, out: Path) -> dict[str, Any]:
    """Write the files of a split.  Return the counts of each part."""
    found: dict[str, Any] = {}
    with whole_files([out / f"{split}.{name}.gz" for name in table["languages"]]) as streams:
        for part in table[split]:
            counts: Counter[str] = Counter()
            for row in kept(part, table, split, downloads, counts):
                for stream, line in zip(streams, row, strict=True):
                    stream.write(f"{line}\n".encode())
            found[part["name"]] = dict(counts)
            print(split, part["name"], dict(counts), flush=True)
    return found


def main(command: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--downloads", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(command)
    folder = arguments.out / arguments.corpus.stem
    try:
        table = tomllib.loads(arguments.corpus.read_text(encoding="utf-8"))
        downloads = Downloads(arguments.downloads)
        folder.mkdir(parents=True, exist_ok=True)
        counts = {split: convert(table, split, downloads, folder) for split in SPLITS}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    (folder / "prepared.json").write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
