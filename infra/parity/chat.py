"""Reference renderings of chat templates and a byte-level tokenizer, see README.md."""

import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

FIXTURES = pathlib.Path(__file__).parents[2] / "worker/models/tests/fixtures/chat"

# Uses what templates of released models use: namespaces, slices, Python's string
# methods, whitespace control, `tojson`, tests, loop variables.
TEMPLATE = """\
{%- set ns = namespace(last_user=-1) %}
{%- for message in messages %}
    {%- if message.role == 'user' and not message.content.startswith('<tool') %}
        {%- set ns.last_user = loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content.strip() + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in (messages[1:] if messages[0].role == 'system' else messages) %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == 'assistant' and '</think>' in content and loop.index0 < ns.last_user %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>' ~ message['role'] ~ '\\n' }}
    {%- if message.role == 'tool' %}
        {{- {'answer': content} | tojson }}
    {%- else %}
        {{- content.rstrip() }}
    {%- endif %}
    {{- '<|im_end|>' }}
{% endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

CONVERSATIONS = [
    [{"role": "user", "content": "Hello!"}],
    [
        {"role": "system", "content": "  You draw.\n"},
        {"role": "user", "content": "A café, 漢字 and 🦜 <b>&amp;</b> 'quoted'  \n"},
    ],
    [
        {"role": "system", "content": "You draw."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nfirst"},
        {"role": "tool", "content": "a \"quoted\" <tag> & ü"},
        {"role": "user", "content": "two"},
    ],
]

TEXTS = [
    "plain words and  spaces\n\n\ttabs",
    "Café — 漢字かな交じり文、한국어, العربية, עברית",
    "🦜👩‍👩‍👧‍👦🏳️‍🌈 e\u0301",
    "<|im_start|>user\nspecial<|im_end|>\n",
    "code: def f(x): return x**2  # ±√",
    "",
]

CORPUS = ["the parrot drew a picture of the café and the parrot ate the cake"] * 4


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(FIXTURES)

    reference = {"chats": [], "texts": []}
    for messages in CONVERSATIONS:
        for generate in (False, True):
            prompt = fast.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generate, enable_thinking=False
            )
            reference["chats"].append(
                {
                    "messages": messages,
                    "add_generation_prompt": generate,
                    "prompt": prompt,
                    "ids": fast(prompt, add_special_tokens=False).input_ids,
                }
            )
    for text in TEXTS:
        ids = fast(text, add_special_tokens=False).input_ids
        decoded = fast.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        reference["texts"].append({"text": text, "ids": ids, "decoded": decoded})
    (FIXTURES / "reference.json").write_text(
        json.dumps(reference, ensure_ascii=False, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
