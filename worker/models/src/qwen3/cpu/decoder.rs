//! A model's weights as the CPU reads them.

use super::feed_forward::FeedForward;
use super::matrix::Matrix;
use super::rotation::Rotor;
use crate::qwen3::Qwen3Config;

/// A model laid out for running on the CPU.
#[derive(Clone, Debug)]
pub struct CpuDecoder {
    pub(super) config: Qwen3Config,
    pub(super) embedding: Matrix,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Vec<f32>,
    /// Absent when the embedding is the head.
    pub(super) head: Option<Matrix>,
    pub(super) rotor: Rotor,
}

#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Rows: query, key, value.
    pub(super) qkv: Matrix,
    /// Added to what [`Self::qkv`] gives; Qwen2.5 has it, Qwen3 does not.
    pub(super) qkv_bias: Option<Vec<f32>>,
    pub(super) output: Matrix,
    pub(super) feed_forward: FeedForward,
    /// Of Qwen3 alone.
    pub(super) head_norms: Option<HeadNorms>,
    pub(super) input_norm: Vec<f32>,
    pub(super) post_norm: Vec<f32>,
}

/// Scales of the norms over single heads.
#[derive(Clone, Debug)]
pub(super) struct HeadNorms {
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
}

impl CpuDecoder {
    /// The shapes.
    pub fn config(&self) -> &Qwen3Config {
        &self.config
    }

    /// Bytes of weights that a step reads.
    pub fn weight_bytes(&self) -> usize {
        let layers: usize = self
            .layers
            .iter()
            .map(|layer| layer.qkv.bytes() + layer.output.bytes() + layer.feed_forward.bytes())
            .sum();
        layers + self.head.as_ref().unwrap_or(&self.embedding).bytes()
    }
}
