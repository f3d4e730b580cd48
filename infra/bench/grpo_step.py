"""A GRPO step (writing, scoring, learning) beside `trl`'s GRPOTrainer: the same policy, data,
batch, lengths and cores.

    cargo build --release -p illumine-worker --bin illumine
    python infra/bench/grpo_step.py target/release/illumine

Both score by the number of pictures and by valid tags. Ours also lets its tools draw what
the answers ask for; `trl` is spared that, and counts tags. Prints a Markdown table of tokens
of answers a second, over steps after the first. Needs the environment of
infra/parity/requirements.txt, `trl` and `datasets`.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
POLICY = ROOT / "worker/models/demo-policy"
DATA = ROOT / "worker/datasets/demo/train.parquet"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("illumine")
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--prompts", type=int, default=12)
parser.add_argument("--samples", type=int, default=8)
parser.add_argument("--tokens", type=int, default=400)
parser.add_argument("--threads", type=int, default=os.cpu_count())
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
# Set before the libraries are loaded: they look for services by themselves.
os.environ.update(HF_HUB_OFFLINE="1", WANDB_DISABLED="true", CUDA_VISIBLE_DEVICES="")

TAG = re.compile(r"<imgen>(.*?)</imgen>", re.DOTALL)


def valid(tag):
    try:
        call = json.loads(tag)
        return isinstance(call, dict) and {"source", "params"} <= call.keys()
    except ValueError:
        return False


def reward(completions, image_num, **_):
    scores = []
    for completion, wanted in zip(completions, image_num):
        tags = TAG.findall(completion[0]["content"])
        made = sum(map(valid, tags))
        if wanted == -1:
            count = float(made == 0)
        elif wanted == 0:
            count = 1.0
        elif wanted == 99:
            count = float(made > 0)
        else:
            count = made / wanted if made <= wanted else max(0.0, 1 - 0.3 * (made - wanted))
        scores.append(0.8 * count + 0.2 * (made / len(tags) if tags else 1.0))
    return scores


def ours():
    recipe = f"""
model = "{POLICY}"
dataset = ["{DATA}"]
input_marks = true
[reward.weights]
count = 0.8
format = 0.2
tools = 0.0
llm = 0.0
mllm = 0.0
[run]
steps = {arguments.steps + 1}
prompts_per_step = {arguments.prompts}
learning_rate = 1e-5
validate_every = 0
checkpoint_every = 1000
samples_every = 1000
[run.step.sampling]
samples = {arguments.samples}
max_answer_tokens = {arguments.tokens}
"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "recipe.toml"
        path.write_text(recipe)
        out = pathlib.Path(folder) / "run"
        command = [arguments.illumine, "train", "--config", path, "--out", out]
        subprocess.run(command, check=True, cwd=ROOT)
        lines = (out / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines][1:]
    return [(step["tokens_per_s"], step["rollout_s"], step["update_s"]) for step in steps]


def trl():
    import pyarrow.parquet
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(arguments.threads)
    system = (POLICY / "system_prompt.md").read_text().strip()
    rows = []
    for row in pyarrow.parquet.read_table(DATA).to_pylist():
        question = row["extra_info"]["question"]
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
        ]
        rows.append({"prompt": messages, "image_num": row["extra_info"]["image_num"]})
    model = AutoModelForCausalLM.from_pretrained(POLICY, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    batch = arguments.prompts * arguments.samples

    class Clock(TrainerCallback):
        ended, tokens = [], []

        def on_train_begin(self, *_, **__):
            self.ended.append(time.time())

        def on_step_end(self, *_, **__):
            self.ended.append(time.time())

        def on_log(self, args, state, control, logs=None, **_):
            if logs and "completions/mean_length" in logs:
                self.tokens.append(logs["completions/mean_length"] * batch)

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=arguments.samples * 2,
            gradient_accumulation_steps=batch // (arguments.samples * 2),
            num_generations=arguments.samples,
            max_completion_length=arguments.tokens,
            temperature=1.0,
            beta=0.0,
            learning_rate=1e-5,
            max_steps=arguments.steps + 1,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        )
        GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[clock],
        ).train()
    took = [after - before for before, after in zip(clock.ended, clock.ended[1:])]
    return [(tokens / seconds, None, None) for tokens, seconds in zip(clock.tokens, took)][1:]


def main():
    results = {"trl": trl(), "illumine": ours()}
    print(f"{arguments.prompts} × {arguments.samples} answers of at most {arguments.tokens} tokens, {arguments.threads} threads")
    print("| | tokens/s, median of steps | lowest | highest |\n|---|--:|--:|--:|")
    medians = {}
    for name, steps in results.items():
        rates = [rate for rate, *_ in steps]
        medians[name] = statistics.median(rates)
        print(f"| {name} | {medians[name]:.0f} | {min(rates):.0f} | {max(rates):.0f} |")
    print(f"| ratio | {medians['illumine'] / medians['trl']:.2f} | | |")


if __name__ == "__main__":
    main()
