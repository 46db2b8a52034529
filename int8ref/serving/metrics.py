"""Counts what a service does, in the text form of Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format, version 0.0.4).
All methods except `batch` run in the thread of the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECOND = 1_000_000_000
"""Nanoseconds of a second."""
SECONDS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)
"""Upper bounds of the buckets of the times of requests, in milliseconds."""


class Metrics:
    """The counters of a service."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets = [0] * len(SECONDS)
        self._count = self._time = 0
        self._lock = threading.Lock()
        self._batches = self._texts = 0

    def request(self, path: str, status: int, nanoseconds: int) -> None:
        """Count a finished request."""
        key = path, status
        self._requests[key] = self._requests.get(key, 0) + 1
        self._count += 1
        self._time += nanoseconds
        for place, bound in enumerate(SECONDS):
            self._buckets[place] += nanoseconds <= bound * 1_000_000

    def batch(self, texts: int) -> None:
        """Count a batch, in any thread."""
        with self._lock:
            self._batches += 1
            self._texts += texts

    def text(self, gauges: Mapping[str, tuple[str, int]]) -> str:
        """Return all values.  `gauges`: present values: name -> (meaning, value)."""
        lines = _head("requests_total", "counter", "Finished requests.")
        for (path, status), count in sorted(self._requests.items()):
            lines.append(f'int8ref_requests_total{{path="{path}",status="{status}"}} {count}')
        lines += _head("request_seconds", "histogram", "Times of requests.")
        for bound, count in zip(SECONDS, self._buckets, strict=True):
            lines.append(f'int8ref_request_seconds_bucket{{le="{_decimal(bound, 1000)}"}} {count}')
        lines.append(f'int8ref_request_seconds_bucket{{le="+Inf"}} {self._count}')
        lines.append(f"int8ref_request_seconds_sum {_decimal(self._time, SECOND)}")
        lines.append(f"int8ref_request_seconds_count {self._count}")
        lines += _head("batches_total", "counter", "Batches of texts that began.")
        lines.append(f"int8ref_batches_total {self._batches}")
        lines += _head("texts_total", "counter", "Texts in these batches.")
        lines.append(f"int8ref_texts_total {self._texts}")
        for name, (meaning, value) in gauges.items():
            lines += [*_head(name, "gauge", meaning), f"int8ref_{name} {value}"]
        return "\n".join([*lines, ""])


def _head(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP int8ref_{name} {meaning}", f"# TYPE int8ref_{name} {kind}"]


def _decimal(value: int, unit: int) -> str:
    """Return value / unit as a decimal number.  `unit`: a power of ten."""
    whole, rest = divmod(value, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}}"
