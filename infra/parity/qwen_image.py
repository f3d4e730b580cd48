"""Reference fixtures for Qwen-Image from `diffusers`, see README.md."""

import argparse
import json
import pathlib
import shutil

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift, retrieve_timesteps
from safetensors.torch import save_file

FIXTURES = pathlib.Path(__file__).parents[2] / "worker/models/tests/fixtures/qwen_image"

TRANSFORMER = dict(
    patch_size=2,
    in_channels=16,
    out_channels=4,
    num_layers=2,
    attention_head_dim=8,
    num_attention_heads=2,
    joint_attention_dim=10,
    axes_dims_rope=(2, 2, 4),
)

# name: (shapes of the pictures, lengths of the texts, other settings, how files are written)
TRANSFORMERS = {
    # Odd sides; texts of different lengths, so that padding is masked.
    "batch": ([(1, 5, 3)], [7, 4, 1], dict(), dict()),
    "one": ([(1, 2, 7)], [3], dict(num_layers=1, axes_dims_rope=(4, 2, 2)), dict(sharded=True)),
    # Pictures to edit beside the one that is drawn.
    "edit": ([(1, 3, 4), (1, 5, 2)], [5, 5], dict(num_attention_heads=3), dict()),
    "edit_plus": ([(1, 4, 3), (1, 1, 6), (1, 3, 3)], [6, 2], dict(out_channels=None, num_layers=1), dict()),
    # Qwen-Image-Edit-2511.
    "zero_cond_t": ([(1, 3, 3), (1, 2, 5)], [4, 6], dict(zero_cond_t=True), dict()),
    "zero_cond_t_alone": ([(1, 3, 3)], [4], dict(zero_cond_t=True, num_layers=1), dict()),
}


def randomise(model, spread=1.0):
    """Weights large enough for every part to matter."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if "norm" in name and parameter.dim() == 1 and "bias" not in name:
                parameter.copy_(1.0 + 0.3 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.2 * spread * noise)
            else:
                parameter.copy_(spread * noise / parameter[0].numel() ** 0.5)


def make_transformer(folder, settings, sharded=False, spread=1.0):
    model = QwenImageTransformer2DModel(**{**TRANSFORMER, **settings})
    randomise(model, spread)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size="4KB" if sharded else "10GB")
    return model.eval()


@torch.no_grad()
def write_reference(model, path, shapes, lengths):
    batch, tokens = len(lengths), max(lengths)
    image_tokens = sum(f * h * w for f, h, w in shapes)
    mask = torch.tensor([[1] * n + [0] * (tokens - n) for n in lengths])
    text = torch.randn(batch, tokens, model.config.joint_attention_dim) * mask[..., None]
    inputs = dict(
        hidden_states=torch.randn(batch, image_tokens, model.config.in_channels),
        encoder_hidden_states=text,
        timestep=torch.linspace(0.93, 0.11, batch),
    )
    whole = bool(mask.all())
    sample = model(
        **inputs,
        encoder_hidden_states_mask=None if whole else mask,
        img_shapes=[list(shapes)] * batch,
    ).sample
    tensors = inputs | dict(img_shapes=torch.tensor(shapes), sample=sample.contiguous())
    if not whole:
        tensors["encoder_hidden_states_mask"] = mask
    save_file(tensors, path)


def write_transformers():
    for number, (name, (shapes, lengths, settings, options)) in enumerate(TRANSFORMERS.items()):
        torch.manual_seed(number)
        folder = FIXTURES / "transformer" / name
        model = make_transformer(folder, settings, **options)
        write_reference(model, folder / "reference.safetensors", shapes, lengths)
        report(folder)


# The released settings, those of the Lightning weights, and others that are possible.
RELEASED = dict(
    use_dynamic_shifting=True, max_shift=0.9, max_image_seq_len=8192, shift_terminal=0.02
)
LIGHTNING = RELEASED | dict(
    base_shift=float(np.log(3)), max_shift=float(np.log(3)), shift_terminal=None
)
SCHEDULERS = [
    RELEASED,
    LIGHTNING,
    RELEASED | dict(time_shift_type="linear"),
    dict(shift=3.0),
    dict(shift=0.7, shift_terminal=0.1),
]


def write_schedules():
    cases = []
    for settings in SCHEDULERS:
        for steps, tokens in [(2, 64), (4, 1024), (8, 6889), (20, 4096), (50, 35), (28, 16_384)]:
            scheduler = FlowMatchEulerDiscreteScheduler(**settings)
            names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
            mu = calculate_shift(tokens, *(scheduler.config[name] for name in names))
            sigmas = np.linspace(1.0, 1 / steps, steps)
            timesteps, _ = retrieve_timesteps(scheduler, steps, "cpu", sigmas=sigmas, mu=mu)
            cases.append(
                dict(
                    config=dict(scheduler.config),
                    steps=steps,
                    image_tokens=tokens,
                    sigmas=scheduler.sigmas.tolist(),
                    timesteps=timesteps.tolist(),
                )
            )
    FIXTURES.mkdir(parents=True, exist_ok=True)
    path = FIXTURES / "schedules.json"
    path.write_text(json.dumps(cases))
    print(path.name, path.stat().st_size, "bytes")


def report(folder):
    files = (file for file in folder.rglob("*") if file.is_file())
    print(folder.name, sum(file.stat().st_size for file in files), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, help="a transformer's folder, not fixtures")
    parser.add_argument("--reference", type=pathlib.Path, help="where its reference goes")
    arguments = parser.parse_args()
    if arguments.model:
        torch.manual_seed(0)
        model = QwenImageTransformer2DModel.from_pretrained(arguments.model, dtype=torch.float32)
        write_reference(model.eval(), arguments.reference, [(1, 9, 14), (1, 8, 8)], [23, 7])
        return
    write_transformers()
    write_schedules()


if __name__ == "__main__":
    main()
