"""How files that no reader reads are recognised, and what is said of them: one sentence that tells
what was found and the way round."""

from __future__ import annotations

import re
from typing import NamedTuple

from int8ref.files.model_file import METADATA

HEAD_BYTES = 1 << 10
"""Of a file, that are looked at."""

SAVE = "model.save_pretrained(FOLDER)"
PICKLE = (
    "a pickle that torch.save has not written, which may run code when Python reads it, so it is"
    f" not read; load it in a program that you trust and save it as safetensors: {SAVE}"
)
SCRIPT = (
    "a program of TorchScript, which is code, so it is not read; import the checkpoint that it was"
    " made of"
)
UNPACK = "; unpack it and give the folder or the file inside"
TENSORFLOW = (
    "a model of TensorFlow, which is not read; where transformers can load it, save it as"
    f" safetensors: {SAVE}"
)
FLAX = TENSORFLOW.replace("TensorFlow", "Flax")
POINTER = (
    "a pointer of {}, not the file itself; fetch the file first, for example by `git {} {}`, or"
    " download it again"
)


class Sign(NamedTuple):
    """What a file begins with, as a regular expression, and what is said of it."""

    start: re.Pattern[bytes]
    said: str


def _sign(start: bytes, said: str) -> Sign:
    return Sign(re.compile(start, re.DOTALL | re.IGNORECASE), said)


EVERYWHERE = (
    _sign(rb"version https://git-lfs", POINTER.format("Git LFS", "lfs", "pull")),
    _sign(rb"(\.\./)*(\.git)?/?annex/objects/", POINTER.format("git-annex", "annex", "get")),
    _sign(
        rb"\s*(<!doctype html|<html)",
        "a page of the web, not a checkpoint; download the file itself, not the page that shows it",
    ),
    _sign(
        rb"\s*(<\?xml|<net )",
        "XML, such as OpenVINO writes, which is not read; import the model that it was made of",
    ),
    _sign(rb"\x1f\x8b", f"packed by gzip{UNPACK}"),
    _sign(rb"\xfd7zXZ\0", f"packed by xz{UNPACK}"),
    _sign(rb"BZh[1-9]1AY&SY", f"packed by bzip2{UNPACK}"),
    _sign(rb"\x28\xb5\x2f\xfd", f"packed by zstd{UNPACK}"),
    _sign(rb"\x04\x22\x4d\x18", f"packed by lz4{UNPACK}"),
    _sign(rb"7z\xbc\xaf\x27\x1c", f"packed by 7-Zip{UNPACK}"),
    _sign(rb"Rar!\x1a\x07", f"packed by RAR{UNPACK}"),
    _sign(rb".{257}ustar", f"a tar archive{UNPACK}"),
)
"""What may stand in the place of any file, a tokenizer too, in the order in which it is tried."""

SIGNS = (
    *EVERYWHERE,
    _sign(
        rb"GGML|lmgg|fmgg|tjgg|algg",
        "a model of llama.cpp in GGML, the format before GGUF, which is not read; import a GGUF"
        " file, or the checkpoint that it was made of",
    ),
    _sign(rb"\x89HDF\r\n\x1a\n", TENSORFLOW),
    _sign(rb".{4}TFL3", "a model of TensorFlow Lite, which is not read; import its source"),
    _sign(
        rb"\x08[\x01-\x0f]\x12.*(coreml|com\.apple)",
        "a model of Core ML, which is not read, because it holds a graph and not an architecture;"
        " import the checkpoint that it was converted from",
    ),
    _sign(
        rb"\x12\x01\0\0\0\0\0\0",
        "parameters of MXNet, as Sockeye 1 and 2 have them, which are not read; convert them by"
        " `python -m sockeye.mx_to_pt` of Sockeye 3.0",
    ),
    _sign(rb"\x08\x01\x12", TENSORFLOW),
    _sign(
        rb"\x08[\x02-\x1f][\x12\x1a\x22\x2a\x30\x3a]",
        "an ONNX model, which is not read, because it holds a graph and not an architecture; import"
        " the checkpoint that it was exported from",
    ),
    _sign(rb"\x80[\x01-\x05]|\(dp\d|\(lp\d|ccopy_reg\n|c__builtin__\n", PICKLE),
    _sign(rb"[\x81-\x8f\xde\xdf].{0,4}[\xa1-\xbf\xd9]", FLAX),
    _sign(
        rb"\x93NUMPY",
        "one array of NumPy; a checkpoint has many, as in Marian's .npz with its options",
    ),
)
"""In the order in which they are tried."""

MEMBERS = (
    (re.compile(r"(.*/)?constants\.pkl"), SCRIPT),
    (re.compile(r"(.*/)?data\.pkl"), PICKLE),
    (re.compile(r"(.*/)?model\.weights\.h5"), TENSORFLOW),
    (
        re.compile(r"(arg|aux):.*\.npy"),
        "arrays of MXNet, as Sockeye 1 and 2 have them, which are not read; import the params.best"
        " that Sockeye 3 makes of them",
    ),
    (
        re.compile(r".*\.npy"),
        "arrays of NumPy without the options of a Marian model (special:model.yml), so nothing"
        " tells which model they are of",
    ),
    (re.compile(r".*"), f"a zip archive{UNPACK}"),
)
"""What is said of a zip by a member of it."""

TENSORFLOW_INDEX = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""What a table of LevelDB ends with, in which TensorFlow keeps a checkpoint's index."""

HEADERS = (
    (
        re.compile(rb"\.lora_|base_model\.model\."),
        "an adapter (LoRA), which is a change to another model; merge it into that one"
        " (merge_and_unload of the library peft), save the whole as safetensors and import that",
    ),
    (
        re.compile(rb'\.(qweight|qzeros|absmax|weight_packed|weight_scale_inv|SCB)["qrhc(\x94]'),
        "weights that are quantised already (such as GPTQ, AWQ, bitsandbytes), which are not read;"
        " import the checkpoint in floats that they were made of",
    ),
    (
        re.compile(rb"\.att\.time_(mix|decay|maa)|\.mixer\.A_log"),
        "a model of RWKV or Mamba, which is not read, because it is no Transformer; import a"
        " Transformer of that size",
    ),
    (
        re.compile(rb"(?<![\w.])(encoder\.conv1\.weight|decoder\.blocks\.0\.cross_attn)"),
        "Whisper in the form of its own program, which is not read, because it takes sound and"
        " int8ref computes texts alone; import a model that takes texts",
    ),
    (
        re.compile(rb"(?<![\w.])(tok_embeddings|layers\.0\.attention\.wq)\.weight"),
        "the names of Meta's and Mistral's own programs; import the files of the same model for"
        " transformers",
    ),
)
"""Sentences about a checkpoint, by the text that names its tensors."""

ADAPTER = HEADERS[0][1]
OWN = re.compile(rf'"{METADATA}"'.encode())
IMPORTED = "a model file of int8ref already, which translates as it is: give it to -m"


def stand_in(start: bytes) -> str:
    """The kind of a file that stands in the place of another file, by its first bytes.

    Such files are pointers and packed files.  The result is empty for other files.
    """
    return next((sign.said for sign in EVERYWHERE if sign.start.match(start)), "")
