"""How large a model is in integers, beside its weights in float32.

    python -m benchmarks.storage CHECKPOINT MODEL
    python -m benchmarks.storage base

The second form takes a model of random weights (`benchmarks.shapes`); its weights deflate less than
trained ones, so that only its last lines, the weights in memory, tell something of others.
Tied weights count once in float32.  What is in memory is what native code of a search over the
whole vocabulary reads on this CPU, each array once; float32 has the table of positions in memory,
too, also where the checkpoint has none.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.prepare.int8ref_model import lowered
from benchmarks.prepare.random_weights import weights
from benchmarks.shapes import SHAPES
from int8ref.engines.compiled import CompiledEngine
from int8ref.files.model_file import Model, load, serialize
from int8ref.program.sizes import position_limits
from weights_import import sources
from weights_import.float_model import FloatModel


def table(exact: FloatModel, model: Model) -> str:
    """A line for each form."""
    stored, resident = exact.nbytes, exact.nbytes + positions_in_float(exact, model)
    tensors = sum(tensor.nbytes for tensor in model.tensors.values())
    forms = {
        "file, float32": (stored, stored),
        "model file": (len(serialize(model)), stored),
        "compact model file": (len(serialize(model, compact=True)), stored),
        "in memory, float32": (resident, resident),
        "in memory, tensors of the file": (tensors, resident),
        "in memory, what native code reads": (held(model), resident),
    }
    lines = [
        f"| {form} | {size / 1e6:.3f} MB | {whole / size:.3f} |"
        for form, (size, whole) in forms.items()
    ]
    return "\n".join(["| | | times smaller |", "|---|---|---|", *lines])


def positions_in_float(exact: FloatModel, model: Model) -> int:
    """Bytes of the tables of positions that a checkpoint does not have, in float32."""
    if exact.architecture.max_positions:
        return 0
    limits = position_limits(model.program, model.tensors, "target")
    return 4 * exact.architecture.d_model * max(limits, default=0)


def held(model: Model) -> int:
    """Bytes of all arrays whose addresses are in the code of a search over the whole vocabulary."""
    code = CompiledEngine(model.program, model.tensors).code(coarse_head=True)
    return sum({array.ctypes.data: array.nbytes for array in code.kept}.values())


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
