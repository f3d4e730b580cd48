//! Decoding on the CPU, one token a sequence and step, without tensors.
//!
//! A decode step reads every weight once for a handful of multiplications each:
//! it is bound by memory traffic, and for small models by the cost of
//! dispatching tensor operations. Here the weights lie row by row (`[out, in]`)
//! in as few matrices as possible (query, key and value are one, gate and up
//! another), as bf16 when that loses nothing or as int8 when asked ([`Precision`]),
//! and a step is a fixed sequence of
//! matrix-vector products over reused buffers. Each sequence of a step may have an
//! adapter of its own ([`CpuAdapter`]).
//!
//! The prompt is read by the [`Qwen3`](super::Qwen3) module, whose cache
//! [`SequenceCache::from_module`] takes over.

mod attention;
mod cache;
mod decoder;
mod feed_forward;
mod int8;
mod kernel;
mod low_rank;
mod matrix;
mod simd;

pub use cache::{BLOCK_TOKENS, KvBlock, SequenceCache};
pub use decoder::{CpuDecoder, Scratch};
pub use low_rank::CpuAdapter;
pub use matrix::Precision;
