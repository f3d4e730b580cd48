//! The reward as pure functions: numbers in, numbers out, no clock, no network.
//!
//! After *LLM-I: LLMs are Naturally Interleaved Multimodal Creators*
//! (arXiv 2509.13642, hybrid reward), as its published code computes it, with
//! further terms that have weight 0 unless they are asked for:
//!
//! ```text
//! R = W · Σ w_k x_k / Σ w_k  +  w_length · L      k over the terms that apply
//!
//! x_count = N    x_mllm = N · MLLM    x_llm = LLM    x_tools = r_tool    x_format = F
//! ```
//!
//! `W` is the sum of the weights of all these terms, so that with every term
//! applying `R = Σ w_k x_k + w_length · L`: by default
//! `R = 0.2 N + 0.3 N·MLLM + 0.5 LLM`. A term does not apply when its judge is
//! not named, or when a row requires no tool; its weight is then shared by the
//! others in proportion, and the breakdown says so.

mod breakdown;
mod combine;
mod count;
mod format;
mod judged;
mod length;
mod settings;
mod tools;

pub use breakdown::{AbsentTerm, JudgedPart, ScoreBreakdown, TermName, TermPart};
pub use combine::{Combined, Parts, combine};
pub use count::{ANY, ImageCount, count_reward};
pub use format::format_reward;
pub use judged::{LlmScores, MllmScores, llm_reward, mllm_reward};
pub use length::{LengthLimit, length_penalty};
pub use settings::{RewardSettings, RewardWeights};
pub use tools::{ToolPart, ToolWeights, tool_reward};
