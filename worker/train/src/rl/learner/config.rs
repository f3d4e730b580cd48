//! What a learner is told.

use burn::tensor::DType;
use serde::{Deserialize, Serialize};

use crate::lora::LoraOptions;
use crate::optim::AdamWOptions;
use crate::rl::objective::Objective;

/// How answers are learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnerConfig {
    /// What is minimised.
    pub objective: Objective,
    /// The optimizer's numbers.
    pub optimizer: AdamWOptions,
    /// Temperature at which answers were drawn.
    pub temperature: f64,
    /// The most tokens that an answer may have.
    pub max_answer_tokens: usize,
    /// Tokens, padding included, that go through the model at once.
    pub tokens_per_micro_batch: usize,
    /// Activations are computed again on the way back, a layer at a time: less memory, and
    /// about a third more time.
    pub recompute: bool,
    /// Numbers of the way through the policy and back; what is learnt, its gradients' sum
    /// and its moments are f32 always.
    pub precision: Numbers,
    /// Low-rank changes are learnt in place of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraOptions>,
}

impl Default for LearnerConfig {
    fn default() -> Self {
        Self {
            objective: Objective::default(),
            optimizer: AdamWOptions {
                beta_2: 0.999,
                ..AdamWOptions::default()
            },
            temperature: 1.0,
            max_answer_tokens: 512,
            tokens_per_micro_batch: 4096,
            recompute: false,
            precision: Numbers::default(),
            lora: None,
        }
    }
}

/// Numbers that a policy computes with while it learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// As they are kept.
    #[default]
    F32,
    /// Half the memory of activations, and a GPU's tensor cores. The weights that are
    /// learnt stay f32, so that updates smaller than a step of bf16 add up (Micikevicius
    /// et al., *Mixed Precision Training*, arXiv:1710.03740, §3.1); bf16 has the range of
    /// f32, so that no loss needs scaling. Under low-rank changes the policy's own weights,
    /// which are not learnt, are kept in bf16 alone.
    Bf16,
}

impl Numbers {
    /// As burn calls them.
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Of weights that are kept: what is learnt stays f32.
    pub(in crate::rl) const fn of_base(self, lora: Option<&LoraOptions>) -> DType {
        match lora {
            Some(_) => self.dtype(),
            None => DType::F32,
        }
    }
}
