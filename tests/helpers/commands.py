"""The parsers of the commands by module."""

from __future__ import annotations

from int8ref import (
    audit,
    classify,
    corpus,
    embed,
    export,
    generate,
    perplexity,
    score,
    translate,
    vectors,
    verify,
)
from weights_import.arguments import parser as import_parser
from weights_import.report.__main__ import parser as report_parser

PARSERS = {
    "int8ref.audit": audit.parser,
    "int8ref.classify": classify.parser,
    "int8ref.corpus": corpus.parser,
    "int8ref.embed": embed.parser,
    "int8ref.export": export.parser,
    "int8ref.generate": generate.parser,
    "int8ref.perplexity": perplexity.parser,
    "int8ref.score": score.parser,
    "int8ref.translate": translate.parser,
    "int8ref.vectors": vectors.parser,
    "int8ref.verify": verify.parser,
    "weights_import": import_parser,
    "weights_import.report": report_parser,
}
