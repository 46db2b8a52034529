"""The tokens of languages in a vocabulary, and where they stand.

    __en__ (M2M100), eng_Latn (NLLB), en_XX (mBART)
                 en ... </s>     the decoder reads its start token, then pt
                 ... </s> en     the same, in older models of NLLB
    en_XX, where the decoder begins with a language (mBART-cc25)
                 ... </s> en     the decoder begins with pt
    >>por<< (OPUS-MT, one token for the language of the target)
                 pt ... </s>     the decoder reads its start token

A text of OPUS-MT may have the token itself.  Therefore such a model can do without a language.

Sources: Fan et al. 2021 (M2M100), NLLB Team 2022, Tang et al. 2021 (mBART-50), Liu et al. 2020.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from int8ref.program.languages import Languages, TargetLanguage
from int8ref.program.source_frame import SourceFrame
from weights_import.errors import CheckpointError
from weights_import.sources.vocabulary import SPACE, pieces_of

OF_EACH = re.compile(r"__[a-z]{2,3}__|[a-z]{3}_[A-Z][a-z]{3}|\[?[a-z]{2}_[A-Z]{2}\]?")
"""A token that stands with each sentence of its language."""
OF_TARGET = re.compile(r">>[A-Za-z_-]{1,32}<<")
"""A token that stands before a source, and tells the language of the target."""
AROUND_CODES = "_<>[]"
LEAST = 2
"""A model with this number of tokens `OF_EACH` needs them."""


def tokens_of(vocabulary: Iterable[str], form: re.Pattern[str] = OF_EACH) -> list[str]:
    """The tokens of languages in a vocabulary, in its order."""
    return [token for token in vocabulary if form.fullmatch(token)]


def codes(vocabulary: Mapping[str, int], form: re.Pattern[str] = OF_EACH) -> dict[str, int]:
    """The ids of the tokens of languages, by the codes in them."""
    found = tokens_of(vocabulary, form)
    return {token.strip(AROUND_CODES): vocabulary[token] for token in found}


def of_both(
    source: Mapping[str, int], target: Mapping[str, int], eos: int, behind: bool = False
) -> Languages:
    """The languages of a model whose sentences have the tokens of their languages.

    `source` and `target` are the ids of these tokens by their codes.  `eos` is the end mark of a
    source, which is `behind` its text, and before its language.
    """
    return Languages(
        sources={
            code: SourceFrame((), (eos, token)) if behind else SourceFrame((token,), (eos,))
            for code, token in source.items()
        },
        targets={code: TargetLanguage(target=(token,)) for code, token in target.items()},
    )


def of_target(source: Mapping[str, int]) -> Languages | None:
    """The languages of a model whose sources begin with the token of the target language, for the
    ids of these tokens by their codes; None without such tokens."""
    found = {code: TargetLanguage(source=(token,)) for code, token in source.items()}
    return Languages(targets=found) if found else None


def of_marks(tokenizers: Mapping[str, bytes]) -> Languages | None:
    """The languages that the tokenizer of the source has marks for, as OPUS-MT; None without marks.

    A damaged tokenizer has none here, because an import refuses it by itself.
    """
    try:
        pieces = pieces_of(tokenizers["source"]) if "source" in tokenizers else {}
    except CheckpointError:
        return None
    ids = {piece.removeprefix(SPACE): number for number, piece in enumerate(pieces)}
    return of_target(codes(ids, OF_TARGET))


def of_older_mbart(tokens: Mapping[str, int], eos: int) -> Languages:
    """The languages of mBART-cc25, for the ids of the tokens by their codes.

    A source ends with its token.  The decoder begins with the token of the target, so that an
    import has to choose it.
    """
    return Languages(
        sources=of_both(tokens, {}, eos, behind=True).sources,
        targets={code: TargetLanguage() for code in tokens},
    )


def is_older_mbart(found: Iterable[str]) -> bool:
    """Whether mBART-cc25 has all of these languages; mBART-50 has more."""
    return CC25.issuperset(found)


M2M100 = {
    "m2m100": "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga"
    " gd gl gu ha he hi hr ht hu hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg"
    " mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru sd si sk sl so sq sr ss su sv sw"
    " ta th tl tn tr uk ur uz vi wo xh yi yo zh zu",
    "wmt21": "en ha is ja cs ru zh de",
}
"""The languages of the tokenizers of M2M100 in the order of their ids (Fan et al. 2021, Tran et al.
2021), because not every file of such a tokenizer lists them."""

CC25 = frozenset((
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN",
    "it_IT", "ja_XX", "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO",
    "ru_RU", "si_LK", "tr_TR", "vi_VN", "zh_CN",
))  # fmt: skip
"""The languages of mBART-cc25 (Liu et al. 2020)."""
