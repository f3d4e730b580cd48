//! One model serving many requests at once.
//!
//! ```text
//! Engine::submit ──channel──▶ waiting ──admit──▶ active ─┬─ one chunk of a prompt
//!   (any thread)              (in order)   (KV budget)    └─ one token of every answer
//!        ▲                                                    │ sample, stop, log-probabilities
//!        └───────────── Event::Text … Finished ◀──────────────┘
//! ```
//!
//! - **Continuous batching** (Yu et al., *Orca*, OSDI 2022): requests join and
//!   leave between steps.
//! - **KV memory** is handed out in blocks of
//!   [`BLOCK_TOKENS`](crate::qwen3::cpu::BLOCK_TOKENS) under a budget of bytes
//!   (Kwon et al., arXiv:2309.06180). When answers outgrow it, the youngest
//!   request gives its memory back and is read again later; its text goes on
//!   where it was.
//! - **Prefix reuse**: whole blocks of a prompt serve every later prompt that
//!   begins with the same tokens, least recently used ones going first.
//! - **Chunked prefill** (Agrawal et al., arXiv:2308.16369): a prompt is read a
//!   block at a time, between the steps of the others.
//! - **Independence**: a request's text is bit for bit what it would get alone.
//!   The CPU's code adds in the same order for one token and for many, of one
//!   sequence or of several; elsewhere a block is always read as a block of its
//!   own. Every request has its own random numbers.
//! - **Adapters** ([`crate::lora`]): each request may name one of the model's; all
//!   share the base's products in a step (as in Chen et al., *Punica*,
//!   arXiv:2310.18547), and each has its own prefixes.
//!
//! On `flex` answers are decoded together by [`CpuDecoder`], on other devices by the
//! [`Qwen3`] or [`Qwen25Vl`] module in the rows of a batch (one for each adapter), and what
//! prompts share is copied. There a product may add in another order for another number of
//! rows: a text is what it would be alone but for rounding. On LibTorch's GPUs up to eight
//! answers of a bf16 text model without an adapter take their steps in kernels of our own
//! (`crate::qwen3::gpu`), once the first step of each variant has agreed with the module's.
//!
//! [`CpuDecoder`]: crate::qwen3::cpu::CpuDecoder
//! [`Qwen3`]: crate::qwen3::Qwen3
//! [`Qwen25Vl`]: crate::qwen25_vl::Qwen25Vl

mod budget;
mod config;
mod handle;
mod lane;
mod logprobs;
mod memory;
mod metrics;
mod model;
mod module;
mod module_lane;
#[cfg(any(test, feature = "tch"))]
mod own_steps;
mod paged;
mod prefix;
mod request;
mod scheduler;
mod sequence;
mod step;
mod together;

pub use config::EngineConfig;
pub use handle::{Engine, EventStream};
pub use logprobs::TokenLogprob;
pub use memory::{default_budget, free_memory};
pub use metrics::Metrics;
pub use model::EngineModel;
pub use request::{EngineRequest, Event, Sink, Summary};
