"""Blocks of the pages of docs/specification/: operands, ranges, inputs, limits and versions.

Every block comes from a declaration in the code.  `tests.helpers.pages` writes the blocks.
"""

from __future__ import annotations

import re
from inspect import getdoc
from typing import Any

import msgspec

from int8ref.files import container, model_file, shortlist, tokenizer_file, tokenizer_patterns
from int8ref.program import cost, validate
from int8ref.program.program import SOURCE_INPUTS, TARGET_INPUTS
from int8ref.reference import attention, instructions, operation
from int8ref.spec import arithmetic, scope
from int8ref.spec.instruction import Instruction, operands_of
from int8ref.spec.operands import (
    Constant,
    Input,
    Number,
    Offsets,
    Operand,
    PerChannel,
    Result,
    Rows,
    Size,
    Tensor,
)

PAGES = {
    "01-embed": ("embed",),
    "02-products": ("linear", "requantize", "narrow", "rescale"),
    "03-elementwise": ("match_add", "multiply", "lookup", "interpolate", "ssru"),
    "04-norms": (
        *("layer_norm_l2", "layer_norm_l1", "rms_norm"),
        *("rms_norm_heads", "rms_norm_branch", "normalize"),
    ),
    "05-attention": ("append", "attention_softmax", "attention_polynomial", "rotary"),
    "06-outputs": ("pool", "argmax", "log_softmax"),
}
"""The operations of each page of docs/specification/06-operations/."""


def table(head: str, rows: list[str]) -> str:
    """Return a table; `head` and rows are cells that are joined by `|`."""
    line = "|".join(["---"] * (head.count("|") + 1))
    return "\n".join([f"| {head} |", f"|{line}|", *(f"| {row} |" for row in rows)])


def operations() -> str:
    """Return the index of the operations: section, results, and operands of each."""
    rows = []
    for page, names in PAGES.items():
        text = (model_pages() / f"{page}.md").read_text("utf-8")
        for name in names:
            found = re.search(rf"^#+ (6\.\d+) {name}$", text, re.MULTILINE)
            assert found is not None, name
            anchor = "" if text.startswith("# 6") else f"#{found[1].replace('.', '')}-{name}"
            cls = instructions()[name]
            results = [f for f, o in operands_of(cls) if o.kind == "result"]
            shown = ", ".join(f"`{one}`" for one in results)
            told = f"{found[1]} | [`{name}`]({page}.md{anchor}) | {shown} | {source(name)}"
            rows.append(told)
    return table("section | operation | results | source", rows)


def source(op: str) -> str:
    """Return the source of an operation, from the docstring of its function."""
    found = re.search(r"^Source: (.+?)(?:\n\n|\Z)", getdoc(operation(op)) or "", re.DOTALL | re.M)
    return "" if found is None else " ".join(found[1].split())


def model_pages() -> Any:
    """Return the folder of the pages of operations."""
    from tests.helpers.pages import ROOT

    return ROOT / "docs" / "specification" / "06-operations"


def operands(op: str) -> str:
    """Return the operands of an operation, from their declarations."""
    cls = instructions()[op]
    fields = {field.name: field for field in msgspec.structs.fields(cls)}
    rows = [
        f"`{name}` | {operand(declared, cls)} | {absent(fields[name])}"
        for name, declared in operands_of(cls)
    ]
    return table("operand | | absent", rows)


def operand(declared: Operand, cls: type[Instruction]) -> str:
    """Return the kind, type, shape and range of an operand."""
    return _numbers(described(declared), cls)


def absent(field: Any) -> str:
    """Say how a field may be absent: not at all, as null, left out, or with a default."""
    if field.required:
        return ""
    if field.default is msgspec.UNSET:
        return "left out"
    return "null" if field.default is None else str(field.default)


def _numbers(text: str, instruction: type[Instruction]) -> str:
    """Replace the names of attributes of a class of instructions by their values."""
    found = {n: power(x) for n in dir(instruction) if isinstance(x := getattr(instruction, n), int)}
    return re.sub(r"\b\w+\b", lambda m: found.get(m[0], m[0]), text)


def described(operand: Operand) -> str:
    """Describe a declaration in words."""
    match operand:
        case Rows(dtypes=dtypes, width=width, domain=domain):
            where = "" if domain in ("rows", "keys_of") else f", {domain}"
            return f"value, {_types(dtypes)} {_shape(['rows', *_width(width)])}{where}"
        case Input(input=name):
            return f"value, int32 [rows]: the {name} of the rows"
        case Offsets():
            return "value, int32 [sentences + 1]: `source.offsets`"
        case Tensor(dtypes=dtypes, shape=shape, low=low, high=high):
            return f"tensor, {_types(dtypes)} {_shape(map(_text, shape))}{_range(low, high)}"
        case PerChannel(dtypes=dtypes, low=low, high=high, width=width):
            both = f"{_types(dtypes)} [1] or {_shape([_text(width)])}"
            return f"tensor, {both}{_range(low, high)}"
        case Constant(low=low, high=high):
            return f"constant{_range(low, high)}"
        case Result(dtypes=dtypes, width=width, domain=domain):
            where = "" if domain == "rows" else f", {domain}"
            return f"result, {_types(dtypes)} {_shape(['rows', *_width(width)])}{where}"
    raise TypeError(operand)


