"""How large a model is in integers, beside its weights in float32.

    python -m benchmarks.storage CHECKPOINT MODEL
    python -m benchmarks.storage base

The second form takes a model of random weights (`benchmarks.shapes`); its weights deflate less than
trained ones, so that only its last line, the tensors as they are used, tells something of others.
Tied weights count once in float32; positions do not where the checkpoint has none, though integers
always have a table of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.prepare.int8ref_model import lowered
from benchmarks.prepare.random_weights import weights
from benchmarks.shapes import SHAPES
from int8ref.model_file import Model, load, serialize
from weights_import import sources
from weights_import.float_model import FloatModel


def table(exact: FloatModel, model: Model) -> str:
    """A line for each form."""
    whole = exact.nbytes
    forms = {
        "model file": len(serialize(model)),
        "compact model file": len(serialize(model, compact=True)),
        "tensors as they are used": sum(tensor.nbytes for tensor in model.tensors.values()),
    }
    lines = [f"| weights in float32 | {whole / 1e6:.2f} MB | |"]
    lines += [
        f"| {form} | {size / 1e6:.2f} MB | {whole / size:.2f} times smaller |"
        for form, size in forms.items()
    ]
    return "\n".join(["| | | |", "|---|---|---|", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", help=f"file or folder, or one of {', '.join(SHAPES)}")
    parser.add_argument("model", type=Path, nargs="?", help="what was made of the checkpoint")
    arguments = parser.parse_args()
    if arguments.model is None:
        if arguments.checkpoint not in SHAPES:
            parser.error("a checkpoint needs the model that was made of it")
        name = arguments.checkpoint
        print(table(*lowered(name, weights(SHAPES[name]))))
    else:
        print(table(sources.read(Path(arguments.checkpoint)), load(arguments.model)))


if __name__ == "__main__":
    main()
