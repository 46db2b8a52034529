"""Verifies a model: both engines, and every instruction set that runs on this CPU.

    python -m int8ref.verification.models JOB

compares the compiled engine with the digests of the file JOB, and writes an answer to stdout.  Each
instruction set needs a process of its own, because a process compiles for one CPU.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from int8ref.commands.console import Console
from int8ref.errors import UserError
from int8ref.files import model_file
from int8ref.files.digests import DIGESTS
from int8ref.files.model_file import Model
from int8ref.host import child, temporary
from int8ref.verification.difference import DifferenceError
from int8ref.verification.engines import WORKS, Compared, Work, whole
from int8ref.verification.sentences import TEXTS, Languages, requests_of

JOB = "job.json"


class Job(msgspec.Struct, frozen=True):
    """The work of a child.  `expected`: the digest of each sentence."""

    model: str
    sha256: str
    texts: list[str]
    languages: Languages
    expected: list[str]
    log_level: str


class Answer(msgspec.Struct, frozen=True):
    """The answer of a child: the name of its instruction set, and the first difference."""

    name: str
    difference: str | None


def verify_model(
    path: Path, model: Model, texts: Sequence[str] | None, languages: Languages, console: Console
) -> Iterator[str]:
    """Compare both engines on some texts, and yield a line for each comparison.

    `texts`: None means `TEXTS`, for which the digests of some models are stored.  Raises
    `DifferenceError` for the first difference.
    """
    requests = requests_of(model, TEXTS if texts is None else texts, languages)
    console.info(f"reference: {len(requests)} sentences ...")
    expected = Compared(model, requests, "reference").digests(Work(1, 1))
    digest = whole(expected)
    yield f"reference: {len(requests)} sentences"
    job = Job(
        model=str(path.absolute()),
        sha256=model.sha256,
        texts=[*(TEXTS if texts is None else texts)],
        languages=languages,
        expected=expected,
        log_level="error" if console.level > 30 else "warning",
    )
    yield _equal(_answer(model, job))
    for name, settings in _others().items():
        console.info(f"{name} ...")
        yield _equal(_elsewhere(name, job, settings))
    if texts is None and job.sha256 in DIGESTS:
        if DIGESTS[job.sha256] != digest:
            told = f"the digest is {digest}, and {DIGESTS[job.sha256]} on other machines"
            raise DifferenceError(f"model {model.name}: {told}")
        yield "stored digest: equal"
    yield f"digest: {digest}"


def _equal(answer: Answer) -> str:
    if answer.difference is not None:
        raise DifferenceError(f"{answer.name}, {answer.difference}")
    works = "; ".join(map(str, WORKS))
    return f"compiled, {answer.name}: equal in {works}"


def _others() -> dict[str, dict[str, str]]:
    from int8ref.kernels.gemm.target import TARGET
    from int8ref.verification.instruction_sets import others

    return others(TARGET)


def _answer(model: Model, job: Job) -> Answer:
    """Compare the compiled engine of this process."""
    from int8ref.kernels.gemm.target import TARGET

    requests = requests_of(model, job.texts, job.languages)
    compiled = Compared(model, requests, "compiled")
    for work in WORKS:
        found = compiled.digests(work)
        if found != job.expected:
            pairs = zip(found, job.expected, strict=True)
            sentence = next(at for at, (ours, theirs) in enumerate(pairs) if ours != theirs)
            told = compiled.locate(Compared(model, requests, "reference"), work, sentence)
            return Answer(TARGET.name, f"{work}: {told}")
    return Answer(TARGET.name, None)


def _elsewhere(name: str, job: Job, settings: dict[str, str]) -> Answer:
    """Compare the compiled engine of a child."""
    folder = temporary.make()
    try:
        file = folder / JOB
        file.write_bytes(msgspec.json.encode(job))
        with child.running(
            __name__, str(file), changes=settings, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            content = process.stdout.read()
            status = process.wait()
        if status:
            raise UserError(f"{name}: the process that verifies it ended with the status {status}")
        return msgspec.json.decode(content, type=Answer)
    finally:
        temporary.remove(folder)


def main(arguments: Sequence[str]) -> None:
    """Answer a job."""
    job = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Job)
    Console(job.log_level)
    model = model_file.load(job.model, keep_unpacked=True, sha256=job.sha256)
    sys.stdout.buffer.write(msgspec.json.encode(_answer(model, job)))


if __name__ == "__main__":
    main(sys.argv[1:])
