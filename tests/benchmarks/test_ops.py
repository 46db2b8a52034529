"""Times of single operations, and the detection of regressions."""

from __future__ import annotations

from benchmarks import ops
from benchmarks.instructions import REPEATS, instructions
from int8ref.engines.compiled import CompiledEngine
from tests.helpers.models import build_tiny_model


def costs(**us: float) -> ops.Figures:
    return {name.replace("_", ", "): {"count": 1, "us": cost} for name, cost in us.items()}


def test_a_slower_operation_is_a_regression() -> None:
    before = costs(reference=10, a_linear=100, a_norm=100, a_small=0.1, a_gone=1)
    after = costs(reference=10, a_linear=130, a_norm=80, a_small=0.4, a_new=2)
    lines, slower = ops.compare(before, after, 15)
    assert slower == ["a, linear"]
    text = "\n".join(lines)
    for line in ("| a, linear | 100.0 | 130.0 | +30 |", "| a, norm | 100.0 | 80.0 | -20 |"):
        assert line in text
    assert "| a, gone | 1.0 | - |  |" in text
    assert "| a, new | - | 2.0 |  |" in text
    assert "small" not in text


def test_a_slower_processor_is_none() -> None:
    before, after = costs(reference=10, a_linear=100), costs(reference=13, a_linear=130)
    lines, slower = ops.compare(before, after, 15)
    assert slower == []
    assert lines[0].startswith("The processor: +30 %")
    assert lines[-1] == "Nothing has changed by more than 15 %."


def test_the_dearest_operation_comes_first() -> None:
    lines = ops.report(costs(reference=1, x_norm=10, x_linear=30))
    assert [line for line in lines if "|" in line][2:] == [
        "| linear | 1 | 30.0 | 75.0 |",
        "| norm | 1 | 10.0 | 25.0 |",
        "| all | 2 | 40.0 | 100.0 |",
    ]


def test_every_instruction_of_a_program_is_timed() -> None:
    model = build_tiny_model(2)
    program = model.program
    engine = CompiledEngine(program, model.tensors)
    found = list(
        instructions(program, model.tensors, engine.code(coarse_head=True), [[5, 6, 0], [7, 0]])
    )
    assert len(found) == len(program.encoder) + len(program.decoder)
    width = len(model.tensors["embeddings"])
    assert found[-1].label == f"linear {width}x16"
    assert {timed.label for timed in found} >= {"embed", "match_add", "layer_norm_l2", "ssru"}
    found[0].run(2 * REPEATS + 1)
    assert len(ops.seconds([timed.run for timed in found[:2]])) == 2
