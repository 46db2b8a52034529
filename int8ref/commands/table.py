"""The table of commands.  The launcher, the usage texts and the completion of shells read it.

A command is one row.  Its module has two functions: `parser()` returns the parser of the command
line, and `main(arguments)` runs the command and returns the exit status.

This module imports nothing that takes long, because --help must answer at once.
"""

from __future__ import annotations

MAIN = ".__main__"

COMMANDS = {
    "translate": ("int8ref.translate", "translates text"),
    "score": ("int8ref.score", "scores given translations"),
    "generate": ("int8ref.generate", "writes on, with a language model"),
    "perplexity": ("int8ref.perplexity", "measures how well a language model predicts a text"),
    "embed": ("int8ref.embed", "turns texts into embeddings, vectors of int8"),
    "classify": ("int8ref.classify", "labels texts, with probabilities"),
    "vectors": (
        "int8ref.vectors",
        "writes golden vectors: what goes into every operation, and what comes out",
    ),
    "verify": ("int8ref.verify", "verifies models, dumps of values, and receipts"),
    "export": ("int8ref.export", "writes a model as flat files, for programs in C and for RTL"),
    "audit": (
        "int8ref.audit",
        "tells the bits, multiplications and bytes that a model needs in hardware",
    ),
    "serve": ("int8ref.serve", "translates and continues texts over HTTP"),
    "list": ("int8ref.list", "lists the models that have names"),
    "info": ("int8ref.info", "tells what a model file is"),
    "prepare": ("int8ref.prepare", "imports and compiles ahead, for images and clusters"),
    "completion": ("int8ref.completion", "prints the completion of int8ref for a shell"),
    "import": ("weights_import.__main__", "imports a checkpoint as a model file"),
    "report": (
        "weights_import.report.__main__",
        "shows where the integers of an imported model lose",
    ),
}
"""Name of a command -> its module, and what it does.

The module is text, because int8ref never imports weights_import: the launcher hands over its
process, as `python -m` does.
"""

_launcher = ""


def called(launcher: str) -> None:
    """Store how the user started the launcher: "int8ref" or "python -m int8ref".

    The launcher calls this before it imports the module of a command.
    """
    global _launcher
    _launcher = launcher


def program(module: str) -> str:
    """Return what the user types to run the module of a command, such as "int8ref translate"."""
    for name, (known, _) in COMMANDS.items():
        if _launcher and known.removesuffix(MAIN) == module:
            return f"{_launcher} {name}"
    return f"python -m {module}"
