"""Damages small checkpoints of every format, and reads them in its own process.

    python fuzz_checkpoints.py FOLDER FIRST COUNT

Mutation number n is equal in every run.  A checkpoint must be read or rejected.  For each other
outcome, the program prints a line of JSON: another exception, more time than SECONDS, or more
memory than MEMORY.  The last line is {"done": COUNT}.  It is missing if a signal ends the process.
"""

from __future__ import annotations

import io
import json
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import real_ctranslate2_decoder
import tiny_argos
import tiny_ctranslate2
import tiny_decoders
import tiny_frameworks
import tiny_gguf
import tiny_hugging_face
import tiny_llama
import tiny_marian
import tiny_training
import torch_writer
from safetensors.numpy import load_file, save_file

from int8ref.errors import UserError
from weights_import import sources
from weights_import.sources import marian_shortlist
from weights_import.sources.llama2c import NAMES
from weights_import.sources.vocabulary import Piece, byte_pairs

SECONDS = 10
MEMORY = 1 << 30
"""Bytes of address space beyond the address space before the first mutation."""
SIZES = (
    0,
    1,
    2,
    3,
    127,
    255,
    256,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63,
    2**64 - 1,
)
VALUES = (
    "null", "true", "false", "0", "-1", "1", "2", "1.5", "-0.0", "1e400", "NaN", "Infinity",
    "16777216", "2147483647", "2147483648", "9223372036854775808", "1" + "0" * 400, "1" * 5000,
    '""', '"x"', '"\\ud800"', '"\\u0000\\n"', f'"{"y" * 3000}"', "[]", "[[]]", "{}", '{"a": {}}',
    "[0, 0]", "[-1]", '["default"]', "[" * 3000 + "]" * 3000, '{"a":' * 9999 + "1" + "}" * 9999,
)  # fmt: skip
"""JSON values that may replace any other value."""


def pieces(folder: Path, name: str, count: int) -> None:
    """Write a SentencePiece model of `count` pieces, with <unk>, <s> and </s>."""
    listed = [*NAMES.values(), "\u2581", *"abcdefghi"][:count]
    names = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
    made = byte_pairs({piece: Piece(-float(i)) for i, piece in enumerate(listed)}, **names)
    (folder / name).write_bytes(made)


def marian(folder: Path, quantised: bool = False) -> None:
    content = tiny_marian.write_bin(tiny_marian.stored(0, quantised))
    (folder / "model.bin").write_bytes(content)
    numbers = {p: i for i, p in enumerate(["</s>", "<unk>", *"abcdefghi"])}
    (folder / "vocab.yml").write_text("".join(f"{p}: {i}\n" for p, i in numbers.items()))
    pieces(folder, "vocab.spm", 13)


def marian_npz(folder: Path) -> None:
    arrays: dict[str, Any] = {name: item.values for name, item in tiny_marian.stored(0).items()}
    arrays["special:model.yml"] = np.frombuffer(tiny_marian.OPTIONS.encode() + b"\0", np.int8)
    np.savez(folder / "model.npz", **arrays)
    pieces(folder, "vocab.spm", 11)


