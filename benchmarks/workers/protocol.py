"""What a worker is asked and what it answers: one JSON object a line.

    {"do": "prepare", "name": N, "work": W}   make work N ready and do it once, to warm up
        -> {"output": what it gave, "seconds": that took, "memory": peak so far, in KiB}
    {"do": "time", "name": N, "seconds": S}   do work N again and again for about S seconds
        -> {"wall": seconds a run, "cpu": processor seconds a run, "runs": how many,
            "same": whether the last of them gave what the first ever gave}

A request that fails is answered by {"error": "Type: message"}; the worker goes on.  An engine may
have `finish()`, called after every run outside of the time, and a `peak_memory()` of its own.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

CPUS = "BENCHMARKS_CPUS"
"""Environment variable: the processors a worker keeps to, with commas between."""

Run = Callable[[], Any]
Ready = tuple[Run, Any]
"""What to run, and what it gave at first."""


def serve(engine: Any, requests: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The answers to requests, in order."""
    ready: dict[str, Ready] = {}
    for request in requests:
        try:
            yield _answer(engine, ready, request)
        except Exception as error:  # whatever a contestant raises is a result
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
    """Mean times of a run, over as many runs as begin within `seconds`, at least one.

    `finish` is called after each, with the clock stopped.
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
    """The largest resident set this process has had, in KiB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def _processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _nothing() -> None:
    pass
