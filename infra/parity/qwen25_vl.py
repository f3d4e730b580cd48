"""Reference fixtures for Qwen2.5-VL from `transformers`, see README.md."""

import argparse
import json
import pathlib
import shutil

import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

FIXTURES = pathlib.Path(__file__).parents[2] / "worker/models/tests/fixtures/qwen25_vl"
GENERATED = 12
VOCAB = 40
# The last of the vocabulary: image, video, start and end of vision.
MARKS = 4

TEXT = dict(
    vocab_size=VOCAB,
    hidden_size=16,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=512,
    rope_parameters={"rope_type": "default", "rope_theta": 500.0, "mrope_section": [1, 2, 1]},
    # Large, so that logits are far from zero and positions matter.
    initializer_range=0.3,
    eos_token_id=None,
    bos_token_id=None,
    pad_token_id=0,
)
VISION = dict(
    depth=3,
    hidden_size=16,
    intermediate_size=12,
    num_heads=2,
    out_hidden_size=16,
    patch_size=2,
    spatial_merge_size=2,
    temporal_patch_size=2,
    # Windows of 2×2 merged squares.
    window_size=8,
    fullatt_block_indexes=[1],
    initializer_range=0.3,
)

# name: (decoder, tower, tied head, how the files are written, prompts)
# A prompt is a list of text lengths and of grids of patches.
MIXED = [[3, (4, 6), 2, (10, 6), 4], [5], [2, (2, 2), 1]]
CASES = {
    # Several pictures of different odd sizes in one prompt, left-padded rows.
    "several_pictures": (dict(), dict(), True, dict(), MIXED),
    "only_windows": (
        dict(num_hidden_layers=1),
        dict(depth=2, fullatt_block_indexes=[]),
        False,
        dict(dtype=torch.bfloat16),
        [[1, (6, 10), 3]],
    ),
    "only_full": (
        dict(num_hidden_layers=1, num_key_value_heads=2),
        dict(depth=2, fullatt_block_indexes=[0, 1], window_size=4),
        True,
        dict(dtype=torch.float16),
        [[2, (4, 8), 3], [1, (6, 2), 1]],
    ),
    # Also what a whole folder has beside the weights: tokenizer, template, processor.
    "text_only": (
        dict(vocab_size=296, hidden_size=8, num_attention_heads=1, max_position_embeddings=200),
        dict(depth=1, hidden_size=8, num_heads=1, out_hidden_size=8),
        True,
        dict(old_layout=True, chat=True),
        [[9], [4]],
    ),
    "old_layout_sharded": (
        dict(
            num_hidden_layers=1,
            num_attention_heads=3,
            num_key_value_heads=1,
            hidden_size=24,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]},
        ),
        # A window that no side divides, and sizes that are no powers of two.
        dict(hidden_size=12, num_heads=3, out_hidden_size=24, window_size=12),
        False,
        dict(old_layout=True, sharded=True, dtype=torch.float16),
        [[2, (8, 14), 2, (2, 4), 3], [4, (6, 6), 1]],
    ),
}


