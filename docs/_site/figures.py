"""The figures of the pages: `python -m docs._site.figures` writes them to docs/figures/.

Numbers in a figure come from the code.  A test compares the files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import int8ref
from docs._site.drawing import Drawing
from int8ref.reference.linear import linear
from int8ref.spec import arithmetic
from int8ref.translation.worker import tokenizers

FOLDER = Path(__file__).parents[1] / "figures"
MODEL, PRODUCT, TEXT = "en-de-tatoeba", "encoder.0.self.query_key_value", "Tom sleeps."


def overview() -> str:
    """From a checkpoint to a translation: floats in the importer only."""
    told = (
        "A checkpoint in floats goes through the importer into a model file of integers. Two"
        " engines, NumPy and compiled code, read the model file and token ids, and give the same"
        " token ids."
    )
    d = Drawing(520, 424, told)
    d.text(260, 30, "once, on any machine", "quiet", size=14)
    end = d.box(110, 42, 300, ["checkpoint, in floats", "Marian, transformers, GGUF, ..."], "float")
    d.arrow(260, end, end + 44, "weights_import")
    end = d.box(110, end + 44, 300, ["model file", "integers only, one SHA-256"], "integer")
    for x in (140, 380):
        d.arrow(x, end, end + 44)
    d.text(260, end + 28, "text → token ids", "quiet", size=14)
    left = d.box(30, end + 44, 220, ["NumPy", "defines every bit"], "integer")
    d.box(270, end + 44, 220, ["compiled code", "the same bits, fast"], "integer")
    for x in (140, 380):
        d.arrow(x, left, left + 36)
    end = d.box(
        30,
        left + 36,
        460,
        ["the same token ids, scores and logits", "on every machine, in every batch"],
        "plain",
    )
    return d.svg()


def orders() -> str:
    """One sum in three orders: three results in floats, one in integers."""
    rng = np.random.Generator(np.random.PCG64(2))
    floats = rng.normal(size=64).astype(np.float32)
    integers = rng.integers(-127, 128, 64, dtype=np.int32)
    told = "64 numbers are added in three orders. The float32 sums differ in their last bits."
    d = Drawing(520, 292, f"{told} The int32 sums are equal.")
    d.text(150, 32, "order of the additions", "quiet", size=14)
    d.text(305, 32, "float32", "quiet", size=14)
    d.text(430, 32, "int32", "quiet", size=14)
    for row, (label, lanes) in enumerate(
        (("one after the other", 1), ("in 4 lanes", 4), ("in 16 lanes", 16))
    ):
        y = 46 + row * 76
        d.box(20, y, 480, ["", ""], "plain")
        d.text(36, y + (26 if lanes > 1 else 33), label, anchor="start")
        if lanes > 1:
            d.text(36, y + 45, "as a vector unit adds", "quiet", "start", 13)
        total = in_lanes(floats, lanes)
        d.text(305, y + 26, f"`{total:.7f}`")
        d.text(305, y + 46, f"`{total.view(np.uint32):08x}`", "quiet")
        d.text(430, y + 36, f"`{in_lanes(integers, lanes)}`")
    d.text(260, 280, "64 numbers, the same numbers in each row", "quiet", size=13)
    return d.svg()


def in_lanes(numbers: np.ndarray, lanes: int) -> np.generic:
    """Add numbers in lanes, and then the lanes, one after the other."""
    sums = numbers[:lanes].copy()
    for start in range(lanes, len(numbers), lanes):
        sums = sums + numbers[start : start + lanes]
    total: np.generic = sums[0]
    for lane in sums[1:]:
        total = total + lane
    return total


def scales() -> str:
    """One number of one matrix product of the model in the package, from input to output."""
    translator = int8ref.load(MODEL, "reference")
    model = translator.model
    assert isinstance(translator, int8ref.Translator)
    seen: dict[str, np.ndarray] = {}
    engine = int8ref.load_engine(model.program, model.tensors, backend="reference")
    first = translator.translate(TEXT).source_tokens[0].strip("▁")
    sentence = model.program.frame.around(tokenizers(model)[0].encode(TEXT))
    engine.session([sentence], observe=lambda name, x: seen.setdefault(name, np.array(x)))
    (step,) = (i for i in model.program.encoder if getattr(i, "out", "") == PRODUCT)
    x, weight = seen[step.x][0], model.tensors[step.weight]
    acc = linear(seen[step.x][:1], weight, model.tensors[step.bias], bias_shift=step.bias_shift)[0]
    multiplier, shift = (model.tensors[name] for name in (step.multiplier, step.shift))
    channel = int(np.argmax(np.abs(seen[PRODUCT][0])))
    m, s = int(multiplier[channel]), int(shift[0])
    product = int(acc[channel]) * m
    result = int(seen[PRODUCT][0, channel])
    assert int(arithmetic.requantize(acc[channel], m, s)) == result
    told = (
        f"One output of a matrix product: int8 inputs and weights, the int32 sum {acc[channel]},"
        f" times {m}, shifted right by {s}, gives {result} in int8."
    )
    d = Drawing(520, 560, told)
    shown = [", ".join(str(n) for n in row[:5]) for row in (x, weight[channel])]
    d.text(260, 30, f"“{TEXT}”, first token “{first}”", "quiet", size=14)
    d.box(20, 44, 230, ["input, int8", f"`{shown[0]}, …`", "real value = x · sx"], "integer")
    end = d.box(
        270, 44, 230, ["weights, int8", f"`{shown[1]}, …`", "real value = w · sw"], "integer"
    )
    d.arrow(135, end, end + 36)
    d.arrow(385, end, end + 36)
    end = d.box(
        60,
        end + 36,
        400,
        [
            f"sum of {len(x)} products and the bias, int32",
            f"`{acc[channel]}`",
            "real value = sum · sx · sw",
        ],
        "integer",
    )
    d.arrow(260, end, end + 44, f"times {m}, the multiplier")
    end = d.box(60, end + 44, 400, ["product, int64", f"`{product}`"], "integer")
    d.arrow(260, end, end + 44, f"shift right by {s}, round, saturate")
    end = d.box(
        60, end + 44, 400, ["output, int8", f"`{result}`", "real value = y · sy"], "integer"
    )
    d.box(
        60,
        end + 16,
        400,
        [f"{m} / 2^{s} ≈ sx · sw / sy", "chosen by the importer, once"],
        "float",
    )
    return d.svg()


FIGURES: dict[str, Callable[[], str]] = {
    "overview.svg": overview,
    "orders.svg": orders,
    "scales.svg": scales,
}


def main() -> None:
    """Write all figures."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        (FOLDER / name).write_text(draw(), "utf-8")


if __name__ == "__main__":
    main()
