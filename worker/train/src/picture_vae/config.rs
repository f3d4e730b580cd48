//! What a run is told.

use illumine_models::qwen_image::vae::VaeConfig;
use serde::{Deserialize, Serialize};

use crate::optim::AdamWOptions;

/// A training run of an autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaeTraining {
    /// The shapes. Means and deviations of latents are measured at the end.
    pub model: VaeConfig,
    /// Pictures an update.
    pub batch: usize,
    /// Side in pixels of the pieces that pictures are cut to at first: an update then
    /// takes a fraction of the time and teaches nearly as much. Whole ones when absent.
    pub crop: Option<u32>,
    /// The share of the updates that see pieces.
    pub crop_share: f64,
    /// Updates.
    pub steps: u64,
    /// At its peak.
    pub learning_rate: f64,
    /// Updates until the peak.
    pub warmup: u64,
    /// Weight of squared differences beside absolute ones: they say most while little
    /// is right yet.
    pub squares: f64,
    /// Weight of the differences between neighbouring pixels: for the end, since before
    /// anything is right flat pictures have the smallest ones.
    pub edges: f64,
    /// Weight of the distance of latents from a standard normal distribution, a pixel.
    pub kl: f64,
    /// Of weights and noise.
    pub seed: u64,
    /// Updates between checkpoints.
    pub checkpoint_every: u64,
    /// The optimizer's numbers.
    pub optimizer: AdamWOptions,
}

impl Default for VaeTraining {
    fn default() -> Self {
        let z_dim = 8;
        Self {
            model: VaeConfig {
                base_dim: 16,
                z_dim,
                dim_mult: vec![1, 2, 3, 3],
                num_res_blocks: 1,
                latents_mean: vec![0.0; z_dim],
                latents_std: vec![1.0; z_dim],
                ..VaeConfig::default()
            },
            batch: 4,
            crop: Some(64),
            crop_share: 0.85,
            steps: 40_000,
            learning_rate: 1.5e-3,
            warmup: 100,
            squares: 4.0,
            edges: 0.0,
            kl: 1e-6,
            seed: 1,
            checkpoint_every: 500,
            optimizer: AdamWOptions::default(),
        }
    }
}
