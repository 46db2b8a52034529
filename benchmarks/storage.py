"""How large a model is in integers, beside its weights in float32.

    python -m benchmarks.storage CHECKPOINT MODEL
    python -m benchmarks.storage base

The second form uses a model of random weights (`benchmarks.shapes`).  Random weights deflate less
than trained weights.  Therefore only the last lines, the weights in memory, are valid for other
models.  Tied weights count once in float32.  The size in memory counts each array once that native
code reads during a search over the whole vocabulary on this CPU.  The float32 size in memory
includes the table of sinusoidal positions, which no checkpoint contains.
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
from weights_import.operations.embedding import SINUSOIDS, Embedding


def table(exact: FloatModel, model: Model) -> str:
    """Return a table with a line for each form."""
    stored = exact.tensors.nbytes
    resident = stored + sinusoids_in_float(exact, model)
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


def sinusoids_in_float(exact: FloatModel, model: Model) -> int:
    """Return the size of the table of sinusoidal positions in float32, 0 without such positions."""
    embeddings = [o for o in exact.program.operations if isinstance(o, Embedding)]
    widths = [exact.tensors.shape(e.table)[1] for e in embeddings if e.positions == SINUSOIDS]
    limits = position_limits(model.program, model.tensors, "target")
    return 4 * max(widths, default=0) * max(limits, default=0)


def held(model: Model) -> int:
    """Return the size of all arrays that the code of a search over the whole vocabulary reads."""
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
