"""Reads tokenizers that were changed:

python -m tests.fuzz.tokenizers [--first N] [--count N]

A tokenizer is refused, or cuts texts and joins tokens.  None takes more than SECONDS of processor
time or more than MEMORY bytes, ends the process, or makes the library fail.
"""

from __future__ import annotations

import argparse
import base64
import copy
import faulthandler
import io
import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import numpy as np
import sentencepiece

from int8ref.errors import UserError
from int8ref.files import protobuf
from int8ref.files.model_file import Tokenizer
from int8ref.files.sentencepiece_file import UnsafeModelError
from int8ref.files.tokenizer import CHECKS
from int8ref.files.tokenizer_file import UnsafeTokenizerError
from int8ref.text.tokenizer_json import FAULT
from int8ref.text.tokenizers import KINDS
from tests.fuzz.children import in_a_child
from tests.fuzz.mutations import Random, change_somewhere
from tests.helpers.models import SENTENCES
from tests.helpers.tokenizer_kinds import CHAT, trained
from tests.helpers.tokenizer_kinds import KINDS as TRAINED
from weights_import.sources.subword import subword_tokenizer
from weights_import.sources.tokenizer_json import of_json

SECONDS = 10
MEMORY = 2 << 30
"""Address space beyond the initial address space of the process."""
BLOCK = 100
TEXTS = (
    *SENTENCES, "", " ", "\n\r\t", "a" * 3000, " " * 3000, "aA1 " * 500, "\0\ufeff\u0301",
    f"x{CHAT}y",
    "\U0001f408\U0001f408 漢字 é\u0301\u2581", "<unk></s><0x41>", "[UNK]##a", "'s'S\u212a\u0130ß",
)  # fmt: skip
PARTS = "normalizer", "pre_tokenizer", "decoder", "added_tokens"
PATTERNS = (
    "(a+)+$", "(a|a)*b", "a*a*a*a*b", r"\s*\s*x", "(?=a*)*", r"(\w+)\1", "[", "(", "a{1000}", "",
    "x{,}",
    "(?<=a)b", r"\p{L}+", "(?:)", "^", "$", "|", r"\b", "(?i)a", "[^a]*[^b]*", "a{2,3}{2,3}",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=500, help="how many tokenizers")
    options = parser.parse_args()
    faulthandler.enable()
    originals()
    ends = Counter[str]()
    seeds = range(options.first, options.first + options.count)
    for at in range(0, len(seeds), BLOCK):
        ends += in_a_child(outcome, seeds[at : at + BLOCK], SECONDS, MEMORY)
    print(f"{options.count} tokenizers: {dict(ends)}")
    return 0


@cache
def originals() -> list[dict[str, Any]]:
    """Return tokenizers of each kind, one with a character map, and one of byte pairs."""
    found = [json.loads(trained(kind, SENTENCES * 4, 300)) for kind in TRAINED]
    content = {"type": "Precompiled", "precompiled_charsmap": character_map()}
    mapped = found[TRAINED.index("unigram")]
    mapped["normalizer"] = {"type": "Sequence", "normalizers": [content, mapped["normalizer"]]}
    pieces = {"<unk>": 0, "a@@": 1, "t": 2, "at": 3, "c@@": 4}
    pairs = msgspec.json.decode(subword_tokenizer(b"#version: 0.2\na t</w>\nc at</w>\n", pieces))
    return [*found, pairs]


