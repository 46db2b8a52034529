"""Files that stand for the files of a reader: tiny models with random weights, and short texts.

A page names a file, such as `nllb.safetensors`, and its reader has this file.  A test has a file of
the same kind under the same name.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from int8ref.files.model_file import Model, save
from tests.helpers.encoders import build_encoder
from tests.helpers.many_languages import speaking
from tests.helpers.models import build_tiny_model
from tests.weights_import import tiny_llama

ROOT = Path(__file__).parents[2]
COPIED = ("reference_c", "examples/rtl")
"""Folders of the project in which the commands of pages write."""
_BUILT = shutil.ignore_patterns("build", "int8ref_c", "int8ref_c_checked", "__pycache__")

TEXTS = {
    "book.pt.txt": "O sol nasceu.\nO gato dorme.\n",
    "lines.de.txt": "Tom schläft.\nDas Buch ist hier.\n",
    "lines.en.txt": "The cat drinks water.\n\nGood morning.\n",
    "lines.pt.txt": "O gato bebe água.\n\nBom dia.\n",
    "lines.tsv": "The cat drinks water.\tUm gato\nGood morning.\n",
    "lines.txt": "The cat drinks water.\nGood morning.\n",
    "pairs.tsv": "The cat\tO gato\nThe sun\tO sol\n",
    "news.txt": "Tom is here.\nThe book is old.\n",
    "prompts.jsonl": '{"prompt": "Tim ran.\\nThen"}\n',
    "table.tsv": "Tom is here.\t1\n",
    "test.txt": "The cat was red.\nThe dog was big.\n",
}
MODELS: dict[str, Callable[[], Model]] = {
    "lm.safetensors": partial(build_tiny_model, 4, "decoder"),
    "minilm.safetensors": build_encoder,
    "model.safetensors": partial(build_tiny_model, 2),
    "nllb.safetensors": speaking,
    "sentiment.safetensors": partial(build_encoder, "labels"),
    "stories.safetensors": partial(build_tiny_model, 4, "decoder"),
}


def _llama(folder: Path) -> None:
    folder.mkdir()
    tiny_llama.write_llama2c(folder)


CHECKPOINTS: dict[str, Callable[[Path], None]] = {"stories260K": _llama}


def make(folder: Path, commands: str) -> None:
    """Write the files that commands or programs name."""
    named = set(re.findall(r"[\w./-]+", commands))
    for name in named & set(TEXTS):
        (folder / name).write_text(TEXTS[name], "utf-8")
    for name in named & set(MODELS):
        save(folder / name, MODELS[name]())
    for name, write in CHECKPOINTS.items():
        if f"{name}/" in named:
            write(folder / name)
    for name in COPIED:
        if any(f"{name}/".startswith((f"{word}/", "./" + word)) and word for word in named):
            shutil.copytree(ROOT / name, folder / name, ignore=_BUILT)
