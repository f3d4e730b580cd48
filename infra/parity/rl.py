"""Fixture for reinforcement learning: three updates of each objective in PyTorch.

Writes worker/train/tests/fixtures/rl: answers with advantages and log-probabilities of
the policy that wrote them and of a reference, and, for each objective, what PyTorch makes
of them from the model of fixtures/sft: loss, gradient norm, entropy, share of clipped
tokens and divergence of each update, and the weights after the last.

The losses are written here as in verl's `core_algos.py` (`compute_policy_loss_vanilla`,
`compute_policy_loss_gspo`, `kl_penalty_forward`, `agg_loss`), on padded batches.

    python infra/parity/rl.py
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen3ForCausalLM

FIXTURES = Path(__file__).parents[2] / "worker/train/tests/fixtures"
STEPS, ANSWERS, LIMIT, RATE, CLIP, DECAY = 3, 5, 12, 5e-3, 0.7, 0.1

OBJECTIVES = {
    "grpo": dict(low=0.2, high=0.2, dual=3.0, agg="token_mean"),
    "dapo": dict(low=0.2, high=0.28, dual=None, agg="token_mean", entropy=0.01),
    "dr_grpo": dict(low=0.2, high=0.2, dual=None, agg="seq_mean_token_sum_norm"),
    "gspo": dict(gspo=True, low=3e-2, high=4e-2, dual=None, agg="seq_mean_token_mean"),
    "kl_k1": dict(low=0.2, high=0.2, dual=None, agg="token_mean", kl=0.1, estimate="k1"),
    "kl_k2": dict(low=0.2, high=0.2, dual=None, agg="seq_mean_token_mean", kl=0.1, estimate="k2"),
    "kl_k3": dict(low=0.2, high=0.2, dual=None, agg="token_mean", kl=0.1, estimate="k3", temperature=0.7),
}


def masked_mean(values, mask):
    return (values * mask).sum() / mask.sum()


def aggregate(values, mask, how):
    if how == "token_mean":
        return masked_mean(values, mask)
    sums = (values * mask).sum(1)
    if how == "seq_mean_token_mean":
        return (sums / mask.sum(1)).mean()
    return (sums / LIMIT).mean()


def divergence(estimate, logp, reference):
    if estimate == "k1":
        return logp - reference
    if estimate == "k2":
        return 0.5 * (logp - reference) ** 2
    kl = torch.clamp(reference - logp, -20, 20)
    return torch.clamp(kl.exp() - kl - 1, -10, 10)


def policy_loss(spec, logp, old, advantages, mask):
    negative = logp - old
    if spec.get("gspo"):
        sequence = (negative * mask).sum(1) / mask.sum(1).clamp(min=1)
        log_ratio = logp - logp.detach() + sequence.detach().unsqueeze(1)
        ratio = torch.clamp(log_ratio, max=10.0).exp()
    else:
        ratio = torch.clamp(negative, -20, 20).exp()
    free = -advantages * ratio
    cut = -advantages * torch.clamp(ratio, 1 - spec["low"], 1 + spec["high"])
    losses = torch.maximum(free, cut)
    clipped = masked_mean((cut > free).float(), mask)
    if spec["dual"]:
        losses = torch.where(advantages < 0, torch.minimum(-advantages * spec["dual"], losses), losses)
    return aggregate(losses, mask, spec["agg"]), clipped


def padded(rows):
    width = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])


def run(spec, answers):
    model = Qwen3ForCausalLM.from_pretrained(FIXTURES / "sft/model", dtype=torch.float32).train()
    matrices = [p for p in model.parameters() if p.dim() == 2]
    scales = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": scales, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    steps = []
    for step in range(STEPS):
        batch = answers[step * ANSWERS : (step + 1) * ANSWERS]
        steps.append(update(model, list(model.parameters()), optimizer, spec, batch))
    return steps, {n: p.detach().contiguous() for n, p in model.named_parameters()}


def update(model, learnt, optimizer, spec, batch):
    """One update of `learnt` from the answers of `batch`, and what it says."""
    ids = padded([a["ids"] for a in batch])
    places = torch.arange(ids.shape[1] - 1).unsqueeze(0)
    first = torch.tensor([[a["prompt_tokens"] - 1] for a in batch])
    last = torch.tensor([[len(a["ids"]) - 2] for a in batch])
    mask = ((places >= first) & (places <= last)).float()
    spread = lambda name: padded([[0.0] * (a["prompt_tokens"] - 1) + a[name] for a in batch])
    whole = lambda values: torch.nn.functional.pad(values, (0, mask.shape[1] - values.shape[1]))
    old, reference = whole(spread("old_logp")), whole(spread("reference"))
    advantages = torch.tensor([[a["advantage"]] for a in batch]).expand_as(mask)
    logits = model(input_ids=ids).logits[:, :-1] / spec.get("temperature", 1.0)
    every = torch.log_softmax(logits, -1)
    logp = every.gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
    entropy = -(every.exp() * every).sum(-1)
    loss, clipped = policy_loss(spec, logp, old, advantages, mask)
    loss = loss - spec.get("entropy", 0.0) * aggregate(entropy, mask, spec["agg"])
    kl = divergence(spec.get("estimate", "k3"), logp, reference)
    loss = loss + spec.get("kl", 0.0) * aggregate(kl, mask, spec["agg"])
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(learnt, CLIP)
    optimizer.step()
    return {
        "loss": loss.item(),
        "grad_norm": norm.item(),
        "entropy": masked_mean(entropy, mask).item(),
        "kl": masked_mean(kl, mask).item(),
        "clip_share": clipped.item(),
        "moved": masked_mean(old - logp, mask).item(),
    }


def make_answers():
    """Random answers; the writer's log-probabilities lie near the model's, so that some
    ratios are clipped and some are not."""
    model = Qwen3ForCausalLM.from_pretrained(FIXTURES / "sft/model", dtype=torch.float32).eval()
    answers = []
    for _ in range(STEPS * ANSWERS):
        prompt, tokens = int(torch.randint(2, 6, (1,))), int(torch.randint(1, LIMIT + 1, (1,)))
        ids = torch.randint(0, model.config.vocab_size, (prompt + tokens,))
        with torch.no_grad():
            every = torch.log_softmax(model(ids.unsqueeze(0)).logits[0, :-1], -1)
        logp = every.gather(-1, ids[1:].unsqueeze(-1)).squeeze(-1)[prompt - 1 :]
        near = lambda spread: (logp + spread * torch.randn_like(logp)).tolist()
        answers.append(
            {
                "ids": ids.tolist(),
                "prompt_tokens": prompt,
                "old_logp": near(0.4),
                "reference": near(0.5),
                "advantage": torch.randn(1).item(),
            }
        )
    # A probability that has grown a lot while its answer is bad meets the dual clip.
    answers[1]["old_logp"][0] -= 4.0
    answers[1]["advantage"] = -1.3
    return answers


def main():
    torch.manual_seed(23)
    torch.set_num_threads(1)
    out = FIXTURES / "rl"
    out.mkdir(parents=True, exist_ok=True)
    answers = make_answers()
    runs = {}
    for name, spec in OBJECTIVES.items():
        runs[name], weights = run(spec, answers)
        save_file(weights, out / f"{name}.safetensors")
    fixture = {"per_step": ANSWERS, "limit": LIMIT, "answers": answers, "runs": runs}
    (out / "runs.json").write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
