"""A step of Qwen-Image's transformer beside `diffusers`, on the same random weights.

    cargo build --release -p illumine-models --example bench_qwen_image
    python infra/bench/qwen_image_step.py target/release/examples/bench_qwen_image

Prints a Markdown table. Needs the environment of infra/parity/requirements.txt.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from diffusers import QwenImageTransformer2DModel

SHAPES = {
    "8 layers, 8 heads of 64": dict(
        num_layers=8,
        num_attention_heads=8,
        attention_head_dim=64,
        axes_dims_rope=(16, 24, 24),
        joint_attention_dim=512,
    ),
    "4 layers, 6 heads of 32": dict(
        num_layers=4,
        num_attention_heads=6,
        attention_head_dim=32,
        axes_dims_rope=(8, 12, 12),
        joint_attention_dim=192,
    ),
}
# Tokens along a side, of text, and steps measured.
CASES = [("8 layers, 8 heads of 64", 32, 64, 5), ("4 layers, 6 heads of 32", 8, 48, 40)]


def waves(*shape):
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float32) * 0.37).reshape(shape)


@torch.inference_mode()
def pytorch(folder, side, text, steps):
    """Runs in a process of its own, so that the thread count is its own."""
    model = QwenImageTransformer2DModel.from_pretrained(folder).eval()
    inputs = dict(
        hidden_states=waves(1, side * side, model.config.in_channels),
        encoder_hidden_states=waves(1, text, model.config.joint_attention_dim),
        timestep=torch.tensor([0.5]),
        img_shapes=[[(1, side, side)]],
    )
    times = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        sample = model(**inputs).sample
        times.append((time.perf_counter() - started) * 1e3)
    times = sorted(times[1:])
    first = sample[0, 0, :4].tolist()
    print(json.dumps(dict(least_ms=times[0], median_ms=times[len(times) // 2], first=first)))


def run(command, threads):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", type=int, choices=range(len(CASES)))
    parser.add_argument("--pytorch", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pytorch:
        folder, *numbers = arguments.pytorch
        pytorch(folder, *map(int, numbers))
        return
    print(f"| shape | tokens | threads | diffusers {torch.__version__} ms | ours ms | ratio |")
    print("|---|---|---|---|---|---|")
    for number, (name, side, text, steps) in enumerate(CASES):
        if arguments.case not in (None, number):
            continue
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            QwenImageTransformer2DModel(**SHAPES[name]).save_pretrained(folder)
            case = [folder, str(side), str(text), str(steps)]
            theirs, ours = [], []
            # In turns, so that a disturbance meets both.
            for _ in range(arguments.rounds):
                reference = run([sys.executable, __file__, "-", "--pytorch", *case], arguments.threads)
                mine = run([arguments.binary, *case], arguments.threads)
                pairs = zip(reference["first"], mine["first"])
                assert max(abs(a - b) for a, b in pairs) < 1e-3, (reference, mine)
                theirs.append(reference["median_ms"])
                ours.append(mine["median_ms"])
        a, b = statistics.median(theirs), statistics.median(ours)
        tokens = f"{side * side} + {text}"
        print(f"| {name} | {tokens} | {arguments.threads} | {a:.1f} | {b:.1f} | **{a / b:.2f}×** |")


if __name__ == "__main__":
    main()
