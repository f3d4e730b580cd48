//! The model on the CPU without tensors: reading prompts, and decoding one token
//! a sequence and step.
//!
//! A decode step reads every weight once for a handful of multiplications each:
//! it is bound by memory traffic, and for small models by the cost of
//! dispatching tensor operations. Here the weights lie in panels of rows (`panels`)
//! in as few matrices as possible (query, key and value are one, gate and up
//! another), as bf16 when that loses nothing or as int8 when asked ([`Precision`]),
//! and a step is a fixed sequence of matrix-vector products over reused buffers.
//! A prompt goes through the same code, many tokens of one sequence at a time; where the
//! processor has a matrix unit (`amx`), it multiplies by bf16 and int8 weights.
//! Each sequence may have an adapter of its own ([`CpuAdapter`]).
//!
//! Vectors may stand in the places of tokens ([`PromptPictures`]), and places may have
//! three axes ([`Place`]): the decoder of Qwen2.5-VL is this code too.
//!
//! This is all that a model needs on `flex`: the [`Qwen3`](super::Qwen3) module is
//! for training and for other devices.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(test)]
mod arbitrary;
mod attention;
mod build;
mod cache;
mod decoder;
pub(crate) mod exp;
mod feed_forward;
mod int8;
pub(crate) mod kernel;
mod lines;
mod low_rank;
mod matrix;
mod outputs;
mod panels;
mod pass;
mod pictures;
mod rotation;
pub(crate) mod simd;
mod team;

pub use cache::{BLOCK_TOKENS, KvBlock, SequenceCache};
pub use decoder::CpuDecoder;
pub(crate) use kernel::{ISA, Isa};
pub use low_rank::CpuAdapter;
pub use matrix::Precision;
pub use pass::Scratch;
pub use pictures::PromptPictures;
pub use rotation::Place;
