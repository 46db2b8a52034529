"""`python -m benchmarks.prepare.int8ref_ready MODEL`: imports a model by name and compiles.

The measured processes then find both in the cache.
"""

from __future__ import annotations

import sys

from int8ref.translator import load


def main(name: str) -> None:
    """Fill the cache folder of int8ref."""
    load(name).translate("Good morning.")


if __name__ == "__main__":
    main(sys.argv[1])
