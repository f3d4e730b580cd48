"""Qwen-Image's autoencoder beside `diffusers`, on the same random weights.

    cargo build --release -p illumine-models --example bench_vae
    python infra/bench/qwen_image_vae.py target/release/examples/bench_vae

Prints a Markdown table. Needs the environment of infra/parity/requirements.txt.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import torch
from diffusers import AutoencoderKLQwenImage

# Name, base_dim, side in pixels, runs.
CASES = [("a third of the released width", 32, 256, 4), ("a third of the released width", 32, 512, 2),
         ("the released shape", 96, 256, 2)]
THREADS = 2


@torch.inference_mode()
def reference(folder, side, runs):
    torch.set_num_threads(THREADS)
    model = AutoencoderKLQwenImage.from_pretrained(folder).eval()
    small, channels = side // 8, model.config.z_dim
    count = channels * small * small
    latents = torch.sin(torch.arange(count, dtype=torch.float32) * 0.37).reshape(1, channels, 1, small, small)
    decode = encode = float("inf")
    for _ in range(runs + 1):
        begun = time.perf_counter()
        picture = model.decode(latents).sample
        decode = min(decode, time.perf_counter() - begun)
        begun = time.perf_counter()
        model.encode(picture)
        encode = min(encode, time.perf_counter() - begun)
    first = picture[0, :, 0, 0, :2].T.flatten().tolist()
    return dict(decode_ms=decode * 1e3, encode_ms=encode * 1e3, first=first)


def main():
    ours_program = sys.argv[1]
    print("| shape | pixels | diffusers decode, encode ms | ours ms | decode | encode |\n|---|---|---|---|---|---|")
    for name, width, side, runs in CASES:
        torch.manual_seed(width)
        with tempfile.TemporaryDirectory() as folder:
            AutoencoderKLQwenImage(base_dim=width).save_pretrained(folder)
            theirs = reference(folder, side, runs)
            environment = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
            output = subprocess.run([ours_program, folder, str(side), str(runs)], env=environment,
                                    capture_output=True, text=True, check=True).stdout
        ours = json.loads(output)
        difference = max(abs(a - b) for a, b in zip(ours["first"], theirs["first"]))
        assert difference < 1e-3, difference
        decode, encode = (theirs[k] / ours[k] for k in ("decode_ms", "encode_ms"))
        print(f"| {name} | {side}² | {theirs['decode_ms']:.0f}, {theirs['encode_ms']:.0f} "
              f"| {ours['decode_ms']:.0f}, {ours['encode_ms']:.0f} | **{decode:.2f}×** | {encode:.2f}× |", flush=True)


if __name__ == "__main__":
    main()
