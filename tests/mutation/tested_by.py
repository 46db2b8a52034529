"""The tests that concern each file: quick ones with an oracle first.

`python -m tests.mutation` runs no other test on a mutant, so that a mutant counts as killed only by
tests that are named here.
"""

from __future__ import annotations

from pathlib import PurePosixPath

AREAS = {
    "arithmetic": ("int8ref/spec/arithmetic.py",),
    "reference": ("int8ref/reference/*.py",),
    "search": ("int8ref/search/*.py",),
    "lowering": ("weights_import/lowering/*.py",),
}
"""The files of each area."""

PARTS = {
    "attention": ("attention_softmax", "attention_polynomial"),
    "layer_norm": ("layer_norm_l1", "layer_norm_l2", "rms_norm"),
    "sinusoids": ("embed",),
    "presence": ("rms_norm_branch", "attention_softmax"),
    "__init__": ("lookup", "embed"),
}
"""Files of the reference that several operations share: these operations."""

PAGES = "tests/test_pages.py"
"""Compares the declared ranges of all operands with the tables of the specification."""

REFUSALS = "tests/ops/test_refusals.py"
"""Operands that every operation refuses."""

SEARCH = {
    "adjustments": ("adjustments", "arguments"),
    "beam": ("beam", "prefixes", "ends", "arguments"),
    "checks": ("arguments", "beam"),
    "continuations": ("adjustments",),
    "decoder": ("beam", "reading"),
    "forced": ("beam", "prefixes", "arguments"),
    "greedy": ("beam", "ends", "prefixes", "candidates", "arguments"),
    "hypothesis": ("length", "sampling", "beam", "arguments"),
    "length": ("length", "beam", "arguments"),
    "logits": ("adjustments", "candidates", "sampling"),
    "reading": ("reading",),
    "request": ("length", "prefixes", "beam", "arguments"),
    "sample": ("sample", "ends", "arguments"),
    "sampling": ("sampling", "sample", "arguments"),
    "__init__": ("beam",),
}
"""Files of the search: files `tests/search/test_NAME.py`."""

LOWERING = {
    "activation_table": ("lowering/test_activation_table.py",),
    "channel_scales": ("lowering/test_channel_scales.py", "test_rescaled_channels.py"),
    "emitter": ("test_lower.py",),
    "integer_weights": ("test_weight_rounding.py", "lowering/test_zero_point.py"),
    "least_scales": ("lowering/test_scale_propagation.py",),
    "observed": ("lowering/test_observed.py",),
    "options": (),
    "oscillator": ("lowering/test_oscillator.py",),
    "products": ("lowering/test_zero_point.py", "lowering/test_centring.py"),
    "scale_propagation": ("lowering/test_scale_propagation.py",),
    "scaled": (),
    "weight_rounding": ("test_weight_rounding.py",),
}
"""Files of the lowering: files of `tests/weights_import/`, before `test_lower.py`, which lowers
whole models."""


def selected(file: str) -> list[str]:
    """The arguments for pytest that select the tests of a file."""
    path = PurePosixPath(file)
    name = path.stem
    match path.parent.name:
        case "spec":
            return ["tests/test_arithmetic_messages.py", "tests/test_arithmetic.py"]
        case "reference":
            ops = PARTS.get(name, (name,))
            alone = [f"tests/ops/test_{op}.py" for op in ops]
            twins = [f"tests/ops/test_twins.py::test_same_bits[{op}]" for op in ops]
            return [*alone, REFUSALS, *twins, PAGES]
        case "search":
            return [f"tests/search/test_{test}.py" for test in SEARCH[name]]
        case _:
            quick = [f"tests/weights_import/{test}" for test in LOWERING.get(name, ())]
            return list(dict.fromkeys([*quick, "tests/weights_import/test_lower.py"]))
