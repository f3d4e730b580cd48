"""Reference fixtures for Qwen3 from `transformers`, see README.md."""

import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

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
}


def randomise_norms(model):
    """Norms start at one; a test of them needs other values."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(1.0 + 0.3 * torch.randn_like(parameter))


def use_old_spelling(folder):
    """`rope_theta` at the top level, as transformers 4 wrote it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    path.write_text(json.dumps(config, indent=2))


def write_model(folder, changes, options):
    shutil.rmtree(folder, ignore_errors=True)
    model = Qwen3ForCausalLM(Qwen3Config(**{**BASE, **changes}))
    randomise_norms(model)
    model = model.to(options.get("dtype", torch.float32))
    model.save_pretrained(folder, max_shard_size=options.get("max_shard_size", "5GB"))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if options.get("old_spelling"):
        use_old_spelling(folder)


def load(folder):
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
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
    arguments = parser.parse_args()
    if arguments.model:
        torch.manual_seed(0)
        write_reference(load(arguments.model), arguments.reference)
        return
    for number, (name, (changes, options)) in enumerate(CASES.items()):
        torch.manual_seed(number)
        folder = FIXTURES / name
        write_model(folder, changes, options)
        write_reference(load(folder), folder / "reference.safetensors")
        print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
