"""A GPU's devices beside PyTorch: random weights of the real shapes, drawn on the GPU.

    cargo build --release -p illumine-models --example bench_device --features cuda,tch
    python infra/bench/gpu.py decode target/release/examples/bench_device
    python infra/bench/gpu.py picture target/release/examples/bench_device

`decode`: Qwen3-4B in bf16, tokens a second and the share of the time in which the weights
can be read once at the memory's measured bandwidth; beside the library also in kernels of
our own (`kernels:libtorch:cuda:0:bf16`), whose first step is compared with the library's:
`difference` is what its logits differ by, root mean square over root mean square.
`picture`: seconds a step of Qwen-Image's transformer (20 B, 60 blocks; `--layers` for
fewer). Prints Markdown tables, and at once each figure as it comes. Needs PyTorch with
CUDA, `transformers`, `diffusers`.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

QWEN3_4B = dict(
    model_type="qwen3",
    architectures=["Qwen3ForCausalLM"],
    vocab_size=151_936,
    hidden_size=2560,
    intermediate_size=9728,
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
    max_position_embeddings=262_144,
    rms_norm_eps=1e-6,
    rope_theta=5_000_000,
    tie_word_embeddings=True,
)
QWEN_IMAGE = dict(
    _class_name="QwenImageTransformer2DModel",
    patch_size=2,
    in_channels=64,
    out_channels=16,
    num_layers=60,
    attention_head_dim=128,
    num_attention_heads=24,
    joint_attention_dim=3584,
    guidance_embeds=False,
    axes_dims_rope=[16, 56, 56],
)
TEXT_TOKENS = 128


def pytorch_decode(config, prompt, new, rows):
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"), torch.inference_mode():
        model = Qwen3ForCausalLM(Qwen3Config(**config, eos_token_id=None)).eval()
        ids = (torch.arange(prompt) * 7919 % model.config.vocab_size).repeat(rows, 1)

        def read(ids):
            out = model(ids, use_cache=True, logits_to_keep=1)
            torch.cuda.synchronize()
            return out

        read(ids[:1]), read(ids[:1])
        started = time.perf_counter()
        read(ids[:1])
        prefill = time.perf_counter() - started
        cache = read(ids).past_key_values
        token = torch.ones(rows, 1, dtype=torch.int64)

        def step(token):
            return model(token, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)

        for _ in range(8):
            token = step(token)
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(new):
            token = step(token)
        torch.cuda.synchronize()
        return dict(prefill_ms=prefill * 1e3, step_ms=(time.perf_counter() - started) / new * 1e3)


def pytorch_picture(config, side, text, steps):
    import torch
    from diffusers import QwenImageTransformer2DModel

    torch.set_default_dtype(torch.bfloat16)
    config = {name: value for name, value in config.items() if not name.startswith("_")}
    with torch.device("cuda"), torch.inference_mode():
        model = QwenImageTransformer2DModel(**config).eval()
        inputs = dict(
            hidden_states=torch.randn(1, side * side, config["in_channels"]),
            encoder_hidden_states=torch.randn(1, text, config["joint_attention_dim"]),
            timestep=torch.tensor([0.5]),
            img_shapes=[[(1, side, side)]],
        )
        times = []
        for _ in range(steps + 2):
            torch.cuda.synchronize()
            started = time.perf_counter()
            model(**inputs).sample[:, :1].float().cpu()
            times.append((time.perf_counter() - started) * 1e3)
        times = sorted(times[2:])
        return dict(least_ms=times[0], median_ms=times[len(times) // 2])


def bandwidth():
    """Bytes a second of a copy within the GPU's memory, read and written."""
    import torch

    source = torch.empty(2**31, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    for _ in range(3):
        target.copy_(source)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(10):
        target.copy_(source)
    torch.cuda.synchronize()
    return dict(bytes_per_s=10 * 2 * source.numel() / (time.perf_counter() - started))


def run(command, limit):
    """The last line's JSON; or why there is none."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=limit, env=os.environ
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        found = dict(error=f"not done after {limit} s")
    except (IndexError, ValueError):
        found = dict(error=" ".join(done.stderr.split())[-600:])
    print(command[-5:], found, f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def compare(what, binary, config, cases, devices, limit):
    """A line for each case: `case, {who: figures}`."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        for case in cases:
            reference = [sys.executable, __file__, what, "-", "--reference", file.name, *case]
            found = {"PyTorch": run(reference, limit)}
            for device in devices:
                # `kernels:DEVICE` decodes in kernels of our own there.
                own = device.startswith("kernels:")
                arguments = ("kernels", file.name, device.removeprefix("kernels:"))
                command = [binary, *(arguments if own else (what, file.name, device)), *case]
                found[device] = run(command, limit)
            yield case, found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["decode", "picture", "bandwidth"])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--devices", nargs="+", default=None, help="cuda:0:bf16 only when asked")
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--sides", nargs="+", type=int, default=[64, 83], help="tokens: pixels / 16")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--layers", type=int, default=None)
    parser.add_argument("--limit", type=int, default=120, help="seconds of one measurement")
    parser.add_argument("--reference", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.binary = arguments.binary.resolve()
    if arguments.reference:
        config, *numbers = arguments.reference
        config = json.loads(pathlib.Path(config).read_text())
        function = dict(decode=pytorch_decode, picture=pytorch_picture)[arguments.what]
        print(json.dumps(function(config, *map(int, numbers))))
        return
    if arguments.what == "bandwidth":
        print(json.dumps(bandwidth()))
        return
    rate = run([sys.executable, __file__, "bandwidth", "-"], arguments.limit)["bytes_per_s"]
    print(f"copy: {rate / 1e12:.2f} TB/s")
    if arguments.devices is None:
        own = ["kernels:libtorch:cuda:0:bf16"] if arguments.what == "decode" else []
        arguments.devices = ["libtorch:cuda:0:bf16", *own]
    common = (arguments.devices, arguments.limit)
    if arguments.what == "decode":
        layers = dict(num_hidden_layers=arguments.layers) if arguments.layers else {}
        cases = [(arguments.prompt, arguments.new, rows) for rows in arguments.rows]
        print("| rows | device | step ms | tokens/s | of the bandwidth | prefill ms | difference |")
        print("|---|---|---|---|---|---|---|")
        weights = None
        for (_, _, rows), found in compare("decode", arguments.binary, QWEN3_4B | layers, cases, *common):
            weights = next((f["weight_bytes"] for f in found.values() if "weight_bytes" in f), weights)
            for device, figures in found.items():
                if "error" in figures:
                    print(f"| {rows} | {device} | {figures['error']} |")
                    continue
                step = figures["step_ms"]
                share = weights / rate / (step / 1e3) if weights else float("nan")
                print(
                    f"| {rows} | {device} | {step:.2f} | {rows / step * 1e3:.0f} | {share:.0%} | "
                    f"{figures['prefill_ms']:.1f} | {figures.get('difference', '')} |",
                    flush=True,
                )
        return
    layers = dict(num_layers=arguments.layers) if arguments.layers else {}
    cases = [(side, TEXT_TOKENS, arguments.steps) for side in arguments.sides]
    print("| pixels | device | step ms |")
    print("|---|---|---|")
    for (side, *_), found in compare("picture", arguments.binary, QWEN_IMAGE | layers, cases, *common):
        for device, figures in found.items():
            told = figures.get("error") or f"{figures['median_ms']:.0f}"
            print(f"| {side * 16}² | {device} | {told} |", flush=True)


if __name__ == "__main__":
    main()
