"""Reference fixtures for Qwen-Image from `diffusers`, see README.md."""

import argparse
import json
import pathlib
import shutil

import numpy as np
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift, retrieve_timesteps
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

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


LORA_TARGETS = [
    "transformer_blocks.0.attn.to_q",
    "transformer_blocks.0.attn.add_k_proj",
    "transformer_blocks.0.attn.to_out.0",
    "transformer_blocks.0.img_mod.1",
    "transformer_blocks.0.txt_mlp.net.0.proj",
    "transformer_blocks.0.img_mlp.net.2",
    "proj_out",
]


def lora_files(model):
    """The same kind of adapter as several trainers write it."""
    modules = dict(model.named_modules())

    def factors(rank):
        for name in LORA_TARGETS:
            linear = modules[name]
            down = torch.randn(rank, linear.in_features) / linear.in_features**0.5
            yield name, down, torch.randn(linear.out_features, rank) / rank**0.5

    plain = {}
    for name, down, up in factors(2):
        plain |= {f"transformer.{name}.lora_A.weight": down, f"transformer.{name}.lora_B.weight": up}
    settings = {"r": 2, "lora_alpha": 3, "target_modules": LORA_TARGETS}
    settings = {f"transformer.{key}": value for key, value in settings.items()}
    yield "diffusers", plain, dict(format="pt", lora_adapter_metadata=json.dumps(settings))
    lightning, flat = {}, {}
    for name, down, up in factors(3):
        lightning |= {
            f"{name}.lora_down.weight": down.bfloat16(),
            f"{name}.lora_up.weight": up.bfloat16(),
            f"{name}.alpha": torch.tensor(1.5),
        }
    yield "lightning", lightning, dict(format="pt")
    for name, down, up in factors(2):
        at = "lora_unet_" + name.replace(".", "_")
        flat |= {f"{at}.lora_down.weight": down, f"{at}.lora_up.weight": up}
        flat |= {f"{at}.alpha": torch.tensor(4.0)}
    yield "flat", flat, dict(format="pt")


def write_loras():
    folder = FIXTURES / "lora"
    folder.mkdir(parents=True, exist_ok=True)
    base = FIXTURES / "transformer" / "one"
    reference = load_file(base / "reference.safetensors")
    shapes = [[tuple(shape) for shape in reference.pop("img_shapes").tolist()]]
    del reference["sample"]
    torch.manual_seed(23)
    samples = {}
    for name, tensors, metadata in lora_files(QwenImageTransformer2DModel.from_pretrained(base)):
        path = folder / f"{name}.safetensors"
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata=metadata)
        model = QwenImageTransformer2DModel.from_pretrained(base).eval()
        state, found = QwenImagePipeline.lora_state_dict(str(path), return_lora_metadata=True)
        QwenImagePipeline.load_lora_into_transformer(state, model, metadata=found)
        with torch.no_grad():
            samples[name] = model(**reference, img_shapes=shapes).sample.contiguous()
    save_file(samples, folder / "samples.safetensors")
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
                    config={k: v for k, v in scheduler.config.items() if k[0] != "_"},
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


PIPELINES = FIXTURES / "pipeline"
# Pixels of a picture to edit, and as the prompt's encoder sees one of several.
AREA = 64 * 64
CONDITION_AREA = 48 * 48
MARKS = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
WIDTH = 16


def make_tokenizer():
    tokenizer = Tokenizer.from_file(str(FIXTURES.parent / "chat/tokenizer.json"))
    tokenizer.add_special_tokens(MARKS)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        extra_special_tokens=dict(image_token="<|image_pad|>"),
    )


