"""Reference fixtures for Qwen3, dense and MoE, from `transformers`, see README.md."""

import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

FIXTURES = pathlib.Path(__file__).parents[2] / "worker/models/tests/fixtures/qwen3"
GENERATED = 24

BASE = dict(
    vocab_size=96,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    max_position_embeddings=512,
    rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    tie_word_embeddings=True,
    # Large, so that logits are far from zero and positions matter.
    initializer_range=0.25,
    eos_token_id=None,
    bos_token_id=None,
    pad_token_id=0,
)

# Trained, as it were, on 16 tokens: the rows below are longer.
STRETCHED = dict(
    vocab_size=48,
    hidden_size=24,
    intermediate_size=32,
    num_hidden_layers=1,
    max_position_embeddings=64,
)
LONG_ROWS = dict(lengths=(36, 23, 5), dtype=torch.bfloat16)
YARN = dict(rope_type="yarn", rope_theta=100.0, original_max_position_embeddings=16)

MOE = dict(
    vocab_size=40,
    hidden_size=24,
    intermediate_size=32,
    head_dim=8,
    num_experts=6,
    num_experts_per_tok=2,
    moe_intermediate_size=10,
    norm_topk_prob=True,
    initializer_range=0.35,
)

# name: (changes to the configuration, how the files are written)
CASES = {
    "grouped_tied": (dict(), dict()),
    "untied_one_kv_head": (
        dict(num_key_value_heads=1, head_dim=8, tie_word_embeddings=False),
        dict(),
    ),
    "ungrouped": (dict(num_key_value_heads=4, head_dim=8, num_hidden_layers=1), dict()),
    "theta_1e6": (
        dict(
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
            num_hidden_layers=1,
        ),
        dict(),
    ),
    "theta_old_spelling": (
        dict(
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
            num_hidden_layers=1,
        ),
        dict(old_spelling=True),
    ),
    "bf16_file": (dict(), dict(dtype=torch.bfloat16)),
    "f16_file": (dict(), dict(dtype=torch.float16)),
    "sharded": (
        dict(num_hidden_layers=2, tie_word_embeddings=False),
        dict(max_shard_size="30KB"),
    ),
    # Odd sizes: nothing is a multiple of a vector register.
    "odd_sizes": (
        dict(
            vocab_size=101,
            hidden_size=36,
            intermediate_size=50,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=10,
        ),
        dict(),
    ),
    "linear_rope": (
        dict(
            **STRETCHED,
            rope_parameters={"rope_type": "linear", "rope_theta": 100.0, "factor": 2.5},
        ),
        LONG_ROWS,
    ),
    "yarn": (
        dict(
            **STRETCHED,
            rope_parameters={**YARN, "factor": 4.0, "beta_fast": 2.0, "beta_slow": 0.25},
        ),
        LONG_ROWS,
    ),
    "yarn_mscale": (
        dict(
            **STRETCHED,
            rope_parameters={
                **YARN,
                "factor": 8.0,
                "beta_slow": 0.5,
                "mscale": 0.9,
                "mscale_all_dim": 0.4,
                "truncate": False,
            },
        ),
        LONG_ROWS,
    ),
    "yarn_old_spelling": (
        dict(**STRETCHED, rope_parameters={**YARN, "factor": 3.0, "attention_factor": 1.3}),
        dict(old_spelling=True, **LONG_ROWS),
    ),
    "moe": (MOE, dict(dtype=torch.bfloat16)),
    "moe_every_second_layer": (
        dict(
            MOE,
            num_hidden_layers=4,
            decoder_sparse_step=2,
            norm_topk_prob=False,
            tie_word_embeddings=False,
        ),
        dict(dtype=torch.bfloat16),
    ),
    "moe_first_layer_dense": (
        dict(MOE, num_hidden_layers=3, mlp_only_layers=[0], num_experts_per_tok=3),
        dict(dtype=torch.bfloat16),
    ),
    # More experts than tokens choose: some have nothing to do.
    "moe_idle_experts": (
        dict(
            MOE,
            hidden_size=20,
            num_experts=40,
            moe_intermediate_size=6,
            num_hidden_layers=1,
            norm_topk_prob=False,
        ),
        dict(lengths=(6, 3, 2), dtype=torch.bfloat16),
    ),
}


def randomise_norms(model):
    """Norms start at one; a test of them needs other values."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(1.0 + 0.3 * torch.randn_like(parameter))


def use_old_spelling(folder):
    """`rope_theta` at the top level and `rope_scaling`, as transformers 4 wrote them."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    config["rope_scaling"] = None if rope["type"] == "default" else rope
    path.write_text(json.dumps(config, indent=2))


def write_model(folder, changes, options):
    shutil.rmtree(folder, ignore_errors=True)
    fields = {**BASE, **changes}
    if "num_experts" in fields:
        model = Qwen3MoeForCausalLM(Qwen3MoeConfig(**fields))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**fields))
    randomise_norms(model)
    model = model.to(options.get("dtype", torch.float32))
    model.save_pretrained(folder, max_shard_size=options.get("max_shard_size", "5GB"))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if options.get("old_spelling"):
        use_old_spelling(folder)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="eager",
        # The grouped one wants widths that are multiples of four.
        experts_implementation="eager",
    ).eval()


def left_padded(vocab, lengths):
    tokens = max(lengths)
    ids = torch.zeros(len(lengths), tokens, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, tokens - length :] = torch.randint(1, vocab, (length,))
        mask[row, tokens - length :] = 1
    return ids, mask


@torch.no_grad()
def write_reference(model, path, lengths=(13, 9, 5)):
    ids, mask = left_padded(model.config.vocab_size, lengths)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
    generated = model.generate(
        ids[:1],
        attention_mask=mask[:1],
        do_sample=False,
        max_new_tokens=GENERATED,
        eos_token_id=None,
        pad_token_id=0,
    )[:, ids.shape[1] :]
    save_file(
        {
            "input_ids": ids,
            "attention_mask": mask,
            "logits": logits.contiguous(),
            "generated_ids": generated.contiguous(),
        },
        path,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, help="a checkpoint in place of the fixtures")
    parser.add_argument("--reference", type=pathlib.Path, help="where its reference goes")
    parser.add_argument("--only", nargs="*", help="beginnings of the cases to write")
    arguments = parser.parse_args()
    if arguments.model:
        torch.manual_seed(0)
        write_reference(load(arguments.model), arguments.reference)
        return
    for number, (name, (changes, options)) in enumerate(CASES.items()):
        if arguments.only and not any(name.startswith(only) for only in arguments.only):
            continue
        torch.manual_seed(number)
        folder = FIXTURES / name
        write_model(folder, changes, options)
        lengths = options.get("lengths", (13, 9, 5))
        write_reference(load(folder), folder / "reference.safetensors", lengths)
        print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
