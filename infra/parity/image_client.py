"""Talks to `illumine image-server` as LLM-I's own client does
(`examples/qwen_image_deployment/client.py`): the same addresses, fields and default
host; the standard library alone.

    illumine image-server --mode generation --model_path /models/Qwen-Image &
    python3 infra/parity/image_client.py 8000 [PICTURE]

With a picture the server must be one that edits. Exits 1 at the first answer that is not
as that client needs it.
"""

import base64
import json
import sys
import threading
import time
import urllib.error
import urllib.request

# Where that client looks when no host is named.
HOST = "[::]"


def ask(port: int, path: str, payload=None, timeout=120):
    """Status and JSON of an answer."""
    data = None if payload is None else json.dumps(payload).encode()
    headers = {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", data, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def picture(answer) -> bytes:
    assert answer.get("status") == "success" and answer.get("images"), answer
    png = base64.b64decode(answer["images"][0], validate=True)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return png


def size(png: bytes):
    return tuple(int.from_bytes(png[at : at + 4], "big") for at in (16, 20))


def main(port: int, source=None) -> None:
    mode, other = ("generation", "edit") if source is None else ("edit", "generation")
    assert ask(port, "/health") == (200, {"status": "ok", "mode": mode})
    status, info = ask(port, "/info")
    assert status == 200 and info["mode"] == mode
    assert {"model_path", "cuda_visible_devices"} <= info.keys()
    path, wrong = ("/generate/", "/edit/") if source is None else ("/edit/", "/generate/")
    assert info["available_endpoints"] == [path]

    payload = {"prompt": "a cat", "negative_prompt": "bad anatomy, watermark, low quality"}
    if source is None:
        payload |= {"height": 32, "width": 48, "num_inference_steps": 5}
    else:
        with open(source, "rb") as file:
            payload["image_b64"] = base64.b64encode(file.read()).decode()
        payload["num_inference_steps"] = 5
    status, answer = ask(port, path, payload)
    assert status == 200, answer
    drawn = picture(answer)
    if source is None:
        assert size(drawn) == (48, 32), size(drawn)

    detail = f"This endpoint is only available in {other} mode"
    assert ask(port, wrong, payload) == (400, {"detail": detail})
    status, answer = ask(port, path, payload | {"num_inference_steps": 0})
    assert status == 422 and answer["detail"][0]["loc"] == ["body", "num_inference_steps"]
    status, answer = ask(port, path, {"negative_prompt": "blur"})
    assert status == 422 and answer["detail"][0]["loc"][0] == "body"

    # The original keeps everybody waiting while it draws.
    long = threading.Thread(target=ask, args=(port, path, payload | {"num_inference_steps": 200}))
    long.start()
    slowest = 0.0
    asked = 0
    while long.is_alive():
        begun = time.monotonic()
        assert ask(port, "/health")[0] == 200
        slowest = max(slowest, time.monotonic() - begun)
        asked += 1
        time.sleep(0.02)
    long.join()
    assert asked > 1, "it drew too fast to be asked meanwhile"
    print(f"{mode}: every check passed; /health took {slowest * 1e3:.0f} ms at most while it drew")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