def _types(dtypes: str) -> str:
    return " or ".join(dtypes.split())


def _width(width: Number | None) -> list[str]:
    return [] if width == 0 else [_text(width)]


def _text(number: Number | None) -> str:
    if number is None:
        return "any"
    return number.text if isinstance(number, Size) else power(number)


def power(number: int) -> str:
    """Return a number, as a power of two if it is a large one."""
    for offset, text in ((0, ""), (1, " - 1")):
        exponent = (number + offset).bit_length() - 1
        if exponent >= 13 and number + offset == 1 << exponent:
            return f"2^{exponent}{text}"
    return f"-{power(-number)}" if number < -(1 << 12) else str(number)


def _shape(names: Any) -> str:
    return f"[{', '.join(names)}]"


def _range(low: Number | None, high: Number | None) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {_text(low)}"
    return f", {_text(low)} to {_text(high)}"


def in_place() -> str:
    """Return the operations whose result may be written over an operand."""
    return ", ".join(f"`{n}`" for n, cls in sorted(instructions().items()) if cls.in_place)


def inputs() -> str:
    """Return the inputs of a Program."""
    rows = [
        f"`{name}` | {kind.dtype} [{'sentences + 1' if name == 'source.offsets' else 'rows'}]"
        f" | {kind.domain} | {'encoder, decoder' if name in SOURCE_INPUTS else 'decoder'}"
        for name, kind in {**SOURCE_INPUTS, **TARGET_INPUTS}.items()
    ]
    return table("input | type and shape | domain | read by", rows)


def versions() -> str:
    """Return the versions that the pages describe."""
    return table(
        "| version",
        [
            f"arithmetic | {arithmetic.VERSION}",
            f"format of model files | {model_file.FORMAT}",
            f"format of shortlists | {shortlist.FORMAT}",
        ],
    )


def costs() -> str:
    """Return the limits of the cost of a Program."""
    return table(
        "| at most",
        [
            f"instructions of the encoder; of the decoder | {cost.MAX_INSTRUCTIONS:,} each",
            f"states | {cost.MAX_STATES:,}",
            f"width of a value | {power(scope.MAX_WIDTH)}",
            "multiply-adds of a row of the encoder; of a step of the decoder for one hypothesis"
            f" | {power(cost.MAX_WORK)} each",
            "the same, with attention over all keys that a row may see"
            f" | {power(cost.MAX_LONG_WORK)} each",
            f"bytes of all values of a row, for each domain | {power(cost.MAX_ROW_BYTES)}",
            "bytes of all values of the longest sentence and one hypothesis, including histories"
            f" | {power(cost.MAX_SENTENCE_BYTES)}",
            "tokens of a source; steps of a decoder with `max_steps`"
            f" | {attention.MAX_KEYS:,} each",
        ],
    )


def limits() -> str:
    """Return the limits of a model file."""
    c, t = container, tokenizer_file
    return table(
        "| at most",
        [
            f"file | {power(c.MAX_FILE_BYTES)} bytes",
            f"header | {_bytes(c.MAX_HEADER_BYTES)}",
            "dimensions of a tensor | 4, each 1 to 2^31 - 1",
            f"a tokenizer, unpacked | {_bytes(c.MAX_UNPACKED_BYTES)}, with"
            f" {_bytes(c.MAX_XZ_MEMORY)} of memory for the xz decoder",
            f"a token of a tokenizer in JSON | {_bytes(t.MOST_TOKEN)}; {_bytes(t.MOST_TEXT)} for"
            f" all tokens, {_bytes(t.MOST_TRIE)} for the pieces of a Unigram model,"
            f" {_bytes(t.MOST_ADDED)} for added tokens",
            "a regular expression of a tokenizer |"
            f" {tokenizer_patterns.MOST_CHARACTERS:,} characters, {tokenizer_patterns.MOST_LOOPS}"
            " repetitions without a limit in a sequence",
            f"tokens that end a sentence | {validate.MOST_ENDS + 1}",
            f"all deflated tensors, unpacked | {_bytes(c.MAX_INFLATED_BYTES)}, and"
            f" {c.MAX_INFLATION} times the size of their streams",
        ],
    )


def _bytes(size: int) -> str:
    unit = 2 if size >= 1 << 20 else 1
    return f"{size >> 10 * unit} {'KM'[unit - 1]}iB"


BLOCKS = {
    "versions": versions,
    "operations": operations,
    "inputs": inputs,
    "in place": in_place,
    "cost": costs,
    "limits": limits,
}
"""Blocks by name, besides `operands of NAME`."""
