"""Regular expressions of tokenizers: those of real models are accepted, slow ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.files.tokenizer_patterns import UnsafePatternError, check

REAL = {
    "GPT-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "Llama 3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "Kimi": r"[\p{Han}]+|[\p{Ll}\p{M}&&[^\p{Han}]]*[\p{Lu}&&[^\p{Han}]]+(?i:'s)?|\s+",
    "BLOOM": r" ?[^(\s|[.,!?\u2026\u3002\uff0c\u0964])]+",
    "CLIP": r"<\|startoftext\|>|<\|endoftext\|>|'s|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "DeepSeek": "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
    "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*",
    "Falcon": "[0-9][0-9][0-9]",
    "spaces": " {2,}",
    "end of line": r"\s+$",
    "a flag": "(?i)abc",
    "not greedy": "a+?b{2,3}?c*+",
}


@pytest.mark.parametrize("name", REAL)
def test_those_of_real_models(name: str) -> None:
    check(REAL[name])


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "0 characters"),
        ("a" * 5000, "5000 characters"),
        ("(a+)+$", "a group repeats"),
        ("(a|a)*b", "a group repeats"),
        ("(?:ab){3}", "a group repeats"),
        ("a*a*a*", "more than 2 repetitions|is not optional"),
        ("a*b+c+", "is not optional"),
        (r"\p{L}*\p{L}*!", "is not optional"),
        ("(?:a+|b)?a+(?=!)", "is not optional"),
        (r"(\w+)\1", "the escape"),
        (r"\k<a>", "the escape"),
        ("(?<=a)b", "another kind"),
        ("(?<name>a)", "another kind"),
        ("(?~a)", "another kind"),
        ("(", r"a \( without"),
        (")", r"a \) without"),
        ("[a", r"a \[ without"),
        ("[[[[[[[[[[a]]]]]]]]]]", "classes within"),
        ("(" * 20 + "a" + ")" * 20, "groups within"),
        ("a{1000}", "without numbers|repetitions"),
        ("a{65}", "65 repetitions"),
        ("a{0,64}b{0,64}", "too many ways"),
        ("a{", "without numbers"),
        ("a**", "a repetition repeats"),
        ("*a", "nothing to repeat"),
        ("a\\", "the escape"),
    ],
)
def test_refused(pattern: str, why: str) -> None:
    with pytest.raises(UnsafePatternError, match=why):
        check(pattern)


ATOMS = st.sampled_from(["a", "[ab]", r"\w", ".", "b", "(?:a|ab)", "(?!b)", "(?:a*b)"])
PARTS = st.tuples(ATOMS, st.sampled_from(["", "?", "*", "+", "{1,3}", "{2}", "+?"])).map("".join)
PATTERNS = st.lists(st.lists(PARTS, min_size=1, max_size=5).map("".join), min_size=1, max_size=3)


@settings(max_examples=60)
@given(PATTERNS.map("|".join))
def test_a_search_with_what_is_accepted_ends(pattern: str) -> None:
    """Exponential time would not end."""
    tokenizers = pytest.importorskip("tokenizers", reason="its search is what is bounded")
    try:
        check(pattern)
    except UnsafePatternError:
        return
    try:
        regex = tokenizers.Regex(pattern)
    except Exception:  # the library refuses it too, such as a lookahead that repeats
        return
    split = tokenizers.pre_tokenizers.Split(regex, "isolated")
    for text in ("a" * 400, "ab" * 200 + "c", "b" * 400):
        split.pre_tokenize_str(text)
