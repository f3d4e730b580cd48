"""Talks to `illumine llm-server` with OpenAI's own Python client.

    python3 -m venv .venv && .venv/bin/pip install openai
    illumine llm-server --model demo --port 8100 &
    .venv/bin/python infra/parity/openai_client.py http://127.0.0.1:8100/v1 [API_KEY]

Exits 1 at the first answer that is not as the interface promises.
"""

import concurrent.futures
import json
import sys

import openai


def main(base_url: str, api_key: str) -> None:
    client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0)
    model = client.models.list().data[0].id
    assert client.models.retrieve(model).id == model
    messages = [{"role": "user", "content": "Write a report about tides."}]

    def ask(**options):
        options = {"max_tokens": 40, "temperature": 0, **options}
        return client.chat.completions.create(model=model, messages=messages, **options)

    whole = ask()
    text = whole.choices[0].message.content
    assert text and whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == text, "streamed and whole differ"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens

    stop = text[6:9]
    stopped = ask(stop=stop).choices[0]
    assert stopped.message.content == text.split(stop)[0]
    assert stopped.finish_reason == "stop"

    seeded = [ask(temperature=1.1, seed=3, n=2).choices for _ in range(2)]
    assert [c.message.content for c in seeded[0]] == [c.message.content for c in seeded[1]]

    tokens = ask(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == text
    assert all(token.top_logprobs[0].logprob == token.logprob for token in tokens)

    found = ask(response_format={"type": "json_object"}, temperature=1, seed=1, n=8, max_tokens=400)
    for choice in found.choices:
        assert choice.message.content.startswith("{")
        if choice.finish_reason == "stop":
            assert isinstance(json.loads(choice.message.content), dict)

    for wrong, options in (
        (openai.BadRequestError, {"temperature": -1}),
        (openai.BadRequestError, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    ):
        try:
            ask(**options)
        except wrong as error:
            assert error.param in options, error
        else:
            raise AssertionError(f"{options} were accepted")
    try:
        client.chat.completions.create(model="gpt-4o", messages=messages)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    else:
        raise AssertionError("another model was served")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    try:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": [picture]}])
    except openai.BadRequestError as error:
        assert "pictures" in error.message
    else:
        raise AssertionError("a picture was accepted")

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        together = list(pool.map(lambda _: ask().choices[0].message.content, range(32)))
    assert set(together) == {text}, "company changed an answer"
    print(f"openai {openai.__version__}: every check passed against {model}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "none")
