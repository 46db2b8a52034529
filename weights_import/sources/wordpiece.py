"""The tokenizer of BERT (Devlin et al. 2019) from its list of tokens, `vocab.txt`.

Older folders have no tokenizer.json.  Their tokenizer is the list of tokens, one on a line, and a
few settings in `tokenizer_config.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weights_import.errors import CheckpointError

PREFIX, UNKNOWN, LONGEST_WORD = "##", "[UNK]", 100
SPECIAL = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"


def vocabulary(content: bytes) -> dict[str, int]:
    """The ids of the tokens of a list: the numbers of their lines.

    Raises CheckpointError for a list that is damaged, or has a token twice.
    """
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"not UTF-8: {error}") from None
    tokens = [line.rstrip("\r") for line in lines]
    while tokens and not tokens[-1]:
        tokens.pop()
    ids = {token: i for i, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        raise CheckpointError("a token is there twice")
    if UNKNOWN not in ids:
        raise CheckpointError(f"no token {UNKNOWN}")
    return ids


def parts(ids: Mapping[str, int], told: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a tokenizer.json with these tokens, for the settings of a configuration."""
    lower, accents = told.get("do_lower_case", True), told.get("strip_accents")
    special = [token for token in SPECIAL if token in ids]
    return {
        "model": {
            "type": "WordPiece",
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": PREFIX,
            "max_input_chars_per_word": LONGEST_WORD,
            "vocab": dict(ids),
        },
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": told.get("tokenize_chinese_chars", True) is not False,
            "strip_accents": accents if isinstance(accents, bool) else None,
            "lowercase": lower is not False,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": PREFIX, "cleanup": True},
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in sorted(special, key=ids.__getitem__)
        ],
    }
