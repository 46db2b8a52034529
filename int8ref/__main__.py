"""`python -m int8ref`: lists the commands."""

from __future__ import annotations

import sys

COMMANDS = {
    "int8ref.translate": "translates text",
    "int8ref.corpus": "translates files on a cluster of Ray",
    "int8ref.score": "scores given translations",
    "int8ref.generate": "writes on, with a language model",
    "int8ref.perplexity": "measures how well a language model predicts a text",
    "int8ref.embed": "turns texts into embeddings, vectors of int8",
    "int8ref.classify": "labels texts, with probabilities",
    "int8ref.vectors": "writes golden vectors: what goes into every operation, and what comes out",
    "int8ref.verify": "verifies models, dumps of values, and receipts",
    "int8ref.export": "writes a model as flat files, for programs in C and for RTL",
    "int8ref.audit": "tells the bits, multiplications and bytes that a model needs in hardware",
    "weights_import": "imports a checkpoint as a model file",
    "weights_import.report": "shows where the integers of an imported model lose",
}
EXAMPLE = 'python -m int8ref.translate "Good morning."'


def main(arguments: list[str]) -> int:
    """Print the list of commands.  Return the exit status: 0, or 2 for an unknown command."""
    lines = [f"  python -m {name:21} {told}" for name, told in COMMANDS.items()]
    text = "\n".join(["commands:", *lines, "", f"example: {EXAMPLE}", "Each has --help."])
    if not arguments or arguments[0] in ("-h", "--help"):
        print(text)
        return 0
    print(f"int8ref: error: there is no command {arguments[0]!r} here\n{text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
