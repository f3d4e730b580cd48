"""Decoding of 8-bit weights beside `llama.cpp`, on the same random weights.

    pip install numpy gguf safetensors llama-cpp-python
    python infra/bench/int8_decode.py target/release/examples/bench_decode FOLDER

FOLDER is a Hugging Face folder of a dense Qwen3 with a tied head, as
`infra/bench/qwen3_decode.py` makes them. Its weights are written to a GGUF file
in `Q8_0` (without a vocabulary: tokens are given by number), and both decode
the same number of tokens in turns. Prints a Markdown row.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name):
    name = name.removesuffix(".weight").removeprefix("model.")
    if name == "embed_tokens":
        return "token_embd.weight"
    if name == "norm":
        return "output_norm.weight"
    _, layer, part = name.split(".", 2)
    return f"blk.{layer}.{NAMES[part]}.weight"


def convert(folder, target):
    import gguf
    import numpy as np
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(str(target), "qwen3")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    rope = config.get("rope_parameters") or {}
    writer.add_rope_freq_base(rope.get("rope_theta") or config.get("rope_theta", 10_000.0))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    q8 = gguf.GGMLQuantizationType.Q8_0
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "np") as tensors:
            for name in tensors.keys():
                values = tensors.get_tensor(name).astype(np.float32)
                if values.ndim == 2:
                    writer.add_tensor(gguf_name(name), gguf.quants.quantize(values, q8), raw_dtype=q8)
                else:
                    writer.add_tensor(gguf_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_cpp(path, threads, prompt, new):
    """Runs in a process of its own."""
    from llama_cpp import Llama

    model = Llama(
        str(path), n_ctx=prompt + new + 8, n_threads=threads, n_threads_batch=threads, verbose=False
    )
    vocab = model.n_vocab()
    ids = [i * 7919 % vocab for i in range(prompt)]
    model.eval(ids)
    model.reset()
    started = time.perf_counter()
    model.eval(ids)
    prefill = time.perf_counter() - started
    model.eval([1])
    started = time.perf_counter()
    for step in range(new):
        model.eval([step % vocab])
    return dict(
        prefill_ms=prefill * 1e3, step_ms=(time.perf_counter() - started) / new * 1e3
    )


def last_line(command, threads):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--new", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--llama", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.llama:
        (threads,) = arguments.threads
        print(json.dumps(llama_cpp(arguments.folder, threads, arguments.prompt, arguments.new)))
        return

    with tempfile.TemporaryDirectory() as scratch:
        converted = pathlib.Path(scratch) / "model.gguf"
        convert(arguments.folder, converted)
        sizes = [str(arguments.prompt), str(arguments.new)]
        for threads in arguments.threads:
            pairs = []
            for _ in range(arguments.rounds):
                ours = last_line([arguments.binary, arguments.folder, *sizes, "1", "int8"], threads)
                theirs = last_line(
                    [sys.executable, __file__, arguments.binary, converted, "--llama"]
                    + ["--threads", str(threads), "--prompt", sizes[0], "--new", sizes[1]],
                    threads,
                )
                pairs.append((ours, theirs))
            cells = []
            for key in ("step_ms", "prefill_ms"):
                ours, theirs = (statistics.median(pair[i][key] for pair in pairs) for i in (0, 1))
                cells.append(f"{theirs:.2f} / {ours:.2f} = **{theirs / ours:.2f}×**")
            print(f"| {arguments.folder.name} | {threads} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
