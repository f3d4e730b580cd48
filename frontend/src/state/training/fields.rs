//! The settings of a run as fields of a form, in plain words.

/// What is typed into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Whole,
    Number,
    /// A number, or nothing for none.
    OptionalNumber,
    /// Value and words.
    Choice(&'static [(&'static str, &'static str)]),
}

/// One setting. `path` is the request's, e.g. `settings.samples`.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub path: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub struct Group {
    pub title: &'static str,
    pub fields: &'static [Field],
}

const fn field(path: &'static str, kind: Kind, label: &'static str, help: &'static str) -> Field {
    Field {
        path,
        label,
        help,
        kind,
    }
}

use Kind::{Choice, Number, OptionalNumber, Whole};

const AGGREGATIONS: Kind = Choice(&[
    ("token_mean", "Mean over all tokens"),
    ("seq_mean_token_mean", "Mean over answers of token means"),
    (
        "seq_mean_token_sum_norm",
        "Mean over answers of token sums (Dr. GRPO)",
    ),
]);

const ACTIVATIONS: Kind = Choice(&[
    ("keep", "Kept for the way back"),
    ("recompute", "Computed again"),
]);

const PRECISIONS: Kind = Choice(&[("f32", "f32"), ("bf16", "bf16 (weights stay f32)")]);

const ADVANTAGE_SCALES: Kind = Choice(&[
    ("deviation", "Deviation of the group"),
    ("none", "Nothing (Dr. GRPO)"),
]);

const KL_PLACES: Kind = Choice(&[("loss", "The loss"), ("reward", "The reward")]);

