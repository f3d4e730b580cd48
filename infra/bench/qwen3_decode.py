"""Decoding speed beside PyTorch `transformers`, on the same random weights.

    cargo build --release -p illumine-models --example bench_decode
    python infra/bench/qwen3_decode.py target/release/examples/bench_decode

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
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

SHAPES = {
    "7 M": dict(
        vocab_size=4096,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
    ),
    "155 M": dict(
        vocab_size=40_960,
        hidden_size=768,
        intermediate_size=2304,
        num_hidden_layers=18,
        num_attention_heads=12,
        num_key_value_heads=4,
        head_dim=64,
    ),
    # Qwen3-0.6B.
    "600 M": dict(
        vocab_size=151_936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
    ),
}


def make(folder, shape, dtype):
    torch.manual_seed(0)
    config = Qwen3Config(**shape, tie_word_embeddings=True, eos_token_id=None)
    Qwen3ForCausalLM(config).to(dtype).save_pretrained(folder)


@torch.inference_mode()
def pytorch(folder, dtype, prompt, new, sequences):
    """Runs in a process of its own, so that the thread count is its own."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    ids = (torch.arange(prompt) * 7919 % model.config.vocab_size).repeat(sequences, 1)
    model(ids[:1], use_cache=True)
    started, cpu = time.perf_counter(), time.process_time()
    model(ids[:1], use_cache=True, logits_to_keep=1)
    prefill, prefill_cpu = time.perf_counter() - started, time.process_time() - cpu
    cache = model(ids, use_cache=True, logits_to_keep=1).past_key_values
    token = torch.ones(sequences, 1, dtype=torch.int64)

    def step():
        nonlocal token
        logits = model(token, past_key_values=cache, use_cache=True).logits
        token = logits[:, -1:].argmax(-1)

    step()
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(new):
        step()
    return dict(
        prefill_ms=prefill * 1e3,
        prefill_cpu_ms=prefill_cpu * 1e3,
        step_ms=(time.perf_counter() - started) / new * 1e3,
        step_cpu_ms=(time.process_time() - cpu) / new * 1e3,
    )


def in_process(command, threads):
    environment = dict(
        os.environ,
        RAYON_NUM_THREADS=str(threads),
        OMP_NUM_THREADS=str(threads),
        MKL_NUM_THREADS=str(threads),
        TRANSFORMERS_VERBOSITY="error",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
    )
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def median(command, threads, rounds):
    runs = [in_process(command, threads) for _ in range(rounds)]
    timings = [key for key in runs[0] if key.endswith("_ms")]
    return {key: statistics.median(run[key] for run in runs) for key in timings}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--sequences", type=int, default=1)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--pytorch", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", help=argparse.SUPPRESS)
    parser.add_argument("--new", type=int, default=64, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = (arguments.prompt, arguments.new, arguments.sequences)
    if arguments.pytorch:
        print(json.dumps(pytorch(arguments.pytorch, getattr(torch, arguments.dtype), *size)))
        return

    print("| parameters | file | threads | PyTorch | decode, CPU ms a step | decode, wall ms a step | prefill, wall ms |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.shapes:
        shape = SHAPES[name]
        new = 256 if name == "7 M" else 32
        for file_dtype, torch_dtypes in {
            "float32": ["float32"],
            "bfloat16": ["float32", "bfloat16"],
        }.items():
            with tempfile.TemporaryDirectory() as folder:
                make(folder, shape, getattr(torch, file_dtype))
                sizes = [str(arguments.prompt), str(new), str(arguments.sequences)]
                for threads in arguments.threads:
                    ours = median([arguments.binary, folder, *sizes], threads, arguments.rounds)
                    for dtype in torch_dtypes:
                        theirs = median(
                            [sys.executable, str(pathlib.Path(__file__)), "--pytorch", folder]
                            + ["--dtype", dtype, "--new", str(new)]
                            + ["--prompt", sizes[0], "--sequences", sizes[2]],
                            threads,
                            arguments.rounds,
                        )
                        cells = [
                            f"{theirs[key]:.2f} / {ours[key]:.2f} = **{theirs[key] / ours[key]:.2f}×**"
                            for key in ("step_cpu_ms", "step_ms", "prefill_ms")
                        ]
                        print(f"| {name} | {file_dtype} | {threads} | {dtype} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
