"""`python -m benchmarks.prepare.int8ref_ready MODEL`: import a model by name and compile.

No process that is measured has to do it then.
"""

from __future__ import annotations

import sys

from int8ref.translator import load


def main(name: str) -> None:
    """Fill int8ref's cache folder."""
    load(name).translate("Good morning.")


if __name__ == "__main__":
    main(sys.argv[1])
