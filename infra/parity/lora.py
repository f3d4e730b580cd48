"""Reference fixtures for LoRA adapters from `peft`, see README.md.

An adapter folder as `save_pretrained` writes it, over one of the base models
that `qwen3.py` and `qwen25_vl.py` made; `base_model_name_or_path` names it. The
logits are those of the folder read back by `peft`.
"""

import argparse
import json
import pathlib
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

import qwen3
import qwen25_vl

FIXTURES = qwen3.FIXTURES.parent / "lora"

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]

# name: (base, fields of LoraConfig, how the files are written)
CASES = {
    "names": (
        "qwen3/grouped_tied",
        dict(r=4, lora_alpha=6, target_modules=ATTENTION + MLP),
        dict(),
    ),
    # Another adapter of the same base, which leaves the first layer as it is.
    "second_layer": (
        "qwen3/grouped_tied",
        dict(
            r=3,
            lora_alpha=7,
            target_modules=["q_proj", "v_proj", "up_proj", "layers.0.mlp.down_proj"],
            layers_to_transform=[1],
        ),
        dict(dtype=torch.bfloat16),
    ),
    "regex_rslora": (
        "qwen3/bf16_file",
        dict(
            r=5,
            lora_alpha=3,
            use_rslora=True,
            target_modules=r"model\.layers\.\d+\.(?!mlp\.up).*_proj",
            exclude_modules=r".*\.0\..*k_proj",
        ),
        dict(dtype=torch.float16),
    ),
    "patterns": (
        "qwen3/odd_sizes",
        dict(
            r=2,
            lora_alpha=4,
            target_modules="all-linear",
            rank_pattern={r"1\.mlp\.down_proj": 6, "down_proj": 1, "q_proj|k_proj": 3},
            alpha_pattern={"o_proj": 9, "model.layers.0.mlp.gate_proj": 1.5},
        ),
        dict(),
    ),
    "moe_attention": (
        "qwen3/moe",
        dict(r=2, lora_alpha=5, target_modules=ATTENTION),
        dict(),
    ),
    # As `peft` wrote it when each expert was a module of its own.
    "moe_experts": (
        "qwen3/moe",
        dict(r=2, lora_alpha=3, target_modules=["o_proj", *MLP]),
        dict(experts=True),
    ),
    "vision_all": (
        "qwen25_vl/several_pictures",
        dict(r=2, lora_alpha=3, target_modules="all-linear"),
        dict(),
    ),
    # The names of the released layout.
    "vision_old_names": (
        "qwen25_vl/old_layout_sharded",
        dict(r=3, lora_alpha=4, target_modules=["q_proj", "o_proj", "down_proj", "qkv"]),
        dict(old_names=True),
    ),
    # Of the one base that has a whole folder.
    "vision_chat": (
        "qwen25_vl/text_only",
        dict(r=1, lora_alpha=2, target_modules=["v_proj", "up_proj"]),
        dict(),
    ),
}


def family(base):
    return qwen25_vl if base.startswith("qwen25_vl") else qwen3


def load_base(base):
    return family(base).load(FIXTURES.parent / base)


def randomise(model, strength=0.3):
    """B starts at zero; a test of it needs other values."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(strength * torch.randn_like(parameter))


def add_experts(tensors, config, rank):
    """Factors for the experts' projections, each expert's its own."""
    hidden, inner = config.hidden_size, config.moe_intermediate_size
    for layer in range(config.num_hidden_layers):
        for expert in range(config.num_experts):
            at = f"base_model.model.model.layers.{layer}.mlp.experts.{expert}"
            for name in MLP:
                sizes = (inner, hidden) if name == "down_proj" else (hidden, inner)
                tensors[f"{at}.{name}.lora_A.weight"] = 0.3 * torch.randn(rank, sizes[0])
                tensors[f"{at}.{name}.lora_B.weight"] = 0.3 * torch.randn(sizes[1], rank)


def write_adapter(folder, base, fields, options):
    shutil.rmtree(folder, ignore_errors=True)
    model = load_base(base)
    config = model.config
    if options.get("experts"):
        # Newer releases have no such modules to wrap.
        wrapped = dict(fields, target_modules=["o_proj"])
    else:
        wrapped = fields
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **wrapped))
    randomise(model)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)

    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    if options.get("experts"):
        add_experts(tensors, config, fields["r"])
    dtype = options.get("dtype", torch.float32)
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata={"format": "pt"})

    path = folder / "adapter_config.json"
    saved = json.loads(path.read_text())
    saved["base_model_name_or_path"] = base
    saved["target_modules"] = fields["target_modules"]
    path.write_text(json.dumps(saved, indent=2))


def use_old_names(path):
    """As releases before 4.52 of `transformers` named the modules."""
    tensors = {
        name.replace("model.model.visual.", "model.visual.").replace(
            "model.model.language_model.", "model.model."
        ): tensor
        for name, tensor in load_file(path).items()
    }
    save_file(tensors, path, metadata={"format": "pt"})


def load(base, folder):
    """Base and adapter by the reference's own loader."""
    return PeftModel.from_pretrained(load_base(base), folder).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="beginnings of the cases to write")
    parser.add_argument("--model", help="a checkpoint in place of the fixtures' bases")
    parser.add_argument("--lora", type=pathlib.Path, help="its adapter")
    parser.add_argument("--reference", type=pathlib.Path, help="where their reference goes")
    arguments = parser.parse_args()
    if arguments.model:
        torch.manual_seed(0)
        model = PeftModel.from_pretrained(qwen3.load(arguments.model), arguments.lora).eval()
        qwen3.write_reference(model, arguments.reference)
        return
    for number, (name, (base, fields, options)) in enumerate(CASES.items()):
        if arguments.only and not any(name.startswith(only) for only in arguments.only):
            continue
        torch.manual_seed(number)
        folder = FIXTURES / name
        write_adapter(folder, base, fields, options)
        model = load(base, folder)
        rows = [[3, (4, 6), 2], [2, (2, 2), 1]] if family(base) is qwen25_vl else (9, 6)
        family(base).write_reference(model, folder / "reference.safetensors", rows)
        if options.get("old_names"):
            # `peft` itself reads the new ones alone.
            use_old_names(folder / "adapter_model.safetensors")
        print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
