"""Fixtures of Qwen-Image's autoencoder: small random weights, `diffusers` as the reference.

    python infra/parity/qwen_image_vae.py worker/models/tests/fixtures/qwen_image
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKLQwenImage
from safetensors.torch import save_file

# name → (configuration, batch, height, width, tiles)
CASES = {
    "plain": (
        dict(base_dim=4, z_dim=4, dim_mult=[1, 2, 3], num_res_blocks=1, temperal_downsample=[False, True]),
        2, 20, 12, False,
    ),
    "odd_channels": (
        dict(base_dim=2, z_dim=3, dim_mult=[3, 5, 1], num_res_blocks=2, temperal_downsample=[True, False]),
        1, 12, 28, False,
    ),
    "released_sizes": (
        dict(base_dim=3, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=1, temperal_downsample=[False, True, True]),
        1, 40, 24, False,
    ),
    # Larger than one tile of 32 on both sides, and not a multiple of the stride of 24.
    "tiled": (
        dict(base_dim=2, z_dim=2, dim_mult=[1, 1, 1], num_res_blocks=1, temperal_downsample=[False, False]),
        1, 60, 84, True,
    ),
}


def make(out: Path, name: str, number: int) -> None:
    fields, batch, height, width, tiles = CASES[name]
    torch.manual_seed(100 + number)
    z = fields["z_dim"]
    mean = [round(0.1 * i - 0.2, 3) for i in range(z)]
    std = [round(0.8 + 0.1 * i, 3) for i in range(z)]
    model = AutoencoderKLQwenImage(**fields, latents_mean=mean, latents_std=std).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # The reference's norms begin at one and its biases near zero.
            parameter.add_(torch.randn_like(parameter) * 0.05)
        if tiles:
            model.enable_tiling(32, 32, 24, 24)
        source = torch.rand(batch, 3, 1, height, width) * 2 - 1
        posterior = model.encode(source).latent_dist
        moments = torch.cat([posterior.mean, posterior.logvar], dim=1)
        latents = posterior.mean + 0.3 * torch.randn_like(posterior.mean)
        image = model.decode(latents).sample
    folder = out / ("vae_tiled" if tiles else f"vae/{name}")
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tensors = dict(source=source, moments=moments, latents=latents, image=image)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "reference.safetensors")
    print(name, tuple(image.shape), f"{image.std():.3f}", f"{(image.abs() == 1).float().mean():.3f} clamped")


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for number, case in enumerate(CASES):
        make(root, case, number)
