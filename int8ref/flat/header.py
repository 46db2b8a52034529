"""`model.h`: a C header with the places of the arrays of a flat model."""

from __future__ import annotations

import re

from int8ref.flat.layout import Layout, Place

LARGEST_IDENTIFIER = 63
"""Characters of an identifier that every compiler of C99 tells apart."""


def header_of(layout: Layout) -> str:
    """Return the header."""
    names = _identifiers([place.name for place in layout.arrays])
    lines = [
        f"/* The arrays of the model {layout.name} in arrays.bin. */",
        "#ifndef INT8REF_MODEL_H",
        "#define INT8REF_MODEL_H",
        "",
        f"#define INT8REF_ARRAYS {len(layout.arrays)}",
        f"#define INT8REF_VALUES {len(layout.values)}",
        f"#define INT8REF_BYTES {sum(p.array.nbytes + p.padding for p in layout.arrays)}UL",
        "",
        "/* The number of an array, as program.txt counts. */",
        "enum {",
        *(f"    {name} = {number}," for number, name in enumerate(names)),
        "    INT8REF_ARRAY_END",
        "};",
        "",
        "/* {bits of an element, rows, columns, first byte} of each array. */",
        "static const unsigned long INT8REF_ARRAY[INT8REF_ARRAYS][4] = {",
        *(f"    {{{', '.join(_numbers(place))}}}, /* {name} */"
          for name, place in zip(names, layout.arrays, strict=True)),
        "};",
        "",
        "#endif",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _numbers(place: Place) -> list[str]:
    return [f"{number}UL" for number in (place.bits, *place.shape, place.offset)]


def _identifiers(names: list[str]) -> list[str]:
    """Return an identifier of C for each name.  No two of them are equal."""
    found: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(names):
        word = "INT8REF_" + re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
        word = word[:LARGEST_IDENTIFIER]
        if word in taken:
            word = f"{word[: LARGEST_IDENTIFIER - 8]}_{number}"
        taken.add(word)
        found.append(word)
    return found