def marian_of_transformers(folder: Path) -> None:
    tiny_hugging_face.write(folder)
    numbers = {p: i for i, p in enumerate(["</s>", "<unk>", *"abcdefghij", "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "generation_config.json").write_text('{"eos_token_id": 0, "bos_token_id": 0}')
    for side in ("source", "target"):
        pieces(folder, f"{side}.spm", 13)


def bart(folder: Path) -> None:
    listed = {"grapheme_chars": "____abcdef", "phoneme_chars": "____ABCDEFGHI"}
    tiny_hugging_face.write(
        folder, tiny_hugging_face.bart_tensors(), **(tiny_hugging_face.BART | listed)
    )


def llama(folder: Path) -> None:
    scaled = {"rope_scaling": {"type": "default"}, "sliding_window": 32, "head_dim": 6}
    tiny_llama.write(folder, **scaled)
    pieces(folder, "tokenizer.model", 10)
    added = [{"id": 1, "content": "<s>", "special": True}]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    (folder / "tokenizer_config.json").write_text('{"added_tokens_decoder": {}}')


def llama2c(folder: Path) -> None:
    tiny_llama.write_llama2c(folder)


def llama2c_1(folder: Path) -> None:
    tiny_llama.write_llama2c(folder, version=1, tied=True)


def ctranslate2(folder: Path) -> None:
    tiny_ctranslate2.write(folder)


def ctranslate2_2(folder: Path) -> None:
    content = tiny_ctranslate2.quantised(tiny_ctranslate2.tensors(), "int8")
    older = {name.replace("embeddings_0", "embeddings"): value for name, value in content.items()}
    packing: dict[str, Any] = {"version": 3, "named": "TransformerBase", "revision": 2}
    tiny_ctranslate2.write(folder, older, **packing)


def decoder_of_ctranslate2(folder: Path) -> None:
    real_ctranslate2_decoder.write(folder, "Llama, longer")


def torch_zip(folder: Path) -> None:
    content = tiny_llama.write(folder)
    saved = torch_writer.saved(dict(load_file(content)))
    content.unlink()
    (folder / "pytorch_model.bin").write_bytes(saved)


def torch_legacy(folder: Path) -> None:
    torch_zip(folder)
    tensors = tiny_decoders.tensors(tiny_decoders.CASES["gpt_neox"])
    (folder / "config.json").write_text(json.dumps(tiny_decoders.CASES["gpt_neox"]))
    (folder / "pytorch_model.bin").write_bytes(torch_writer.saved(tensors, legacy=True))


def parts(folder: Path) -> None:
    """A checkpoint of two parts and their index."""
    content = load_file(tiny_llama.write(folder))
    (folder / "model.safetensors").unlink()
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    told = {name: names[i % 2] for i, name in enumerate(content)}
    for name in names:
        save_file({n: x for n, x in content.items() if told[n] == name}, folder / name)
    index = json.dumps({"weight_map": told})
    (folder / "model.safetensors.index.json").write_text(index)


def gguf(folder: Path) -> None:
    tokens = ["<unk>", "<s>", "</s>", *"abcdefghij"]
    keys = {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(i) for i in range(13)],
        "tokenizer.ggml.token_type": [2, 3, 3, *[1] * 10],
    }  # fmt: skip
    tiny_gguf.write(folder, "llama, llama3", keys=keys)


def gguf_2(folder: Path) -> None:
    keys = {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": [*"abcdefghij", "ab", "cd", "<e>"],
        "tokenizer.ggml.token_type": [*[1] * 12, 3], "tokenizer.ggml.merges": ["a b", "c d"],
        "tokenizer.ggml.pre": "llama-bpe",
    }  # fmt: skip
    tiny_gguf.write(folder, "gpt2", keys=keys, kind="F16", version=2)


def argos(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        tiny_argos.write(folder / "x.argosmodel", tiny_argos.files(Path(made)))


def kind_of_transformers(folder: Path) -> None:
    tiny_decoders.write(folder, "phi3, longrope")
    pieces(folder, "tokenizer.model", 10)


def of_framework(case: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        tiny_frameworks.write(folder, case)

    return write


def training(folder: Path) -> None:
    tiny_training.write(folder)


def shortlist(folder: Path) -> None:
    body = struct.pack("<4Q", 2, 5, 12, 22) + struct.pack("<12Q", *range(0, 24, 2))
    body += struct.pack("<22I", *[1, 2] * 11)
    (folder / "lex.s2t.bin").write_bytes(struct.pack("<2Q", marian_shortlist.MAGIC, 0) + body)


FORMATS: tuple[Callable[[Path], None], ...] = (
    marian,
    lambda folder: marian(folder, quantised=True),
    marian_npz,
    marian_of_transformers,
    bart,
    llama,
    llama2c,
    llama2c_1,
    ctranslate2,
    ctranslate2_2,
    training,
    shortlist,
    decoder_of_ctranslate2,
    torch_zip,
    torch_legacy,
    parts,
    gguf,
    gguf_2,
    argos,
    kind_of_transformers,
    of_framework("fairseq, post-norm"),
    of_framework("OpenNMT-py, version 2"),
    of_framework("JoeyNMT, pre-norm"),
    of_framework("Sockeye, post-norm"),
)


def flip(content: bytes, draw: random.Random) -> bytes:
    """Change some bytes, mostly near the beginning."""
    found = bytearray(content)
    reach = len(found) if draw.random() < 0.3 else min(len(found), 4096)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        if reach:
            found[draw.randrange(reach)] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
    return bytes(found)


def resize(content: bytes, draw: random.Random) -> bytes:
    """Change bytes that may be a size."""
    layout = draw.choice(("<H", "<I", "<I", "<Q"))
    width = struct.calcsize(layout)
    if len(content) < width:
        return content
    at = draw.randrange(min(len(content) - width + 1, 4096))
    at -= at % 4 if draw.random() < 0.7 else 0
    size = draw.choice(SIZES) % (1 << 8 * width)
    return content[:at] + struct.pack(layout, size) + content[at + width :]


def cut(content: bytes, draw: random.Random) -> bytes:
    """Cut the end off, add bytes, or remove or repeat a slice."""
    at, end = sorted((draw.randrange(len(content) + 1), draw.randrange(len(content) + 1)))
    made = content[:at], content + content[at:end], content[:at] + content[end:]
    return draw.choice((*made, content[:end] + content[at:], content[:at]))


def replace_json(content: bytes, draw: random.Random) -> bytes:
    """Replace, remove or repeat a value of a JSON text or of the header of a safetensors file."""
    begin, end = 0, len(content)
    if content[8:9] == b"{":
        begin, end = 8, 8 + struct.unpack("<Q", content[:8])[0]
    try:
        told = json.loads(content[begin:end])
    except ValueError:
        return flip(content, draw)
    places = list(walk(told))
    if not places:
        return draw.choice(VALUES).encode()
    parent, key = draw.choice(places)
    kind = draw.random()
    if kind < 0.1 and isinstance(parent, dict):
        del parent[key]
        text = json.dumps(told)
    elif kind < 0.2 and isinstance(parent, dict):
        parent["@@"] = parent[key]
        text = json.dumps(told).replace('"@@"', json.dumps(key))
    else:
        parent[key] = "@@"
        text = json.dumps(told).replace('"@@"', draw.choice(VALUES), 1)
    made = text.encode(errors="replace")
    return struct.pack("<Q", len(made)) + made + content[end:] if begin else made


def walk(told: Any, depth: int = 3) -> Any:
    """Yield every (container, key) of a JSON value."""
    keys = (
        told.keys() if isinstance(told, dict) else range(len(told) if isinstance(told, list) else 0)
    )
    for key in list(keys):
        yield told, key
        if depth:
            yield from walk(told[key], depth - 1)


def replace_yaml(content: bytes, draw: random.Random) -> bytes:
    """Replace a value of Marian's options by another value with the same number of bytes."""
    options = tiny_marian.OPTIONS.encode()
    at = content.find(options[:16])
    if at < 0:
        return flip(content, draw)
    value = draw.choice(VALUES).encode(errors="replace")[: len(options) // 2]
    lines = options.splitlines()
    lines[draw.randrange(len(lines))] = (
        draw.choice((b"dim-emb", b"enc-depth", b"type")) + b": " + value
    )
    made = b"\n".join(lines)[: len(options)].ljust(len(options))
    return content[:at] + made + content[at + len(options) :]


def replace_member(content: bytes, draw: random.Random) -> bytes:
    """Damage a member of a zip, and write the zip anew, so that its sums are right."""
    if not content.startswith(b"PK"):
        return flip(content, draw)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    victim = draw.choice(sorted(members))
    if draw.random() < 0.6:  # what tells of the others is small
        victim = min(members, key=lambda name: (not name.endswith(("pkl", "json")), len(name)))
    members[victim] = draw.choice((flip, resize, cut, replace_json))(members[victim], draw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as made:
        for name, one in members.items():
            made.writestr(name, one)
    return out.getvalue()


MUTATORS = flip, flip, resize, resize, cut, replace_json, replace_json, replace_yaml


def mutate(folder: Path, draw: random.Random) -> str:
    """Damage one file of a checkpoint.  Return a description of the change."""
    victim = draw.choice(sorted(folder.iterdir()))
    content = victim.read_bytes()
    kind = draw.choice(MUTATORS)
    if content.startswith(b"PK") and draw.random() < 0.6:
        kind = replace_member
    if victim.suffix == ".json":
        kind = draw.choice((flip, cut, replace_json, replace_json, replace_json))
    victim.write_bytes(kind(content, draw))
    return f"{kind.__name__} of {victim.name}"


def attempt(folder: Path) -> None:
    """Read the checkpoint as the command does before the long work."""
    lists = marian_shortlist.find(folder)
    if lists is not None:
        marian_shortlist.read(lists, b"a", b"b")
        return
    sources.files(folder)
    model = sources.read(folder)
    assert set(model.tokenizers) <= {"source", "target"}


def late(*arguments: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def run(folder: Path, first: int, count: int) -> None:
    """Try these mutations, and report wrong outcomes."""
    kept = []
    for number, write in enumerate(FORMATS):
        kept.append(folder / f"format{number}")
        kept[-1].mkdir()
        write(kept[-1])
    signal.signal(signal.SIGALRM, late)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY,) * 2)
    for number in range(first, first + count):
        draw = random.Random(number)
        work = folder / "work"
        shutil.copytree(kept[number % len(kept)], work)
        done = mutate(work, draw)
        print(json.dumps({"trying": number}), file=sys.stderr, flush=True)
        signal.alarm(SECONDS)
        try:
            attempt(work)
        except UserError as error:
            if "\n" in str(error) or len(str(error)) > 20_000:
                print(json.dumps({"mutation": number, "what": done, "error": str(error)[:300]}))
        except BaseException:
            told = traceback.format_exc()
            print(json.dumps({"mutation": number, "what": done, "error": told}), flush=True)
        finally:
            signal.alarm(0)
            shutil.rmtree(work)
    print(json.dumps({"done": count}))


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
