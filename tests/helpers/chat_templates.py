"""Chat templates in the style of families of models, and what they make of a conversation.

`python -m tests.helpers.chat_templates` prints what transformers makes of them, for comparison.
"""

from __future__ import annotations

from int8ref.files.chat_template import ChatTemplate

MESSAGES = [
    {"role": "user", "content": " What is 2+2?\nThink. "},
    {"role": "assistant", "content": "4, \u00e9vident."},
    {"role": "user", "content": "And <b>3</b>?"},
]

CHATML = """{%- for message in messages %}
    {%- if loop.first and message['role'] != 'system' %}
        {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
    {%- endif %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
LLAMA2 = (
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + message['content'].strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{% if strftime_now is defined %}{% set date = 'today' %}{% endif %}"
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
)
MISTRAL = """{%- set ns = namespace(index=0) %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {%- set ns.index = ns.index + 1 %}
        {{- "[INST] " + message.content + "[/INST]" }}
    {%- elif message.role == "assistant" %}
        {%- generation %}
        {{- " " + message.content|trim + eos_token }}
        {%- endgeneration %}
    {%- else %}
        {%- continue %}
    {%- endif %}
{%- endfor %}
"""
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
PHI3 = (
    "{% for message in messages %}\n"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}\n"
    "{%- endfor %}\n    {% if add_generation_prompt %}\n{{ '<|assistant|>\\n' }}"
    "{% else %}\n{{ eos_token }}{% endif %}{{ messages[0] | tojson }}"
)
TEMPLATES = {
    name: ChatTemplate(template, "<s>", "</s>")
    for name, template in {
        "chatml": CHATML, "llama2": LLAMA2, "llama3": LLAMA3,
        "mistral": MISTRAL, "gemma": GEMMA, "phi3": PHI3,
    }.items()
}  # fmt: skip


def main() -> None:
    """Print the texts of transformers, which is no package of the tests."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(BPE()), bos_token="<s>", eos_token="</s>"
    )
    for name, template in TEMPLATES.items():
        text = tokenizer.apply_chat_template(
            MESSAGES,
            chat_template=template.template,
            tokenize=False,
            add_generation_prompt=True,
        )
        print(f"    {name!r}: {text!r},")


if __name__ == "__main__":
    main()