/// Every setting and every factor of the reward.
pub const GROUPS: [Group; 7] = [
    Group {
        title: "Length of the run",
        fields: &[
            field("settings.steps", Whole, "Steps", "1 to 1 000 000"),
            field(
                "settings.prompts_per_step",
                Whole,
                "Prompts a step",
                "1 to 4096",
            ),
            field(
                "settings.samples",
                Whole,
                "Answers a prompt",
                "A group, 2 to 128",
            ),
            field(
                "settings.seed",
                Whole,
                "Seed",
                "Of prompts, tokens and tools",
            ),
        ],
    },
    Group {
        title: "Answers",
        fields: &[
            field(
                "settings.max_answer_tokens",
                Whole,
                "Longest answer (tokens)",
                "1 to 65 536",
            ),
            field(
                "settings.length_weight",
                Number,
                "Cost of running into it",
                "Taken from the reward; 0 for none. Not on Ray",
            ),
            field(
                "settings.length_buffer",
                Number,
                "Grows over (share)",
                "The last part of the longest answer, 0 to 1",
            ),
            field(
                "settings.temperature",
                Number,
                "Temperature",
                "Above 0, at most 5",
            ),
            field(
                "settings.time_limit_s",
                Whole,
                "Time limit (s)",
                "Later answers are left out of their group",
            ),
            field(
                "settings.most_excluded",
                Number,
                "Most left out (share)",
                "More, and the run stops: a judge or a tool is out of order",
            ),
        ],
    },
    Group {
        title: "Updates",
        fields: &[
            field(
                "settings.learning_rate",
                Number,
                "Learning rate",
                "At its peak, 0 to 0.1",
            ),
            field(
                "settings.warmup_steps",
                Whole,
                "Warm-up (steps)",
                "Until the peak",
            ),
            field(
                "settings.lora_rank",
                Whole,
                "LoRA rank",
                "Learns low-rank changes of it; 0 learns the weights",
            ),
            field(
                "settings.lora_alpha",
                Number,
                "LoRA alpha",
                "The changes count alpha / rank times",
            ),
            field(
                "settings.weight_decay",
                Number,
                "Weight decay",
                "Pull of matrices to zero",
            ),
            field(
                "settings.max_grad_norm",
                Number,
                "Largest gradient norm",
                "Clipped beyond it",
            ),
            field(
                "settings.epochs",
                Whole,
                "Epochs",
                "Times a step’s answers are learnt from",
            ),
            field(
                "settings.minibatches",
                Whole,
                "Minibatches",
                "Updates an epoch",
            ),
            field(
                "settings.tokens_per_micro_batch",
                Whole,
                "Tokens at once",
                "Through the model, padding included; less needs less memory",
            ),
            field(
                "settings.activations",
                ACTIVATIONS,
                "Activations",
                "Computing them again needs less memory and more time",
            ),
            field(
                "settings.precision",
                PRECISIONS,
                "Computed in",
                "bf16 is for GPUs: half the memory of activations. On Ray always bf16",
            ),
        ],
    },
    Group {
        title: "Objective",
        fields: &[
            field(
                "settings.clip_low",
                Number,
                "Clip low",
                "The ratio counts down to 1 − this",
            ),
            field(
                "settings.clip_high",
                Number,
                "Clip high",
                "The ratio counts up to 1 + this",
            ),
            field(
                "settings.dual_clip",
                OptionalNumber,
                "Dual clip",
                "Above 1; empty for none. GRPO alone",
            ),
            field(
                "settings.kl_weight",
                Number,
                "KL weight",
                "Keeps near the first policy",
            ),
            field(
                "settings.kl_in",
                KL_PLACES,
                "KL counts in",
                "The loss of each token, or the answer’s reward",
            ),
            field(
                "settings.entropy_weight",
                Number,
                "Entropy weight",
                "Keeps answers diverse",
            ),
            field(
                "settings.aggregation",
                AGGREGATIONS,
                "Loss",
                "How tokens’ losses become one",
            ),
            field(
                "settings.advantage_scale",
                ADVANTAGE_SCALES,
                "Rewards divided by",
                "In their group",
            ),
        ],
    },
    Group {
        title: "Checkpoints and samples",
        fields: &[
            field(
                "settings.checkpoint_every",
                Whole,
                "Checkpoint every (steps)",
                "1 or more",
            ),
            field(
                "settings.keep_checkpoints",
                Whole,
                "Checkpoints kept",
                "The best one stays too",
            ),
            field(
                "settings.samples_every",
                Whole,
                "Samples every (steps)",
                "Answers to read here",
            ),
        ],
    },
    Group {
        title: "Validation",
        fields: &[
            field(
                "settings.validate_every",
                Whole,
                "Validate every (steps)",
                "0 for never",
            ),
            field(
                "settings.validation_prompts",
                Whole,
                "Held-out prompts",
                "1 to 4096",
            ),
            field(
                "settings.patience",
                Whole,
                "Patience (validations)",
                "Ends after so many without a better one; 0 for never",
            ),
        ],
    },
    Group {
        title: "Reward factors",
        fields: &[
            field("reward.count", Number, "Number of pictures", "The rule, N"),
            field(
                "reward.mllm",
                Number,
                "Picture judge",
                "N times its score; needs a judge",
            ),
            field("reward.llm", Number, "Text judge", "Needs a judge"),
            field(
                "reward.tools",
                Number,
                "Tools",
                "Required tools used, with success",
            ),
            field("reward.format", Number, "Valid tags", "The share of them"),
        ],
    },
];

pub fn all() -> impl Iterator<Item = &'static Field> {
    GROUPS.iter().flat_map(|group| group.fields)
}

pub fn find(path: &str) -> Option<&'static Field> {
    all().find(|field| field.path == path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use illumine_types::training::TrainingConfig;

    use super::*;

    /// A setting that the types gain must not be missing from the form.
    #[test]
    fn every_setting_has_its_field() {
        let config = serde_json::to_value(TrainingConfig::default()).unwrap();
        let keys = |part: &'static str| {
            let keys = config[part].as_object().unwrap().keys();
            keys.map(move |key| format!("{part}.{key}"))
        };
        let known: BTreeSet<String> = keys("settings").chain(keys("reward")).collect();
        let shown: Vec<String> = all().map(|field| field.path.to_owned()).collect();
        assert_eq!(shown.iter().cloned().collect::<BTreeSet<_>>(), known);
        assert_eq!(shown.len(), known.len());
    }
}
