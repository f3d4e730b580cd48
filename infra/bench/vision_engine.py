"""Answers about pictures, one after the other and together.

Makes a Qwen2.5-VL with random weights (127 M by default) and runs `bench_pictures`:

    cargo build --release -p illumine-models --features tch --example bench_pictures
    python infra/bench/vision_engine.py target/release/examples/bench_pictures libtorch
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

FIXTURE = pathlib.Path(__file__).parents[2] / "worker/models/tests/fixtures/qwen25_vl/text_only"


def make(folder: pathlib.Path, layers: int) -> None:
    """Writes the model, with the tokenizer of the reference fixture."""
    torch.manual_seed(0)
    text = dict(
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=layers,
        num_attention_heads=12,
        num_key_value_heads=4,
        vocab_size=32000,
        max_position_embeddings=4096,
        rope_theta=1e6,
        rope_scaling=dict(type="mrope", mrope_section=[8, 12, 12]),
        bos_token_id=None,
        eos_token_id=None,
    )
    vision = dict(
        depth=4,
        hidden_size=128,
        num_heads=4,
        intermediate_size=256,
        out_hidden_size=768,
        fullatt_block_indexes=[3],
    )
    tokens = dict(image_token_id=292, video_token_id=293)
    config = Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=True, **tokens
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.0f} M parameters", flush=True)
    model.save_pretrained(folder)
    for name in ["chat_template.jinja", "tokenizer.json"]:
        shutil.copy(FIXTURE / name, folder)
    processor = dict(min_pixels=3136, max_pixels=200704)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("device", nargs="?", default="flex")
    parser.add_argument("--answers", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--layers", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(pathlib.Path(folder), options.layers)
        command = [options.binary, folder, options.device, options.answers, options.tokens]
        subprocess.run([str(part) for part in command], check=True)


if __name__ == "__main__":
    main()
