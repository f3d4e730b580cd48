"""Fixture for supervised fine-tuning: three AdamW steps in PyTorch.

Writes worker/train/tests/fixtures/sft: a tiny random Qwen3 (Hugging Face
layout), the examples, and what PyTorch makes of them: loss and gradient norm of
each step, and the weights after the last.

    python infra/parity/sft.py
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen3Config, Qwen3ForCausalLM

OUT = Path(__file__).parents[2] / "worker/train/tests/fixtures/sft"
STEPS, PER_STEP = 3, 4
PEAK, WARMUP, FLOOR, CLIP, DECAY = 1e-2, 2, 0.1, 0.5, 0.1


def rate(step: int) -> float:
    warmup = min(1.0, (step + 1) / WARMUP)
    cosine = 0.5 * (1 + math.cos(math.pi * step / STEPS))
    return PEAK * warmup * (FLOOR + (1 - FLOOR) * cosine)


def main() -> None:
    torch.manual_seed(11)
    torch.set_num_threads(1)
    config = Qwen3Config(
        vocab_size=48,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=True,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    model = Qwen3ForCausalLM(config).float().train()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.add_(0.1 * torch.randn_like(weight))
    OUT.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(OUT / "model", safe_serialization=True)

    examples = []
    # Every step's examples have 40 tokens together, in some order of lengths.
    lengths = [n for _ in range(STEPS) for n in torch.tensor([6, 9, 12, 13])[torch.randperm(PER_STEP)].tolist()]
    for length in lengths:
        ids = torch.randint(0, config.vocab_size, (length,)).tolist()
        examples.append({"ids": ids, "prompt_tokens": int(torch.randint(2, 5, (1,)))})

    matrices = [p for p in model.parameters() if p.dim() == 2]
    scales = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": DECAY},
            {"params": scales, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
        eps=1e-8,
    )
    steps = []
    for step in range(STEPS):
        batch = examples[step * PER_STEP : (step + 1) * PER_STEP]
        # One example at a time: nothing here can leak between examples.
        losses, learnt = [], 0
        for example in batch:
            ids, start = torch.tensor([example["ids"]]), example["prompt_tokens"]
            logits = model(ids).logits[0, start - 1 : -1]
            losses.append(
                torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="sum")
            )
            learnt += ids.shape[1] - start
        loss = torch.stack(losses).sum() / learnt
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        steps.append({"loss": loss.item(), "grad_norm": norm.item(), "lr": rate(step)})

    weights = {n: p.detach().contiguous() for n, p in model.named_parameters()}
    save_file(weights, OUT / "after.safetensors")
    (OUT / "run.json").write_text(
        json.dumps({"tokens_per_step": 40, "examples": examples, "steps": steps}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
