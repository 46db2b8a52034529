"""Changes model files, and makes their digests correct."""

from __future__ import annotations

import copy
import json
import lzma
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.helpers.model_bytes import Header, parts, read_plainly, write_plainly

EXTREMES: list[Any] = [
    None, True, 0, 1, -1, 2, 127, 128, 255, 1024, 32768, 2**31 - 1, 2**31, 2**63, 10**30, -(10**30),
    0.5, 1e308, "", "x", "\ud7ff", "é" * 300, "source.ids", "target.ids", "target.positions",
    "source.offsets", "logits", [], {}, [1], {"op": "linear"}, [[]] * 3,
]  # fmt: skip
CODES = {"int8": "I8", "int16": "I16", "int32": "I32", "uint8": "U8"}
Random = np.random.Generator


def mutated(content: bytes, random: Random) -> bytes:
    """Return the bytes of a model file after one to three changes of one kind."""
    change = KINDS[int(random.integers(len(KINDS)))]
    return change(content, random)


def _raw(content: bytes, random: Random) -> bytes:
    """Flip, cut off, repeat or add bytes.  The digest is then wrong."""
    changed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        at, n = int(random.integers(len(changed))), int(random.integers(1, 64))
        match int(random.integers(4)):
            case 0:
                changed[at] = int(random.integers(256))
            case 1:
                del changed[at:]
            case 2:
                changed[at:at] = changed[at : at + n]
            case 3:
                changed[at : at + n] = random.bytes(n)
        changed = changed or bytearray(b"\0")
    return bytes(changed)


def _header(content: bytes, random: Random) -> bytes:
    """Change the entry of a tensor, or other bytes of the header."""
    header, body = parts(content)
    if random.random() < 0.2:
        raw = bytearray(json.dumps(header).encode())
        raw[int(random.integers(len(raw)))] = int(random.integers(256))
        return write_plainly(bytes(raw), body)
    change_somewhere(header, random)
    return write_plainly(header, body)


def _document(content: bytes, random: Random) -> bytes:
    """Change fields of the Program or of the rest of the document."""
    document, tensors = read_plainly(content)
    for _ in range(random.integers(1, 4)):
        change_somewhere(document, random)
    return _written(document, tensors)


def _names(content: bytes, random: Random) -> bytes:
    """Change the tensors and values of operands.  Remove tensors without a reference."""
    document, tensors = read_plainly(content)
    program = document["program"]
    instructions = [i for side in ("encoder", "decoder") for i in program[side]]
    for _ in range(random.integers(1, 5)):
        one, other = (instructions[int(i)] for i in random.integers(0, len(instructions), 2))
        fields, others = (
            [n for n, value in i.items() if isinstance(value, str) and n != "op"]
            for i in (one, other)
        )
        if fields and others:
            one[random.choice(fields)] = other[random.choice(others)]
    named = {value for i in instructions for value in i.values() if isinstance(value, str)}
    kept = {n: t for n, t in tensors.items() if n in named or n.startswith("tokenizer")}
    document["deflated"] = {n: d for n, d in document["deflated"].items() if n in kept}
    return _written(document, kept)


def _many(content: bytes, random: Random) -> bytes:
    """Repeat one instruction or all instructions many times, or add many states."""
    document, tensors = read_plainly(content)
    program = document["program"]
    times = int(10 ** random.uniform(0.5, 3.5))
    if program["states"] and random.random() < 0.3:
        state = program["states"][0]
        program["states"] = [{**state, "value": f"s{n}"} for n in range(times)]
        return _written(document, tensors)
    at = int(random.integers(len(program["decoder"])))
    one = program["decoder"][at]
    results = [n for n in ("out", "wide", "exponent", "next_state", "next_history") if one.get(n)]
    more = [{**one, **{n: f"{one[n]}.{k}" for n in results}} for k in range(times)]
    program["decoder"][at:at] = more
    return _written(document, tensors)


def _tensor(content: bytes, random: Random) -> bytes:
    """Change the elements, the shape or the type of a tensor."""
    document, tensors = read_plainly(content)
    for _ in range(random.integers(1, 4)):
        name = sorted(tensors)[int(random.integers(len(tensors)))]
        tensor = tensors[name].copy()
        match int(random.integers(5)):
            case 0:
                flat = tensor.reshape(-1).view(np.uint8)
                flat[int(random.integers(len(flat)))] = int(random.integers(256))
            case 1:
                limits = np.iinfo(tensor.dtype)
                tensor[...] = random.choice([limits.min, limits.max, 0, 1])
            case 2:
                tensor = tensor.reshape(-1)[: max(1, tensor.size // 2)]
            case 3:
                tensor = tensor.T if tensor.ndim > 1 else tensor.reshape(1, -1)
            case 4:
                tensor = tensor.astype(random.choice(["int8", "int16", "int32"]))
        tensors[name] = tensor
    return _written(document, tensors)


def _tokenizer(content: bytes, random: Random) -> bytes:
    """Change bytes of the SentencePiece model inside its xz stream."""
    document, tensors = read_plainly(content)
    model = bytearray(lzma.decompress(tensors[document["source"]["tensor"]].tobytes()))
    for _ in range(random.integers(1, 8)):
        model[int(random.integers(len(model)))] = int(random.integers(256))
    if random.random() < 0.1:
        model = model[: int(random.integers(1, len(model)))]
    return with_tokenizer(content, bytes(model))


def with_tokenizer(content: bytes, model: bytes) -> bytes:
    """Return the file with another SentencePiece model for its source."""
    document, tensors = read_plainly(content)
    packed = np.frombuffer(lzma.compress(model), np.uint8)
    return _written(document, {**tensors, document["source"]["tensor"]: packed})


KINDS: list[Callable[[bytes, Random], bytes]] = [
    _raw, _header, _document, _document, _names, _names, _many, _tensor, _tensor, _tokenizer,
]  # fmt: skip


def change_somewhere(document: Any, random: Random) -> None:
    """Replace, remove or duplicate a value at a random place of a JSON document."""
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        inside = waiting.pop()
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        places += [(inside, key) for key in keys]
        waiting += [inside[key] for key in keys if isinstance(inside[key], dict | list)]
    inside, key = places[int(random.integers(len(places)))]
    elsewhere, other = places[int(random.integers(len(places)))]
    match int(random.integers(5)):
        case 0:
            del inside[key]
        case 1:
            inside[key] = copy.deepcopy(elsewhere[other])
        case 2 if isinstance(inside, list):
            inside.insert(key, copy.deepcopy(inside[key]))
        case 3 if isinstance(inside[key], int):
            inside[key] += int(random.choice([-1, 1, 64]))
        case _:
            inside[key] = EXTREMES[int(random.integers(len(EXTREMES)))]


def _written(document: Header, tensors: dict[str, np.ndarray]) -> bytes:
    """Return a file of this document and these tensors, in the layout of `container.pack`."""
    header: Header = {"__metadata__": {"int8ref": json.dumps(document)}}
    body = bytearray()
    tensors = {name: tensor for name, tensor in tensors.items() if name != "trailer.sha256"}
    for name in sorted(tensors, key=lambda name: (-tensors[name].itemsize, name)):
        data = tensors[name].tobytes()
        offsets = [len(body), len(body) + len(data)]
        kind, shape = CODES[tensors[name].dtype.name], list(tensors[name].shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": offsets}
        body += data
    trailer = [len(body), len(body) + 32]
    header["trailer.sha256"] = {"dtype": "U8", "shape": [32], "data_offsets": trailer}
    return write_plainly(header, bytes(body))