def randomise(model):
    """Norms start at one and biases at zero; a test of them needs other values."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "ln_q" in name:
                parameter.copy_(1.0 + 0.3 * torch.randn_like(parameter))
            elif name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn_like(parameter))


def use_old_layout(folder):
    """The decoder's fields at the top and the parts without `model.`, as released."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    config |= {k: v for k, v in text.items() if k not in config and k != "model_type"}
    config["rope_theta"] = rope["rope_theta"]
    config["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    vision = config["vision_config"]
    vision.pop("rope_parameters", None)
    vision["in_chans"] = vision.pop("in_channels")
    path.write_text(json.dumps(config, indent=2))


def rename(name, nested):
    """From the module's name to that of either layout's file."""
    if nested or name.startswith("lm_head"):
        return name
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def write_weights(folder, model, nested, options):
    dtype = options.get("dtype", torch.float32)
    tensors = {rename(k, nested): v.to(dtype).contiguous() for k, v in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        tensors.pop("lm_head.weight")
    if not options.get("sharded"):
        save_file(tensors, folder / "model.safetensors")
        return
    names = sorted(tensors)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    index = {"metadata": {}, "weight_map": {}}
    for number, half in enumerate(halves, 1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in half}, folder / file)
        index["weight_map"] |= dict.fromkeys(half, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def marks(vocab):
    names = ("image", "video", "vision_start", "vision_end")
    return {f"{name}_token_id": vocab - MARKS + n for n, name in enumerate(names)}


def write_model(folder, text, vision, tied, options):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = Qwen2_5_VLConfig(
        text_config={**TEXT, **text},
        vision_config={**VISION, **vision},
        **marks(text.get("vocab_size", VOCAB)),
        tie_word_embeddings=tied,
        architectures=["Qwen2_5_VLForConditionalGeneration"],
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    randomise(model)
    config.save_pretrained(folder)
    write_weights(folder, model, not options.get("old_layout"), options)
    if options.get("old_layout"):
        use_old_layout(folder)


def load(folder):
    """By the reference's own loader, whatever the layout."""
    model, info = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    return model.eval()


def prompts(config, rows):
    """Ids, left-padded, and the grids of their pictures."""
    merge = config.vision_config.spatial_merge_size
    sequences, grids = [], []
    for row in rows:
        ids = []
        for part in row:
            if isinstance(part, tuple):
                grids.append([1, *part])
                places = [config.image_token_id] * (part[0] * part[1] // merge**2)
                ids += [config.vision_start_token_id, *places, config.vision_end_token_id]
            else:
                ids += torch.randint(1, config.image_token_id, (part,)).tolist()
        sequences.append(ids)
    tokens = max(map(len, sequences))
    ids = torch.tensor([[0] * (tokens - len(s)) + s for s in sequences])
    mask = torch.tensor([[0] * (tokens - len(s)) + [1] * len(s) for s in sequences])
    return ids, mask, torch.tensor(grids)


@torch.no_grad()
def write_reference(model, path, rows):
    config = model.config
    ids, mask, grids = prompts(config, rows)
    inputs = dict(input_ids=ids, attention_mask=mask)
    if len(grids):
        vision = config.vision_config
        width = 3 * vision.temporal_patch_size * vision.patch_size**2
        inputs["pixel_values"] = torch.randn(int(grids.prod(1).sum()), width)
        inputs["image_grid_thw"] = grids
    kinds = (ids == config.image_token_id).int()
    logits = model(**inputs, mm_token_type_ids=kinds).logits
    tensors = inputs | {"logits": logits.contiguous()}
    # The greedy continuation of the first row, the longest, with its pictures.
    first = sum(isinstance(part, tuple) for part in rows[0])
    one = dict(input_ids=ids[:1], attention_mask=mask[:1], mm_token_type_ids=kinds[:1])
    if first:
        patches = int(grids[:first].prod(1).sum())
        one["pixel_values"] = inputs["pixel_values"][:patches]
        one["image_grid_thw"] = grids[:first]
    if int(mask[0].min()) == 1:
        generated = model.generate(
            **one, do_sample=False, max_new_tokens=GENERATED, eos_token_id=None, pad_token_id=0
        )
        tensors["generated_ids"] = generated[:, ids.shape[1] :].contiguous()
    save_file(tensors, path)


# In the manner of the released template: pictures in a list of parts, a system
# message where there is none, a number for each picture on demand.
TEMPLATE = """\
{% set pictures = namespace(value=0) %}{% for message in messages %}\
{% if loop.first and message['role'] != 'system' %}<|im_start|>system
Be helpful.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}<|im_end|>
{% else %}{% for content in message['content'] %}\
{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}\
{% set pictures.value = pictures.value + 1 %}\
{% if add_vision_id %}Picture {{ pictures.value }}: {% endif %}\
<|vision_start|><|image_pad|><|vision_end|>\
{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

CONVERSATIONS = [
    [{"role": "user", "content": "no picture"}],
    [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "the parrot?"}]}],
    [
        {"role": "system", "content": "You look."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "first "},
                {"type": "image"},
                {"type": "text", "text": " then "},
                {"type": "image"},
            ],
        },
        {"role": "assistant", "content": "cake"},
        {"role": "user", "content": [{"type": "text", "text": "and"}, {"type": "image"}]},
    ],
]
PICTURE_SIZES = [(9, 14), (5, 5), (1, 30)]
PROCESSOR = dict(
    patch_size=2, temporal_patch_size=2, merge_size=2, min_pixels=32, max_pixels=160
)


def write_chat(folder):
    """A tokenizer with the marks of pictures, and prompts as the processor makes them."""
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    tokenizer = Tokenizer.from_file(str(FIXTURES.parent / "chat/tokenizer.json"))
    fill = [f"<|unused_{n}|>" for n in range(tokenizer.get_vocab_size(), vocab - MARKS)]
    pads = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
    tokenizer.add_special_tokens(fill + pads)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**PROCESSOR),
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, extra_special_tokens=dict(image_token="<|image_pad|>")
        ),
        Qwen2VLVideoProcessor(),
        chat_template=TEMPLATE,
    )
    pictures = []
    for number, (height, width) in enumerate(PICTURE_SIZES):
        pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
        pictures.append(Image.fromarray(pixels.numpy()))
        pictures[-1].save(folder / f"picture_{number}.png")
    chats = []
    for messages in CONVERSATIONS:
        text = processor.apply_chat_template(messages, add_generation_prompt=True)
        count = text.count("<|image_pad|>")
        out = processor(text=[text], images=pictures[:count] or None)
        grids = out["image_grid_thw"].tolist() if count else []
        chats.append(dict(messages=messages, ids=out["input_ids"][0], image_grid_thw=grids))
    (folder / "chats.json").write_text(json.dumps(chats))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, help="a checkpoint in place of the fixtures")
    parser.add_argument("--reference", type=pathlib.Path, help="where its reference goes")
    arguments = parser.parse_args()
    if arguments.model:
        torch.manual_seed(0)
        write_reference(load(arguments.model), arguments.reference, MIXED)
        return
    for number, (name, (text, vision, tied, options, rows)) in enumerate(CASES.items()):
        torch.manual_seed(number)
        folder = FIXTURES / name
        write_model(folder, text, vision, tied, options)
        write_reference(load(folder), folder / "reference.safetensors", rows)
        if options.get("chat"):
            write_chat(folder)
        print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
