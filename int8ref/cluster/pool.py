"""A pool of workers on a cluster of Ray.

Each worker is an actor, because an actor holds its model from task to task.  A task is a block of
lines.  Its result depends only on the block, so that Ray may repeat it.  If a worker is lost, Ray
starts another, which reads the model again, and repeats the tasks of the lost worker.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from int8ref.cluster.worker import Block, LinesOf, Translated, Worker, sent
from int8ref.commands.console import Console
from int8ref.commands.forms import Items
from int8ref.errors import UserError
from int8ref.host import extras
from int8ref.options import Options

REPEATS = 16
"""Number of times that a block is repeated, because a block may end its worker each time."""
AHEAD = 4
"""Blocks of each worker that are sent and not yet written."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Settings of Ray: it reports nothing to its makers, and prints no notice at the start."""


def _ray() -> Any:
    """Return the module of Ray.  Raises `UserError` if it is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    return extras.required("ray", "ray", "a cluster needs")


@contextmanager
def connected(given: argparse.Namespace, console: Console) -> Iterator[Pool]:
    """Connect to the cluster of a command line, and start its workers."""
    ray = _ray()
    options = {"include_dashboard": False} if given.address == "local" else {}
    try:
        ray.init(given.address, logging_level=logging.ERROR, log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"the cluster {given.address}: {error}") from None
    try:
        workers = given.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        console.info(f"{workers} workers on the cluster {given.address}")
        yield Pool(ray, given, workers)
    finally:
        ray.shutdown()


class Actor(Worker):
    """A worker that gets its model from the store of the cluster.

    `content`: a list with the reference, because Ray complains about a bare one.
    """

    def __init__(self, content: list[Any], backend: Any, batch_size: int) -> None:
        super().__init__(_ray().get(content[0]), backend, batch_size)


class Pool:
    """Workers with a model."""

    def __init__(self, ray: Any, given: argparse.Namespace, workers: int) -> None:
        path, model = given.loaded
        self._ray, self._lines = ray, given.block_lines
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=REPEATS)(Actor)
        self._content = ray.put(
            sent(path, model.sha256)
        )  # lives on for workers that replace others
        arguments = [self._content], given.backend, given.batch_size
        self._workers = [actor.remote(*arguments) for _ in range(workers)]

    def translated(self, items: Items, options: Options, lines_of: LinesOf) -> Iterator[Translated]:
        """Translate items, and yield the results of each block in the order of the items.

        Raises `UserError` for a line that cannot be translated, and for lost workers.
        """
        blocks = self._blocks(items)
        waiting: deque[tuple[Block, Any]] = deque()
        busy: dict[Any, int] = {}
        load = [0] * len(self._workers)
        while True:
            while len(waiting) < AHEAD * len(load) and (block := next(blocks, None)):
                least = load.index(min(load))
                task = self._workers[least].translate.remote(block, options, lines_of)
                waiting.append((block, task))
                busy[task] = least
                load[least] += 1
            if not waiting:
                return
            done, _ = self._ray.wait(list(busy))
            for task in done:
                load[busy.pop(task)] -= 1
            while waiting and waiting[0][1] not in busy:
                yield self._result(*waiting.popleft())

    def _blocks(self, items: Items) -> Iterator[Block]:
        texts, first = iter(items), items.first
        while block := list(itertools.islice(texts, self._lines)):
            yield Block(first, block)
            first += len(block)

    def _result(self, block: Block, task: Any) -> Translated:
        where = f"lines {block.first + 1} to {block.first + len(block.items)}"
        try:
            found: Translated = self._ray.get(task)
        except self._ray.exceptions.RayActorError:
            told = f"{where}: their worker was lost {REPEATS + 1} times"
            raise UserError(f"{told}; the same command goes on there") from None
        except self._ray.exceptions.RayError as error:
            raise UserError(f"{where}: {str(error).strip().splitlines()[-1]}") from None
        if found.error is not None:
            raise UserError(found.error)
        return found
