"""The protocol of a worker: each request and each answer is one JSON object on a line.

    {"do": "prepare", "name": N, "work": W}   prepares work N and does it once, as a warm-up
        -> {"output": its output, "seconds": its time, "memory": peak memory so far, in KiB}
    {"do": "time", "name": N, "seconds": S}   repeats work N for about S seconds
        -> {"wall": seconds a run, "cpu": processor seconds a run, "runs": number of runs,
            "same": whether the last run gave the output of the first run}

The answer to a request that fails is {"error": "Type: message"}.  The worker then continues.  An
engine may have `finish()`, which is called after every run outside the measured time.  It may also
have `peak_memory()`.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

CPUS = "BENCHMARKS_CPUS"
"""Environment variable: the processors of a worker, separated by commas."""

Run = Callable[[], Any]
Ready = tuple[Run, Any]
"""The prepared work, and the output of its first run."""


def serve(engine: Any, requests: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the answers to the requests in order."""
    ready: dict[str, Ready] = {}
    for request in requests:
        try:
            yield _answer(engine, ready, request)
        except Exception as error:  # every exception of a contestant is a result
            yield {"error": f"{type(error).__name__}: {error}"}


def _answer(engine: Any, ready: dict[str, Ready], request: dict[str, Any]) -> dict[str, Any]:
    name, finish = request["name"], getattr(engine, "finish", _nothing)
    if request["do"] == "prepare":
        start = time.perf_counter()
        run = engine.prepare(request["work"])
        output = run()
        seconds = time.perf_counter() - start
        finish()
        ready[name] = run, output
        memory = getattr(engine, "peak_memory", peak_memory)()
        return {"output": output, "seconds": seconds, "memory": memory}
    if request["do"] == "time":
        return measure(*ready[name], request["seconds"], finish)
    raise ValueError(f"unknown request {request['do']!r}")


def measure(run: Run, expected: Any, seconds: float, finish: Callable[[], None]) -> dict[str, Any]:
    """Return mean times of a run over the runs that begin within `seconds`, at least one.

    `finish` is called after each run outside the measured time.
    """
    runs, wall = 0, 0.0
    begin, cpu = time.perf_counter(), _processor_seconds()
    while runs == 0 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        output = run()
        wall += time.perf_counter() - start
        finish()
        runs += 1
    cpu = _processor_seconds() - cpu
    same = output == expected
    return {"wall": wall / runs, "cpu": cpu / runs, "runs": runs, "same": same}


def peak_memory() -> int:
    """Return the largest resident set of this process in KiB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def _processor_seconds() -> float:
    """Return the processor seconds of this process and of its ended children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _nothing() -> None:
    pass
