//! The objective of an update, as a function of log-probabilities alone.
//!
//! Every part is a function of each token's log-probability, so its derivative is written
//! down here, and the trainer multiplies it with the log-probabilities that the model
//! computed: `Σ ∂L/∂logp · logp` has the gradient of `L`.
//!
//! Sources: GRPO: DeepSeekMath (arXiv:2402.03300), eq. 3; clipping below and above apart:
//! DAPO (arXiv:2503.14476), eq. 10; dual clip: Ye et al. (arXiv:1912.09729), eq. 5; GSPO:
//! arXiv:2507.18071, eqs. 5 to 7; estimates of the divergence: Schulman, *Approximating KL
//! divergence*. Names, defaults and clamps are verl's (`core_algos.py`).

use serde::{Deserialize, Serialize};

/// Whose probability the ratio of a token compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// That of the token.
    #[default]
    Grpo,
    /// The geometric mean over the answer's tokens.
    Gspo,
}

/// How the losses of tokens become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Mean over all tokens of the update.
    TokenMean,
    /// Mean over answers of the mean over an answer's tokens.
    SeqMeanTokenMean,
    /// Mean over answers of the sum over an answer's tokens, divided by the limit of
    /// tokens: no bias towards long wrong answers (Dr. GRPO, arXiv:2503.20783, §3.2).
    SeqMeanTokenSumNorm,
}

/// An estimate of the divergence from the reference policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimate {
    /// `logp − ref`
    K1,
    /// `(logp − ref)² / 2`
    K2,
    /// `exp(ref − logp) − (ref − logp) − 1`, between −10 and 10.
    #[default]
    K3,
}

/// Where the divergence counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlPlace {
    /// In the loss of each token.
    #[default]
    Loss,
    /// Taken from an answer's reward, summed over its tokens and estimated for the policy
    /// that wrote it, before answers are compared (verl's `apply_kl_penalty`).
    Reward,
}

/// What an update minimises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objective {
    /// Of the ratio.
    pub algorithm: Algorithm,
    /// The ratio counts down to `1 −` this.
    pub clip_low: f64,
    /// The ratio counts up to `1 +` this.
    pub clip_high: f64,
    /// A token of negative advantage costs at most this many times it; GRPO alone.
    pub dual_clip: Option<f64>,
    /// Of tokens' losses.
    pub aggregation: Aggregation,
    /// Weight of the divergence.
    pub kl_weight: f64,
    /// Where it counts.
    pub kl_in: KlPlace,
    /// How the divergence is estimated.
    pub kl_estimate: KlEstimate,
    /// Weight of the entropy, which is to be large.
    pub entropy_weight: f64,
}

impl Default for Objective {
    fn default() -> Self {
        Self::grpo()
    }
}

impl Objective {
    /// The seed's recipe for GRPO.
    pub const fn grpo() -> Self {
        Self {
            algorithm: Algorithm::Grpo,
            clip_low: 0.2,
            clip_high: 0.2,
            dual_clip: Some(10.0),
            aggregation: Aggregation::TokenMean,
            kl_weight: 0.0,
            kl_in: KlPlace::Loss,
            kl_estimate: KlEstimate::K3,
            entropy_weight: 0.0,
        }
    }

    /// Whether the divergence is part of the reward.
    pub fn rewards_nearness(&self) -> bool {
        self.kl_in == KlPlace::Reward && self.kl_weight != 0.0
    }

    /// What the divergence weighs in the loss.
    fn kl_weight_in_loss(&self) -> f64 {
        match self.kl_in {
            KlPlace::Loss => self.kl_weight,
            KlPlace::Reward => 0.0,
        }
    }

    /// The divergence of an answer from the reference: summed over its tokens.
    pub fn answer_divergence(&self, logp: &[f32], reference: &[f32]) -> f64 {
        logp.iter()
            .zip(reference)
            .map(|(own, other)| f64::from(*own) - f64::from(*other))
            .map(|difference| divergence(self.kl_estimate, difference).0)
            .sum()
    }

    /// The seed's recipe for GSPO.
    pub const fn gspo() -> Self {
        Self {
            algorithm: Algorithm::Gspo,
            clip_low: 3e-4,
            clip_high: 4e-4,
            dual_clip: None,
            aggregation: Aggregation::SeqMeanTokenMean,
            ..Self::grpo()
        }
    }
}

/// The tokens of one answer, each slice with one number a token.
#[derive(Clone, Copy, Debug)]
pub struct AnswerTokens<'a> {
    /// Under the policy that is trained.
    pub logp: &'a [f32],
    /// Under the policy that wrote them.
    pub old_logp: &'a [f32],
    /// Under the reference; needed where the divergence has a weight.
    pub reference: Option<&'a [f32]>,
    /// Of the answer.
    pub advantage: f64,
}

/// What all answers of an update have together, however they are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Answers.
    pub answers: usize,
    /// Their tokens.
    pub tokens: usize,
    /// The most tokens that an answer may have.
    pub limit: usize,
}

/// An answer's part of the loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerLoss {
    /// Part of the loss, without entropy.
    pub loss: f64,
    /// Its derivative by each token's log-probability.
    pub gradient: Vec<f32>,
    /// What a token's entropy weighs in the loss: subtracted.
    pub entropy_weight: f64,
    /// Sums over tokens, for the step's metrics.
    pub sums: Sums,
}