def make_text_encoder(tokenizer):
    ids = dict(zip(("image", "video", "vision_start", "vision_end"), MARKS))
    config = Qwen2_5_VLConfig(
        text_config=dict(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=20,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=2048,
            rope_parameters=dict(rope_type="default", rope_theta=500.0, mrope_section=[1, 2, 1]),
            initializer_range=0.3,
        ),
        vision_config=dict(
            depth=2,
            hidden_size=16,
            intermediate_size=12,
            num_heads=2,
            out_hidden_size=WIDTH,
            patch_size=4,
            spatial_merge_size=2,
            temporal_patch_size=2,
            window_size=16,
            fullatt_block_indexes=[1],
            initializer_range=0.3,
        ),
        **{f"{name}_token_id": tokenizer.convert_tokens_to_ids(t) for name, t in ids.items()},
        tie_word_embeddings=False,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    randomise(model)

    def with_types(_, args, kwargs):
        # transformers 5 counts a picture's positions in rows and columns only when it is told
        # which tokens are pictures; diffusers 0.42 does not tell it, and was written for
        # transformers 4, which looked for itself.
        kwargs["mm_token_type_ids"] = (kwargs["input_ids"] == config.image_token_id).int()
        return args, kwargs

    model.register_forward_pre_hook(with_types, with_kwargs=True)
    return model.eval()


def make_vae():
    vae = AutoencoderKLQwenImage(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        latents_mean=[0.3, -0.2, 0.1, -0.4],
        latents_std=[1.3, 0.8, 1.1, 0.9],
    )
    randomise(vae, spread=0.9)
    # Halves lose nothing in f32, and the files are smaller.
    return vae.to(torch.bfloat16).float().eval()


def save_component(name, save, dtype=None):
    folder = PIPELINES / name
    save(folder)
    for path in folder.glob("*.safetensors") if dtype else []:
        tensors = {k: v.to(dtype).contiguous() for k, v in load_file(path).items()}
        save_file(tensors, path, metadata=dict(format="pt"))


def use_small_areas():
    own = pipeline_qwenimage_edit.calculate_dimensions
    small = {1024 * 1024: AREA, 384 * 384: CONDITION_AREA}
    pipeline_qwenimage_edit.calculate_dimensions = lambda area, ratio: own(small[area], ratio)
    plus = pipeline_qwenimage_edit_plus.calculate_dimensions
    pipeline_qwenimage_edit_plus.calculate_dimensions = lambda area, r: plus(small[area], r)


def photo(number, width, height):
    """Smooth, so that resampling matters little, with noise on it, so that it matters."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    waves = [np.sin(7 * x + number) + y, np.cos(5 * y * number + 2 * x), x * y * 2 - 1]
    noise = np.random.default_rng(number).normal(0, 0.2, (height, width, 3))
    levels = 127 + 60 * (np.stack(waves, -1) + noise)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


# Pillow 13 resizes some shapes by columns first, older releases and ours all by rows first,
# which rounds otherwise; these are shapes on which they agree.
PHOTOS = [(90, 62), (31, 64), (90, 70)]

# What is asked of each pipeline; `pictures` are numbers of the photos above.
RUNS = {
    "generation": [
        dict(prompt=["a red fox"], width=48, height=64, steps=3, guidance=1.0),
        dict(prompt=["a red fox"], negative=[" "], width=64, height=32, steps=4, guidance=4.0),
        dict(
            prompt=["snow", "a long line of words: café 漢字, and more"],
            negative=["", "ugly, blurred"],
            width=48,
            height=32,
            steps=2,
            guidance=2.5,
        ),
    ],
    "edit": [
        dict(prompt=["make it night"], pictures=[0], width=64, height=32, steps=3, guidance=1.0),
        dict(
            prompt=["add a bird"],
            negative=[" "],
            pictures=[1],
            width=32,
            height=80,
            steps=2,
            guidance=4.0,
        ),
    ],
    "edit_plus": [
        dict(
            prompt=["put both together"],
            negative=["noise"],
            pictures=[0, 2],
            width=64,
            height=48,
            steps=2,
            guidance=3.0,
        ),
        dict(prompt=["snow"], pictures=[1], width=32, height=64, steps=2, guidance=1.0),
    ],
}


@torch.no_grad()
def run_pipeline(pipe, run, photos):
    """Noise, latents and picture; the prompt's states too."""
    width, height, count = run["width"], run["height"], len(run["prompt"])
    noise = torch.randn(count, (width // 16) * (height // 16), 16)
    pictures = [photos[number] for number in run.get("pictures", [])]
    images, sources = {}, {}
    encode = getattr(type(pipe), "_encode_vae_image", None)

    def listen(image, generator):
        """What the VAE is given, as levels, and its normalised latents."""
        latents = encode(pipe, image, generator)
        number = len(sources) // 2
        levels = ((image[0, :, 0] / 2 + 0.5) * 255).round().to(torch.uint8)
        sources[f"source.{number}"] = levels.contiguous()
        sources[f"source_latents.{number}"] = latents[:, :, 0].contiguous()
        return latents

    if pictures:
        pipe._encode_vae_image = listen
        is_plus = isinstance(pipe, QwenImageEditPlusPipeline)
        images = dict(image=pictures if is_plus else pictures[0])
    arguments = dict(
        prompt=run["prompt"],
        negative_prompt=run.get("negative"),
        true_cfg_scale=run["guidance"],
        width=width,
        height=height,
        num_inference_steps=run["steps"],
        **images,
    )
    latents = pipe(**arguments, latents=noise.clone(), output_type="latent").images
    sources_once = dict(sources)
    decoded = pipe(**arguments, latents=noise.clone(), output_type="pt").images
    outcome = dict(noise=noise, latents=latents.contiguous(), decoded=decoded.contiguous())
    return outcome | sources_once


def write_pipelines():
    torch.manual_seed(17)
    shutil.rmtree(PIPELINES, ignore_errors=True)
    tokenizer = make_tokenizer()
    parts = dict(
        scheduler=FlowMatchEulerDiscreteScheduler(**RELEASED),
        vae=make_vae(),
        text_encoder=make_text_encoder(tokenizer),
        tokenizer=tokenizer,
        transformer=make_transformer(PIPELINES / "transformer", dict(joint_attention_dim=WIDTH)),
    )
    sides = dict(patch_size=4, temporal_patch_size=2, merge_size=2)
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**sides, min_pixels=64, max_pixels=1 << 20),
        tokenizer,
        Qwen2VLVideoProcessor(),
        chat_template="{{ messages }}",
    )
    for name, part in parts.items():
        if name != "transformer":
            dtype = torch.bfloat16 if name == "vae" else None
            save_component(name, part.save_pretrained, dtype)
    processor.save_pretrained(PIPELINES / "processor")
    for name in ("video_preprocessor_config.json", "tokenizer.json", "chat_template.jinja"):
        (PIPELINES / "processor" / name).unlink(missing_ok=True)
    photos = [photo(number, *size) for number, size in enumerate(PHOTOS)]
    for number, picture in enumerate(photos):
        picture.save(PIPELINES / f"photo_{number}.png")

    use_small_areas()
    pipes = dict(
        generation=QwenImagePipeline(**parts),
        edit=QwenImageEditPipeline(**parts, processor=processor),
        edit_plus=QwenImageEditPlusPipeline(**parts, processor=processor),
    )
    own = dict(area=AREA, condition_area=CONDITION_AREA, steps=4)
    for name, pipe in pipes.items():
        pipe.set_progress_bar_config(disable=True)
        index = {k: v for k, v in pipe.config.items() if not k.startswith("_")}
        index = dict(_class_name=type(pipe).__name__, **index)
        index["illumine"] = own | (dict(condition_area=AREA) if name == "edit" else {})
        (PIPELINES / f"{name}.json").write_text(json.dumps(index, indent=1))
        tensors, prompts = {}, {}
        for number, run in enumerate(RUNS[name]):
            outcome = run_pipeline(pipe, run, photos)
            tensors |= {f"{number}.{key}": value for key, value in outcome.items()}
        with torch.no_grad():
            for number, prompt in enumerate(["", "a red fox", "word " * 700]):
                images = {}
                if name == "edit":
                    images = dict(image=photos[0].resize((80, 48), Image.LANCZOS))
                elif name == "edit_plus":
                    images = dict(image=photos[:2])
                elif number == 2:
                    images = dict(max_sequence_length=512)
                words = prompt[:400] if "image" in images else prompt
                states, _ = pipe.encode_prompt(prompt=[words], **images)
                tensors[f"prompt.{number}"] = states.contiguous()
        save_file(tensors, PIPELINES / f"{name}.safetensors")
    (PIPELINES / "runs.json").write_text(json.dumps(RUNS, indent=1))
    report(PIPELINES)


TEXTS = [
    "A red fox, in the snow!",
    "It's 2026: they'll've 1234 caf\u00e9s\n\n  and\ttabs ",
    "e\u0301 becomes one letter; \u6f22\u5b57 \U0001f99c",
    "<|im_start|>user\nhi<|im_end|>\n<|vision_start|><|image_pad|><|vision_end|>",
    "",
]


def write_old_tokenizer():
    """The files of a tokenizer without tokenizer.json, as Qwen-Image's folder has them."""
    folder = FIXTURES / "old_tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    whole = json.loads((FIXTURES.parent / "chat/tokenizer.json").read_text())
    special = [token["content"] for token in whole["added_tokens"]]
    tokens = [token for token in whole["model"]["vocab"] if token not in special]
    (folder / "vocab.json").write_text(json.dumps({t: n for n, t in enumerate(tokens)}))
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in whole["model"]["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    added = {}
    for number, token in enumerate(special + MARKS, len(tokens)):
        flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
        added[str(number)] = dict(content=token, special=True, **flags)
    settings = dict(tokenizer_class="Qwen2Tokenizer", added_tokens_decoder=added)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = Qwen2Tokenizer.from_pretrained(folder)
    cases = [dict(text=text, ids=tokenizer(text)["input_ids"]) for text in TEXTS]
    (folder / "ids.json").write_text(json.dumps(cases))
    report(folder)


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
    write_loras()
    write_schedules()
    write_old_tokenizer()
    write_pipelines()


if __name__ == "__main__":
    main()