def character_map() -> str:
    """Return the character map of SentencePiece's usual rules, in base 64."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4), model_writer=out, vocab_size=64, num_threads=1,
        hard_vocab_limit=False, normalization_rule_name="nmt_nfkc", minloglevel=2,
    )  # fmt: skip
    normalizer = next(v for n, _, v in protobuf.fields(out.getvalue()) if n == 3)
    (found,) = (v for n, _, v in protobuf.fields(normalizer) if n == 2)
    return base64.b64encode(found).decode()


def mutated(random: Random) -> bytes:
    """Return the bytes of a tokenizer after a few changes."""
    told = copy.deepcopy(originals()[int(random.integers(len(originals())))])
    for _ in range(random.integers(1, 5)):
        change(told, random)
    content = bytearray(json.dumps(told).encode())
    if random.random() < 0.1:
        for _ in range(random.integers(1, 9)):
            content[int(random.integers(len(content)))] = int(random.integers(256))
    return bytes(content)


def change(told: dict[str, Any], random: Random) -> None:
    """Change a part, a field of the model, a pattern, a character map, or any value."""
    parts = {name: told[name] for name in PARTS if told.get(name)}
    model = told.get("model", told.get("subword"))
    match int(random.integers(12)):
        case 0 if parts:
            change_somewhere(parts, random)
            told.update(parts)
        case 1 | 2 | 3 | 4 | 5 | 6 | 7 if parts:
            change_a_leaf([parts, *([model] if isinstance(model, dict) else [])], random)
        case 8 if isinstance(model, dict):
            scalars = {n: v for n, v in model.items() if not isinstance(v, dict | list)}
            if scalars:
                change_somewhere(scalars, random)
                model.update(scalars)
        case 9:
            pattern = {"Regex": PATTERNS[int(random.integers(len(PATTERNS)))]}
            split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
            told["pre_tokenizer"] = split
        case 10:
            content = {"type": "Precompiled", "precompiled_charsmap": changed_map(random)}
            told["normalizer"] = content
        case _ if told:
            change_somewhere(told, random)


def change_a_leaf(roots: list[Any], random: Random) -> None:
    """Replace a value by another value of its type, or change the order of a list."""
    places: list[tuple[Any, Any]] = []
    waiting = list(roots)
    while waiting:
        inside = waiting.pop()
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        keys = [key for key in keys if key not in ("vocab", "merges", "type")]
        places += [(inside, key) for key in keys]
        waiting += [inside[key] for key in keys if isinstance(inside[key], dict | list)]
    if not places:
        return
    inside, key = places[int(random.integers(len(places)))]
    match inside[key]:
        case bool(value):
            inside[key] = not value
        case int():
            inside[key] = int(random.choice([0, 1, 2, 300, 303, 304]))
        case str():
            inside[key] = STRINGS[int(random.integers(len(STRINGS)))]
        case list(value) if value:
            inside[key] = [value[i] for i in random.integers(0, len(value), len(value) + 1)]


STRINGS = (
    "", " ", "\u2581", "a", "\u0301", "<unk>", "</s>", "the", "\n", "##", "\U0001f408", "ab" * 20,
    "always", "never", "Removed", "Contiguous", "MergedWithNext", " a ", "\u212b", "\0",
)  # fmt: skip


def changed_map(random: Random) -> str:
    content = bytearray(base64.b64decode(character_map_once()))
    for _ in range(random.integers(0, 5)):
        content[int(random.integers(len(content)))] = int(random.integers(256))
    return base64.b64encode(content).decode()


character_map_once: Callable[[], str] = cache(character_map)


def outcome(seed: int) -> str:
    """Return the outcome of a changed tokenizer.  Raises any error for a wrong outcome."""
    random = np.random.default_rng(seed)
    content = mutated(random)
    try:
        if not content.startswith(b'{"subword"'):
            content = of_json(content, int(random.choice([0, 5000])))
        kind = Tokenizer.of(content).kind
        CHECKS[kind][1](content)
        tokenizer = KINDS[kind](content)
        for text in TEXTS:
            ids = tokenizer.encode(text)
            assert all(0 <= token < tokenizer.size for token in ids), (seed, text)
            assert all(ids[i] >= 0 for i, _ in tokenizer.unknown(text, ids))
            "".join([tokenizer.text(ids), *tokenizer.pieces(ids)]).encode()
        several = random.integers(0, tokenizer.size, 50).tolist()
        assert "\n" not in tokenizer.decode(several)
    except (UserError, UnsafeModelError, UnsafeTokenizerError) as error:
        if FAULT in str(error) or "\n" in str(error):
            raise SystemExit(f"seed {seed}: {error}") from None
        return "refused"
    return "works"


if __name__ == "__main__":
    raise SystemExit(main())
