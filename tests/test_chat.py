"""Chat templates: the texts of transformers, hostile templates, importers, model files, replies."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from int8ref import LanguageModel, Options
from int8ref.errors import UserError
from int8ref.files.chat_template import MAX_TEMPLATE, ChatTemplate
from int8ref.files.model_file import ModelFileError, load, save, serialize
from int8ref.text import chat
from int8ref.text.chat import ChatError, chat_text, messages_of
from int8ref.text.tokenizers import build_tokenizer
from tests.helpers.chat_templates import LLAMA2, MESSAGES, TEMPLATES
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model
from weights_import.errors import CheckpointError
from weights_import.sources.chat_template import chat_template
from weights_import.sources.gguf_tokenizer import template_of

MODEL = build_tiny_model(9, "rotary")
HOSTILE = {
    "time": (
        "{% for i in range(99999) %}{% for j in range(99999) %}"
        "{% endfor %}{% endfor %}", "seconds"),
    "memory": ("{{ 'x' * 10**11 }}", "memory"),
    "size": ("{% for i in range(2000) %}{{ 'x' * 1000 }}{% endfor %}", "more than 1048576"),
    "doubling": (
        "{% set n = namespace(s='xx') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}"
        "{% endfor %}{{ n.s }}", "seconds|memory"),
    "objects": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
    "globals": ("{{ cycler.__init__.__globals__.os.system('true') }}", "unsafe"),
    "changes": ("{{ messages.append(1) }}", "unsafe"),
    "files": ("{% include '/etc/passwd' %}", "loader"),
    "syntax": ("{% if %}", "TemplateSyntaxError"),
    "refusal": ("{{ raise_exception('only users') }}", "only users"),
    "unicode": ("{{ '\\ud800' }}", ""),
}  # fmt: skip
TEXTS = {
    "chatml": (
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n What is 2+2?\n"
        "Think. <|im_end|>\n<|im_start|>assistant\n4, \xe9vident.<|im_end|>\n<|im_sta"
        "rt|>user\nAnd <b>3</b>?<|im_end|>\n<|im_start|>assistant\n"
    ),
    "llama2": (
        "<s>[INST] What is 2+2?\nThink. [/INST] 4, \xe9vident. </s><s>[INST] And <b>3</b>? [/INST]"
    ),
    "llama3": (
        "<s><|start_header_id|>user<|end_header_id|>\n\nWhat is 2+2?\nThink.<|eot_"
        "id|><|start_header_id|>assistant<|end_header_id|>\n\n4, \xe9vident.<|eot_id"
        "|><|start_header_id|>user<|end_header_id|>\n\nAnd <b>3</b>?<|eot_id|><|s"
        "tart_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "mistral": (
        "<s>[INST]  What is 2+2?\nThink. [/INST] 4, \xe9vident.</s>[INST] And <b>3</b>?[/INST]"
    ),
    "gemma": (
        "<s><start_of_turn>user\nWhat is 2+2?\nThink.<end_of_turn>\n<start_of_turn"
        ">model\n4, \xe9vident.<end_of_turn>\n<start_of_turn>user\nAnd <b>3</b>?<end_"
        "of_turn>\n<start_of_turn>model\n"
    ),
    "phi3": (
        "<|user|>\n What is 2+2?\nThink. <|end|>\n<|assistant|>\n4, \xe9vident.<|end|>"
        '\n<|user|>\nAnd <b>3</b>?<|end|>\n<|assistant|>\n{"role": "user", "content'
        '": " What is 2+2?\\nThink. "}'
    ),
}
"""What transformers makes of the templates: `python -m tests.helpers.chat_templates`."""


@pytest.fixture(scope="module", autouse=True)
def _needs_jinja2() -> None:
    pytest.importorskip("jinja2", reason="chat templates need the extra chat")


@pytest.mark.parametrize("name", TEMPLATES)
def test_texts_are_those_of_transformers(name: str) -> None:
    assert chat_text(TEMPLATES[name], MESSAGES) == TEXTS[name]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "SECONDS", 1)
    template, why = HOSTILE[name]
    begun = time.monotonic()
    if name == "unicode":
        assert chat_text(ChatTemplate(template), MESSAGES) == "\ud800"
        return
    with pytest.raises(ChatError, match=why):
        chat_text(ChatTemplate(template), MESSAGES)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    "messages",
    ["hi", [], [1], [{"role": "user"}], [{"role": "user", "content": 1}], None],
)
def test_what_is_no_conversation(messages: Any) -> None:
    with pytest.raises(ChatError):
        messages_of(messages)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'int8ref\[chat\]'"):
        chat_text(TEMPLATES["gemma"], MESSAGES)


def test_a_model_file_keeps_its_template(tmp_path: Path) -> None:
    """A model without a template has the bytes that it had before templates."""
    template = TEMPLATES["llama2"]
    save(tmp_path / "chat.safetensors", dataclasses.replace(MODEL, chat=template))
    assert load(tmp_path / "chat.safetensors").chat == template
    assert b'"chat":' not in serialize(MODEL)
    save(tmp_path / "plain.safetensors", MODEL)
    assert load(tmp_path / "plain.safetensors").chat is None


def test_a_template_is_not_longer_than_its_limit() -> None:
    long = dataclasses.replace(MODEL, chat=ChatTemplate("x" * (MAX_TEMPLATE + 1)))
    with pytest.raises(ModelFileError, match="chat"):
        serialize(long)


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer_config.json", "several", "old"])
def test_a_folder_has_a_template(name: str, tmp_path: Path) -> None:
    config: dict[str, Any] = {"bos_token": {"content": "<s>"}, "eos_token": "</s>"}
    if name == "chat_template.jinja":
        (tmp_path / name).write_text(LLAMA2)
    elif name == "old":
        (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": LLAMA2}))
    elif name == "several":
        named = {"tool_use": "x", "default": LLAMA2}
        config["chat_template"] = [{"name": n, "template": t} for n, t in named.items()]
    else:
        config["chat_template"] = LLAMA2
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert chat_template(tmp_path) == TEMPLATES["llama2"]


def test_a_folder_without_a_template(tmp_path: Path) -> None:
    assert chat_template(tmp_path) is None
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert chat_template(tmp_path) is None
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match="not UTF-8"):
        chat_template(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("x" * (MAX_TEMPLATE + 1))
    with pytest.raises(CheckpointError, match="chat template"):
        chat_template(tmp_path)


def test_a_gguf_file_has_a_template() -> None:
    told = {"tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>"], "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2, "tokenizer.chat_template": LLAMA2}  # fmt: skip
    assert template_of(told) == TEMPLATES["llama2"]
    assert template_of({}) is None


def test_a_reply_is_what_follows_the_text_of_the_conversation() -> None:
    machine_text()
    template = ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}")
    options = Options(max_length=9, repetition_penalty=1.2)
    for backend in ("compiled", "reference"):
        model = LanguageModel(dataclasses.replace(MODEL, chat=template), backend)  # type: ignore[arg-type]
        asked = [{"role": "user", "content": "The cat"}]
        found = model.chat(asked, options)
        assert found.prompt == "user: The cat "
        assert found.ids == model.generate("user: The cat ", options).ids
        assert "".join(model.write(asked, options)) == found.added


def test_control_tokens_are_read_as_tokens() -> None:
    """The first begin mark is the start of the program, and is not read twice."""
    tokenizer = build_tokenizer(MODEL.target, len(MODEL.tensors["embeddings"]))
    names = tokenizer.pieces(range(tokenizer.size))
    eos = MODEL.program.eos
    marked = tokenizer.encode_marked(f"a{names[eos]}b")
    assert marked == [*tokenizer.encode("a"), eos, *tokenizer.encode("b")]
    assert tokenizer.encode_marked("a b") == tokenizer.encode("a b")