/// Sums over tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Tokens.
    pub tokens: f64,
    /// Tokens whose ratio is cut.
    pub clipped: f64,
    /// Tokens that the dual clip cut.
    pub clipped_low: f64,
    /// `old − logp`: how far the update has moved the policy.
    pub moved: f64,
    /// The divergence from the reference.
    pub kl: f64,
    /// Ratios.
    pub ratio: f64,
}

impl Sums {
    /// Adds those of another answer.
    pub fn add(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.clipped += other.clipped;
        self.clipped_low += other.clipped_low;
        self.moved += other.moved;
        self.kl += other.kl;
        self.ratio += other.ratio;
    }
}

/// Beyond it a ratio of tokens is cut before it is raised, against overflow.
const LARGEST_LOG_RATIO: f64 = 20.0;
/// The same of answers.
const LARGEST_SEQUENCE_LOG_RATIO: f64 = 10.0;
/// The bound of [`KlEstimate::K3`].
const LARGEST_K3: f64 = 10.0;

/// The part of `answer` in the loss of an update over `totals`.
pub fn answer_loss(objective: &Objective, answer: AnswerTokens<'_>, totals: Totals) -> AnswerLoss {
    let count = answer.logp.len();
    let weight = token_weight(objective.aggregation, count, totals);
    let kl_weight = objective.kl_weight_in_loss();
    let log_ratio =
        |token: usize| f64::from(answer.logp[token]) - f64::from(answer.old_logp[token]);
    let mean_log_ratio = (0..count).map(log_ratio).sum::<f64>() / count.max(1) as f64;
    let mut result = AnswerLoss {
        entropy_weight: weight * objective.entropy_weight,
        ..AnswerLoss::default()
    };
    result.gradient.reserve(count);
    for token in 0..count {
        let moved = log_ratio(token);
        let (ratio, slope) = match objective.algorithm {
            Algorithm::Grpo => bounded(moved, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO),
            // The ratio of the answer, with the derivative of the token (eq. 14).
            Algorithm::Gspo => bounded(
                mean_log_ratio,
                f64::NEG_INFINITY,
                LARGEST_SEQUENCE_LOG_RATIO,
            ),
        };
        let surrogate = Surrogate::new(objective, answer.advantage, ratio);
        let reference = answer
            .reference
            .map(|reference| f64::from(reference[token]));
        let (kl, kl_slope) = reference.map_or((0.0, 0.0), |reference| {
            divergence(
                objective.kl_estimate,
                f64::from(answer.logp[token]) - reference,
            )
        });
        result.loss += weight * (surrogate.loss + kl_weight * kl);
        let gradient = surrogate.by_ratio * ratio * slope + kl_weight * kl_slope;
        result.gradient.push((weight * gradient) as f32);
        result.sums.add(Sums {
            tokens: 1.0,
            clipped: f64::from(u8::from(surrogate.is_clipped)),
            clipped_low: f64::from(u8::from(surrogate.is_cut)),
            moved: -moved,
            kl,
            ratio,
        });
    }
    result
}

/// `exp` of the bounded argument, and the argument's derivative: nothing beyond a bound.
fn bounded(log_ratio: f64, low: f64, high: f64) -> (f64, f64) {
    let slope = f64::from(u8::from(log_ratio > low && log_ratio < high));
    (log_ratio.clamp(low, high).exp(), slope)
}

/// A token's loss with its derivative by the ratio.
struct Surrogate {
    loss: f64,
    by_ratio: f64,
    is_clipped: bool,
    is_cut: bool,
}

impl Surrogate {
    fn new(objective: &Objective, advantage: f64, ratio: f64) -> Self {
        let free = -advantage * ratio;
        let (low, high) = (1.0 - objective.clip_low, 1.0 + objective.clip_high);
        let clipped = -advantage * ratio.clamp(low, high);
        let inside = ratio > low && ratio < high;
        // Of equals both have the same derivative but at the edge itself.
        let is_clipped = clipped > free;
        let (loss, by_ratio) = match is_clipped {
            true => (clipped, if inside { -advantage } else { 0.0 }),
            false => (free, -advantage),
        };
        match objective.dual_clip {
            Some(bound) if advantage < 0.0 && -advantage * bound < loss => Self {
                loss: -advantage * bound,
                by_ratio: 0.0,
                is_clipped,
                is_cut: true,
            },
            _ => Self {
                loss,
                by_ratio,
                is_clipped,
                is_cut: false,
            },
        }
    }
}

/// What a token of an answer of `count` tokens weighs in the loss.
fn token_weight(aggregation: Aggregation, count: usize, totals: Totals) -> f64 {
    let over = |number: usize| 1.0 / number.max(1) as f64;
    match aggregation {
        Aggregation::TokenMean => over(totals.tokens),
        Aggregation::SeqMeanTokenMean => over(totals.answers) * over(count),
        Aggregation::SeqMeanTokenSumNorm => over(totals.answers) * over(totals.limit),
    }
}

/// The estimate for `difference` = `logp − ref`, and its derivative by `logp`.
pub fn divergence(estimate: KlEstimate, difference: f64) -> (f64, f64) {
    match estimate {
        KlEstimate::K1 => (difference, 1.0),
        KlEstimate::K2 => (0.5 * difference * difference, difference),
        KlEstimate::K3 => {
            let back = (-difference).clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO);
            let value = back.exp() - back - 1.0;
            let inside = value < LARGEST_K3 && difference.abs() < LARGEST_LOG_RATIO;
            let slope = if inside { 1.0 - back.exp() } else { 0.0 };
            (value.min(LARGEST_K3), slope)
        }
    }
}

#[cfg(test)]
mod tests;
