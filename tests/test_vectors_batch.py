"""Vectors of several sentences, and intermediate values: true to the definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from int8ref.corners import cases_of
from int8ref.engines.reference import run_instruction
from int8ref.golden.archive import archive
from int8ref.golden.vectors import intermediate_values
from int8ref.reference import instructions, operation
from int8ref.spec.trace import note, of_head, tracing
from int8ref.translation.recording import record
from tests.helpers.machine_text import machine_text
from tests.helpers.models import SENTENCES, build_tiny_model

MODELS = {
    "marian": build_tiny_model(2),
    "integer": build_tiny_model(6, "translation"),
    "decoder": build_tiny_model(4, "decoder"),
}
TEXTS = [SENTENCES[0], SENTENCES[1][:9], SENTENCES[2]]


@pytest.mark.parametrize("kind", MODELS)
def test_a_batch_has_the_results_of_its_sentences(kind: str) -> None:
    model = MODELS[kind]
    batch, alone = record(model, TEXTS), [record(model, text) for text in TEXTS]
    assert batch.sentences == [found.sentences[0] for found in alone]
    steps = [len(sentence.target) for sentence in batch.sentences]
    assert len(set(steps)) > 1
    logits = model.program.logits
    for step in range(max(steps)):
        rows = [index for index, length in enumerate(steps) if step < length]
        if kind != "decoder":  # it reads no source
            np.testing.assert_array_equal(batch.arrays[f"decoder/{step}/target.sentence"], rows)
        name = f"decoder/{step}/{logits}"
        whole = np.concatenate([alone[index].arrays[name] for index in rows])
        np.testing.assert_array_equal(batch.arrays[name], whole)


@pytest.mark.parametrize("kind", MODELS)
def test_every_record_of_a_batch_is_true(kind: str) -> None:
    found = record(MODELS[kind], TEXTS)
    for told in found.records:
        operands = {field: found.arrays[name] for field, name in told["operands"].items()}
        results = operation(told["op"])(**operands, **told["constants"])
        results = results if isinstance(results, tuple) else (results,)
        for name, result in zip(told["results"].values(), results, strict=False):
            np.testing.assert_array_equal(found.arrays[name], result)


@pytest.mark.parametrize("kind", ["marian", "decoder"])
def test_the_backends_give_the_same_bytes(kind: str) -> None:
    machine_text()
    both = [
        archive(record(MODELS[kind], TEXTS, backend=backend, intermediates=True), "m", "")
        for backend in ("reference", "compiled")
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize("op", sorted(instructions()))
def test_a_trace_changes_no_bit(op: str) -> None:
    for case in cases_of(op)[:12]:
        wanted = run_instruction(case.instruction, case.values, case.tensors)
        with tracing():
            found = run_instruction(case.instruction, case.values, case.tensors)
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)


Checks = dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]]
CHECKS: Checks = {
    "linear": lambda x, inner: np.array_equal(
        inner["acc"],
        x["x"].astype(object) @ x["weight"].astype(object).T
        + x["bias"].astype(object) * 2 ** x["bias_shift"],
    ),
    "rms_norm": lambda x, inner: np.array_equal(
        inner["v"][:, 0],
        x["x"].shape[1] * (x["x"].astype(object) ** 2).sum(axis=1) + x["epsilon"],
    ),
    "match_add": lambda x, inner: inner["total"].shape == x["a"].shape,
    "ssru": lambda x, inner: np.array_equal(
        inner["sum"],
        np.maximum(x["gate"], 0).astype(object) * x["state"]
        + (2**15 - np.maximum(x["gate"], 0).astype(object)) * x["x"],
    ),
}
"""Intermediate values in unbounded integers."""


@pytest.mark.parametrize("op", CHECKS)
def test_intermediate_values_are_exact(op: str) -> None:
    for case in cases_of(op):
        given = {
            field: case.values.get(content, case.tensors.get(content, content))
            if isinstance(content, str)
            else content
            for field, _, content in case.instruction.operands()
        }
        inner = intermediate_values(case.instruction, case.values, case.tensors)
        assert {array.dtype.name for array in inner.values()} == {"int64"}
        assert CHECKS[op](given, inner), case.name


def test_intermediate_values_of_heads() -> None:
    """Scores [rows, heads, keys] of sentences of different lengths end with zeros."""
    (case,) = (c for c in cases_of("attention_softmax") if c.name == "sentences")
    inner = intermediate_values(case.instruction, case.values, case.tensors)
    query, key = case.values["query"].astype(int), case.values["key"].astype(int)
    offsets = case.values["source.offsets"]
    for row, sentence in enumerate(case.values["target.sentence"]):
        keys = slice(offsets[sentence], offsets[sentence + 1])
        scores = (key[keys] @ query[row]).tolist()
        assert inner["s"][row, 0].tolist() == scores + [0] * (5 - len(scores))
        assert inner["w"][row, 0].sum() == inner["sum"][row, 0, 0]
    (case,) = (c for c in cases_of("rms_norm_heads") if c.name == "column")
    inner = intermediate_values(case.instruction, case.values, case.tensors)
    assert inner["t"].shape == (2, 2, 3)


def test_a_trace_is_of_one_thread_and_ends() -> None:
    with tracing() as trace:
        note("x", [1])
        with of_head(slice(None), 1):
            note("y", [[5, 6], [7, 8]])
    note("z", [2])
    found = trace.arrays()
    assert {name: array.tolist() for name, array in found.items()} == {
        "x": [1],
        "y": [[[0, 0], [5, 6]], [[0, 0], [7, 8]]],
    }
