//! Qwen3, the dense decoder and the mixture of experts.
//!
//! Source: Qwen Team, *Qwen3 Technical Report* (arXiv:2505.09388), §2, and the
//! reference implementation `transformers/models/qwen3/modeling_qwen3.py`.
//! Differences from Llama: RMSNorm over each query and key head before the
//! rotary embedding, a `head_dim` independent of `hidden_size`, no biases.
//! Qwen3-MoE (`modeling_qwen3_moe.py`) differs in the feed-forward alone.
//!
//! Read in this order: [`config`], [`rope`], [`rotary`], [`attention`], [`mlp`],
//! [`moe`], [`layer`], [`model`]; then [`training`], parts of a layer in code of our own on the
//! CPU, [`cpu`], the same without tensors, and `gpu`, steps on a GPU in kernels of our own.

pub mod attention;
pub mod cache;
pub mod config;
pub mod cpu;
#[cfg(any(test, feature = "tch"))]
pub mod gpu;
pub mod layer;
pub mod mlp;
pub mod model;
pub mod moe;
pub mod rope;
pub mod rotary;
pub mod training;
pub mod weights;

pub use cache::KvCache;
pub(crate) use cache::LayerCache;
pub use config::{MoeConfig, Qwen3Config};
pub(crate) use model::token_ids;
pub use model::{Qwen3, padding_mask, segment_mask};
