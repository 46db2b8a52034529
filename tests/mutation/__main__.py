"""Mutation tests: puts single faults into the golden model and the lowering, and runs their tests.

python -m tests.mutation [AREA ...] [--share PERCENT] [--results FILE] [--again] [--table]

A fault (a mutant) is *killed* if a test fails, or if the tests need more than their time.  A mutant
that survives is listed with its change.  `equivalent.toml` lists the mutants that change no
behaviour, with the reason.  The score is killed / (tried - equivalent).

The command stores each result at once, and a later run tries only what is left.  A share tries the
mutants whose digest is below it, so that a larger share contains a smaller one.  The tests of each
file are in `tested_by.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # before Numba is imported: see `runner`

from tests.mutation.operators import Mutant, mutants
from tests.mutation.results import Results, known, table
from tests.mutation.runner import KILLED, ROOT, SURVIVED, preload, verdict
from tests.mutation.tested_by import AREAS, selected

STORED = Path(__file__).with_name("results.jsonl")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("areas", nargs="*", default=[], metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--files", help="only files whose path contains this text", default="")
    parser.add_argument("--share", type=int, default=100, help="percentage of mutants to try")
    parser.add_argument("--results", type=Path, default=STORED, help="file of the results")
    parser.add_argument("--again", action="store_true", help="try the survivors again")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table")
    options = parser.parse_args()
    wrong = [area for area in options.areas if area not in AREAS]
    if wrong:
        parser.error(f"{wrong[0]!r} is none of the areas: {', '.join(AREAS)}")
    results = Results(options.results)
    chosen = {
        file: list(mutants(file, (ROOT / file).read_text("utf-8")))
        for area in options.areas or AREAS
        for file in _files(area)
        if options.files in file
    }
    if not options.table:
        preload()
        for file, found in chosen.items():
            _try(file, [each for each in found if _share(each[0]) < options.share], results,
                 again=options.again)  # fmt: skip
    print(table({file: [m for m, _ in found] for file, found in chosen.items()}, results))
    return 0


def _files(area: str) -> list[str]:
    paths = sorted(path for pattern in AREAS[area] for path in ROOT.glob(pattern))
    return [path.relative_to(ROOT).as_posix() for path in paths]


def _share(mutant: Mutant) -> int:
    return int(mutant.digest[:8], 16) % 100


def _try(file: str, found: list[tuple[Mutant, str]], results: Results, *, again: bool) -> None:
    """Run the tests of a file on its mutants that have no result yet."""
    equivalent = known()
    left = [
        (mutant, source)
        for mutant, source in found
        if results.get(mutant) is None or (again and results.get(mutant) == SURVIVED)
    ]
    left = [each for each in left if each[0].key not in equivalent]
    if not left:
        return
    unchanged, failed = verdict(file, (ROOT / file).read_text("utf-8"), selected(file))
    if unchanged != SURVIVED:
        raise SystemExit(f"{file}: its tests fail without a mutant: {failed}")
    for number, (mutant, source) in enumerate(left, 1):
        result, test = verdict(file, source, selected(file))
        results.add(mutant, result, test)
        told = "" if result == KILLED else f"  {mutant.where}: {mutant.before} -> {mutant.after}"
        print(f"{file} {number}/{len(left)} {result}{told}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
