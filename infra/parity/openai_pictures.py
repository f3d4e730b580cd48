"""Shows pictures to a Qwen2.5-VL behind `illumine llm-server`, as an MLLM judge does,
with OpenAI's own Python client. Run by `worker/tests/suite/llm_server_pictures.rs`:

    openai_pictures.py BASE_URL CASE.json

The case names a folder of pictures, the address of one more, what the model answers
greedily to this chat, and requests that must be refused. Exits 1 at the first answer
that is not as it must be.
"""

import base64
import concurrent.futures
import json
import pathlib
import sys

import openai


def main(base_url: str, case: dict) -> None:
    client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
    model = client.models.list().data[0].id
    assert client.models.retrieve(model).model_extra["capabilities"]["vision"] is True

    def inline(number: int) -> dict:
        data = (pathlib.Path(case["folder"]) / f"picture_{number}.png").read_bytes()
        url = "data:image/png;base64," + base64.b64encode(data).decode()
        return {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}

    def text(words: str) -> dict:
        return {"type": "text", "text": words}

    by_address = {"type": "image_url", "image_url": {"url": case["url"]}}
    chat = [
        {"role": "system", "content": "You look."},
        {"role": "user", "content": [text("first "), inline(0), text(" then "), inline(1)]},
        {"role": "assistant", "content": "cake"},
        {"role": "user", "content": [text("and"), by_address]},
    ]

    def ask(messages=chat, **options):
        options = {"max_tokens": case["max_tokens"], "temperature": 0, **options}
        return client.chat.completions.create(model=model, messages=messages, **options)

    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    streamed = "".join(pieces)
    assert streamed == case["text"], f"{streamed!r} is not {case['text']!r}"
    assert chunks[-1].usage.prompt_tokens == case["prompt_tokens"]

    whole = ask(logprobs=True, top_logprobs=2)
    assert whole.choices[0].message.content == case["text"]
    tokens = whole.choices[0].logprobs.content
    assert all(token.top_logprobs[0].logprob == token.logprob for token in tokens)
    assert whole.usage.completion_tokens == chunks[-1].usage.completion_tokens

    other = [{"role": "user", "content": [inline(1), text("and")]}]
    turned = [{"role": "user", "content": [inline(0), text("and")]}]
    hot = {"temperature": 1, "seed": 3, "n": 2}
    first, again, unlike = (
        [choice.message.content for choice in ask(messages, **hot).choices]
        for messages in (other, other, turned)
    )
    assert first == again and first != unlike and first[0] != first[1]

    stop = case["text"][4:7]
    stopped = ask(stop=stop).choices[0]
    assert stopped.message.content == case["text"].split(stop)[0]
    assert stopped.finish_reason == "stop"
    held = ask(other, response_format={"type": "json_object"}, temperature=1, seed=1)
    assert held.choices[0].message.content.startswith("{")

    for refused in case["refused"]:
        messages = [chat[0], {"role": "user", "content": refused["content"]}]
        try:
            ask(messages)
        except openai.BadRequestError as error:
            assert error.param == refused["param"], f"{error} is not of {refused['param']}"
            assert refused["reason"] in error.message, f"{refused['reason']!r} not in {error}"
        else:
            raise AssertionError(f"accepted: {refused['reason']}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: ask().choices[0].message.content, range(8)))
    assert set(together) == {case["text"]}, "company changed an answer"
    print(f"openai {openai.__version__}: every check passed against {model}")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text()))
