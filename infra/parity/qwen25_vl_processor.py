"""Reference fixtures for the image processor of Qwen2.5-VL, see README.md.

Each case is a picture file and what the reference makes of it.
"""

import json
import pathlib
import shutil

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

FIXTURES = pathlib.Path(__file__).parents[2] / "worker/models/tests/fixtures/qwen25_vl_processor"

# Small patches, so that the fixtures are small. Both spellings of the bounds.
SMALL = dict(patch_size=2, temporal_patch_size=1, merge_size=2, min_pixels=48, max_pixels=176)
FLAT = dict(
    patch_size=3,
    temporal_patch_size=1,
    merge_size=1,
    size={"shortest_edge": 81, "longest_edge": 400},
    image_mean=[0.5, 0.4, 0.3],
    image_std=[0.5, 0.25, 0.2],
)
RELEASED = dict(patch_size=14, temporal_patch_size=2, merge_size=2, min_pixels=784, max_pixels=784)

ORIENTATION = 0x0112
rng = np.random.default_rng(7)


def noise(height, width, channels=3):
    """Smooth shapes and sharp noise, so that every tap of the kernel counts."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 * (1 + np.sin(x / (3 + c) + y / (5 - c / 2) + c)) for c in range(channels)]
    sharp = rng.integers(0, 256, (height, width, channels))
    mixed = np.where(rng.random((height, width, 1)) < 0.5, np.stack(waves, -1), sharp)
    return mixed.astype(np.uint8)


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def palette(transparent):
    image = Image.fromarray(noise(17, 23)).quantize(19)
    options = dict(transparency=bytes([0, 40, 255, 200])) if transparent else {}
    return image, options


# name: (picture, how it is saved, processor)
CASES = {
    "rgb_shrunk": lambda: (Image.fromarray(noise(57, 91)), {}, SMALL),
    "rgb_grown": lambda: (Image.fromarray(noise(5, 7)), {}, FLAT),
    "rgb_as_it_is": lambda: (Image.fromarray(noise(12, 8)), {}, SMALL),
    "rgb_narrow_change": lambda: (Image.fromarray(noise(12, 13)), {}, SMALL),
    "grey": lambda: (Image.fromarray(noise(19, 33, 1)[..., 0]), {}, SMALL),
    "grey_alpha": lambda: (Image.fromarray(noise(21, 13, 2), "LA"), {}, SMALL),
    "one_bit": lambda: (Image.fromarray(noise(16, 29, 1)[..., 0]).convert("1"), {}, FLAT),
    "palette": lambda: (*palette(False), SMALL),
    "palette_transparent": lambda: (*palette(True), SMALL),
    "rgba": lambda: (Image.fromarray(noise(31, 14, 4), "RGBA"), {}, SMALL),
    "one_wide": lambda: (Image.fromarray(noise(40, 1)), {}, SMALL),
    "one_high": lambda: (Image.fromarray(noise(1, 37)), {}, FLAT),
    "exif_6": lambda: (Image.fromarray(noise(18, 27)), dict(exif=exif(6)), SMALL),
    "exif_7": lambda: (Image.fromarray(noise(22, 11)), dict(exif=exif(7)), SMALL),
    "released_sizes": lambda: (Image.fromarray(noise(43, 61)), {}, RELEASED),
}


def run(processor, image):
    # `load_image` turns a picture upright before any processor sees it.
    out = processor(images=ImageOps.exif_transpose(image), return_tensors="pt")
    return out["pixel_values"].to(torch.float32).contiguous(), out["image_grid_thw"]


def main():
    shutil.rmtree(FIXTURES, ignore_errors=True)
    for name, make in CASES.items():
        folder = FIXTURES / name
        folder.mkdir(parents=True)
        image, options, settings = make()
        image.save(folder / "picture.png", **options)
        image = Image.open(folder / "picture.png")
        (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2))
        values, grid = run(Qwen2VLImageProcessor(**settings), image)
        save_file({"pixel_values": values, "image_grid_thw": grid}, folder / "reference.safetensors")
        print(name, image.mode, grid.tolist())


if __name__ == "__main__":
    main()
