//! The learning rate over a run.
//!
//! Source: Loshchilov and Hutter, *SGDR* (arXiv:1608.03983), eq. 5, one cycle,
//! after a linear warm-up.

use super::config::SftConfig;

/// The rate of update number `step` (from 0) of a run of which `progress`
/// (0 to 1) is over: linear over the warm-up, and half a cosine from the peak
/// down to `final_lr_share` of it.
pub fn learning_rate(config: &SftConfig, step: u64, progress: f64) -> f64 {
    let warmup = ((step + 1) as f64 / config.warmup_steps.max(1) as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos());
    let floor = config.final_lr_share;
    config.learning_rate * warmup * (floor + (1.0 - floor) * cosine)
}
