"""Stands in for verl where there is no GPU: started as verl is, by `infra/ray/train.sh`
with its overrides, it asks for rewards as verl does and prints what verl prints.

The model's name says how it behaves: `test/steady` trains on, `test/failing` breaks off
after its second step.
"""

import importlib.util
import json
import os
import signal
import sys
import time

OVERRIDES = dict(override.split("=", 1) for override in sys.argv[1:])
STEPS = int(OVERRIDES["trainer.total_training_steps"])
MODEL = OVERRIDES["actor_rollout_ref.model.path"].strip("'")
FOLDER = OVERRIDES["trainer.default_local_dir"].strip("'")


def score():
    path = OVERRIDES["reward.custom_reward_function.path"]
    spec = importlib.util.spec_from_file_location("reward", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, OVERRIDES["reward.custom_reward_function.name"]), module.Excluded


TOLD_TO_STOP = []


def main():
    signal.signal(signal.SIGTERM, lambda *_: TOLD_TO_STOP.append(True))
    compute_score, excluded = score()
    with open(OVERRIDES["data.train_files"]) as file:
        rows = [json.loads(line) for line in file]
    # Careless programs print such things.
    print("environment:", os.environ.get("ILLUMINE_API_KEY"), flush=True)
    progress = os.path.join(FOLDER, "step")
    done = int(open(progress).read()) if os.path.exists(progress) else 0
    print(f"starting after step {done}", flush=True)
    if done == 0:
        say(0, {"val-core/demo/acc/mean@1": 0.25, "val-aux/num_turns/mean": 2})
    for step in range(done + 1, STEPS + 1):
        row = rows[step % len(rows)]
        rewards, left_out = [], 0
        for answer in ("# A title\n", "no title"):
            try:
                rewards.append(
                    compute_score(row["data_source"], answer, row["reward_model"]["ground_truth"], row["extra_info"])
                )
            except excluded as reason:
                print(f"left out: {reason}", flush=True)
                left_out += 1
        if MODEL == "test/failing" and step == 3:
            raise RuntimeError("CUDA out of memory, so to say")
        # As verl prints what numpy holds.
        mean = sum(rewards) / len(rewards) if rewards else float("nan")
        say(
            step,
            {
                "critic/rewards/mean": f"np.float64({mean})",
                "actor/lr": float(OVERRIDES["actor_rollout_ref.actor.optim.lr"]),
                "actor/grad_norm": 1.5,
                "response_length/mean": 100.0 + step,
                "left_out": left_out,
            },
        )
        with open(progress, "w") as file:
            file.write(str(step))
        if TOLD_TO_STOP:
            print(f"told to stop after step {step}", flush=True)
            sys.exit(3)
        time.sleep(0.3)


def say(step, values):
    figures = " - ".join(f"{name}:{value}" for name, value in values.items())
    print(f"\x1b[36m(TaskRunner pid={os.getpid()})\x1b[0m step:{step} - {figures}", flush=True)


main()
