"""Fixture for reinforcement learning of low-rank changes: three updates of GRPO in PyTorch.

Writes worker/train/tests/fixtures/rl_lora: `start`, an adapter of `peft` over the model of
fixtures/sft whose B is not zero; `end`, the same after three updates from the answers of
fixtures/rl; and what each update said.

    python infra/parity/rl.py && python infra/parity/rl_lora.py
"""

import json
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from rl import CLIP, DECAY, FIXTURES, OBJECTIVES, RATE, update
from transformers import Qwen3ForCausalLM


def base():
    return Qwen3ForCausalLM.from_pretrained(FIXTURES / "sft/model", dtype=torch.float32)


def start(folder):
    config = LoraConfig(
        r=3, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"
    )
    model = get_peft_model(base(), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)


def main():
    torch.manual_seed(29)
    torch.set_num_threads(1)
    out = FIXTURES / "rl_lora"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    start(out / "start")
    fixture = json.loads((FIXTURES / "rl/runs.json").read_text())
    model = PeftModel.from_pretrained(base(), out / "start", is_trainable=True).train()
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        learnt, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY
    )
    answers, per_step = fixture["answers"], fixture["per_step"]
    steps = [
        update(model, learnt, optimizer, OBJECTIVES["grpo"], answers[at : at + per_step])
        for at in range(0, len(answers), per_step)
    ]
    model.save_pretrained(out / "end")
    (out / "steps.json").write_text(json.dumps(steps, indent=1) + "\n")
    for folder in ["start", "end"]:
        (out / folder / "README.md").unlink(missing_ok=True)
        path = out / folder / "adapter_config.json"
        config = json.loads(path.read_text())
        config["base_model_name_or_path"] = "sft/model"
        path.write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
