//! Flow matching with Euler steps, and how steps are spread over time.
//!
//! Source: Lipman et al. (arXiv:2210.02747) and Esser et al. (arXiv:2403.03206,
//! §5.3.2, the shift with resolution); follows
//! `FlowMatchEulerDiscreteScheduler` and the pipelines' `calculate_shift` of
//! `diffusers` 0.42.1, number type by number type.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::load::read_json;

/// The most steps of a run.
pub const MAX_STEPS: usize = 1000;

/// How the shift with resolution bends the times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeShift {
    /// `exp(μ) / (exp(μ) + 1/t − 1)`.
    #[default]
    Exponential,
    /// `μ / (μ + 1/t − 1)`.
    Linear,
}

/// `scheduler/scheduler_config.json`, under the reference's names and defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    /// Always `FlowMatchEulerDiscreteScheduler`.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// What a time of 1 is called.
    pub num_train_timesteps: usize,
    /// The shift where it does not depend on the resolution.
    pub shift: f64,
    /// Whether the shift depends on the resolution.
    pub use_dynamic_shifting: bool,
    /// `μ` at `base_image_seq_len` tokens.
    pub base_shift: f64,
    /// `μ` at `max_image_seq_len` tokens.
    pub max_shift: f64,
    /// Tokens of a small picture.
    pub base_image_seq_len: usize,
    /// Tokens of a large picture.
    pub max_image_seq_len: usize,
    /// Where the last step starts, by stretching all of them.
    pub shift_terminal: Option<f64>,
    /// The form of the shift with resolution.
    pub time_shift_type: TimeShift,
    /// Must be off, as the four below.
    pub invert_sigmas: bool,
    pub use_karras_sigmas: bool,
    pub use_exponential_sigmas: bool,
    pub use_beta_sigmas: bool,
    pub stochastic_sampling: bool,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            class_name: "FlowMatchEulerDiscreteScheduler".to_owned(),
            num_train_timesteps: 1000,
            shift: 1.0,
            use_dynamic_shifting: false,
            base_shift: 0.5,
            max_shift: 1.15,
            base_image_seq_len: 256,
            max_image_seq_len: 4096,
            shift_terminal: None,
            time_shift_type: TimeShift::Exponential,
            invert_sigmas: false,
            use_karras_sigmas: false,
            use_exponential_sigmas: false,
            use_beta_sigmas: false,
            stochastic_sampling: false,
        }
    }
}

impl SchedulerConfig {
    /// That of the released Qwen-Image.
    pub fn qwen_image() -> Self {
        Self {
            use_dynamic_shifting: true,
            max_shift: 0.9,
            max_image_seq_len: 8192,
            shift_terminal: Some(0.02),
            ..Self::default()
        }
    }

    /// That of the Lightning weights (4 or 8 steps without guidance): a shift of 3
    /// at every resolution, and no stretching to a terminal.
    pub fn lightning() -> Self {
        Self {
            base_shift: 3.0_f64.ln(),
            max_shift: 3.0_f64.ln(),
            shift_terminal: None,
            ..Self::qwen_image()
        }
    }

    /// Reads `scheduler_config.json` of the folder `dir` and checks it.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Malformed`] naming the field.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("scheduler_config.json");
        let config: Self = read_json(&path)?;
        match config.fault() {
            Some(reason) => Err(ModelError::malformed(path, reason)),
            None => Ok(config),
        }
    }

    fn fault(&self) -> Option<String> {
        if self.class_name != Self::default().class_name {
            let found = &self.class_name;
            return Some(format!(
                "`_class_name` is {found}; only FlowMatchEulerDiscreteScheduler is known"
            ));
        }
        let flags = [
            ("invert_sigmas", self.invert_sigmas),
            ("use_karras_sigmas", self.use_karras_sigmas),
            ("use_exponential_sigmas", self.use_exponential_sigmas),
            ("use_beta_sigmas", self.use_beta_sigmas),
            ("stochastic_sampling", self.stochastic_sampling),
        ];
        if let Some((field, _)) = flags.iter().find(|(_, is_set)| *is_set) {
            return Some(format!("`{field}` is true, which is not supported"));
        }
        if !(self.shift.is_finite() && self.shift > 0.0) {
            return Some(format!("`shift` = {} must be above 0", self.shift));
        }
        if !(self.base_shift.is_finite() && self.max_shift.is_finite()) {
            return Some("`base_shift` and `max_shift` must be numbers".to_owned());
        }
        if self.base_image_seq_len >= self.max_image_seq_len {
            return Some("`base_image_seq_len` must be below `max_image_seq_len`".to_owned());
        }
        let terminal = self.shift_terminal.unwrap_or(0.0);
        (!(0.0..1.0).contains(&terminal))
            .then(|| format!("`shift_terminal` = {terminal} must be at least 0 and below 1"))
    }

    /// `μ` of a picture of `image_tokens`: a line through the two given points.
    pub fn mu(&self, image_tokens: usize) -> f64 {
        let (base, most) = (
            self.base_image_seq_len as f64,
            self.max_image_seq_len as f64,
        );
        let slope = (self.max_shift - self.base_shift) / (most - base);
        let start = self.base_shift - slope * base;
        image_tokens as f64 * slope + start
    }

    /// The schedule of `steps` for a picture of `image_tokens` packed tokens.
    ///
    /// # Errors
    /// [`ModelError::Request`] for no steps and for more than [`MAX_STEPS`].
    pub fn schedule(&self, steps: usize, image_tokens: usize) -> Result<Schedule> {
        if !(1..=MAX_STEPS).contains(&steps) {
            return Err(ModelError::Request {
                field: "steps",
                reason: format!("is {steps}; 1 to {MAX_STEPS} is possible"),
            });
        }
        let (first, last) = (1.0, 1.0 / steps as f64);
        let gap = (last - first) / (steps.max(2) - 1) as f64;
        let even = (0..steps).map(|step| match step + 1 == steps && steps > 1 {
            true => last as f32,
            false => (first + step as f64 * gap) as f32,
        });
        let mu = self.mu(image_tokens);
        let bent = even.map(
            |t| match (self.use_dynamic_shifting, self.time_shift_type) {
                (true, TimeShift::Exponential) => bend(mu.exp() as f32, t),
                (true, TimeShift::Linear) => bend(mu as f32, t),
                (false, _) => {
                    let shift = self.shift as f32;
                    shift * t / (1.0 + (self.shift - 1.0) as f32 * t)
                }
            },
        );
        let mut sigmas: Vec<f32> = bent.collect();
        let end = sigmas.last().map_or(0.0, |last| 1.0 - last);
        // A single step starts at 1: nothing can be stretched.
        if let Some(terminal) = self.shift_terminal.filter(|&t| t != 0.0 && end != 0.0) {
            let factor = end / (1.0 - terminal) as f32;
            for sigma in &mut sigmas {
                *sigma = 1.0 - (1.0 - *sigma) / factor;
            }
        }
        let scale = self.num_train_timesteps as f32;
        Ok(Schedule {
            timesteps: sigmas.iter().map(|sigma| sigma * scale).collect(),
            sigmas: sigmas.into_iter().chain([0.0]).collect(),
            scale,
        })
    }
}

fn bend(shift: f32, t: f32) -> f32 {
    shift / (shift + (1.0 / t - 1.0))
}

/// The times of one run, from noise to picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Share of noise before each step, and 0 after the last.
    pub sigmas: Vec<f32>,
    /// As the reference calls the times, in 0..1000.
    pub timesteps: Vec<f32>,
    scale: f32,
}

impl Schedule {
    /// Steps.
    pub fn len(&self) -> usize {
        self.timesteps.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.timesteps.is_empty()
    }

    /// What the transformer is told of `step`, in 0..1.
    pub fn time(&self, step: usize) -> f32 {
        self.timesteps[step] / self.scale
    }

    /// What the velocity is multiplied with in `step`: `x ← x + dt · v`.
    pub fn dt(&self, step: usize) -> f32 {
        self.sigmas[step + 1] - self.sigmas[step]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_released_schedule_ends_at_its_terminal() {
        let schedule = SchedulerConfig::qwen_image().schedule(50, 4096).unwrap();
        assert_eq!(schedule.len(), 50);
        assert_eq!(schedule.sigmas[0], 1.0);
        assert!((schedule.sigmas[49] - 0.02).abs() < 1e-6);
        assert!(schedule.sigmas.is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn lightning_bends_by_three_at_every_resolution() {
        let config = SchedulerConfig::lightning();
        let small = config.schedule(4, 64).unwrap();
        assert_eq!(small, config.schedule(4, 6889).unwrap());
        for (sigma, even) in small.sigmas.iter().zip([1.0, 0.75, 0.5, 0.25_f32]) {
            assert!((sigma - 3.0 * even / (1.0 + 2.0 * even)).abs() < 1e-6);
        }
    }

    #[test]
    fn one_step_goes_all_the_way() {
        let schedule = SchedulerConfig::qwen_image().schedule(1, 64).unwrap();
        assert_eq!(schedule.sigmas, [1.0, 0.0]);
        assert_eq!(schedule.dt(0), -1.0);
    }

    #[test]
    fn absurd_numbers_of_steps_are_refused() {
        for steps in [0, MAX_STEPS + 1, usize::MAX] {
            let error = SchedulerConfig::qwen_image()
                .schedule(steps, 64)
                .unwrap_err();
            assert!(error.to_string().contains("steps"), "{error}");
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (text, field) in [
            (r#"{"use_karras_sigmas": true}"#, "use_karras_sigmas"),
            (r#"{"stochastic_sampling": true}"#, "stochastic_sampling"),
            (r#"{"shift": 0}"#, "shift"),
            (r#"{"shift_terminal": 1}"#, "shift_terminal"),
            (r#"{"_class_name": "DDIMScheduler"}"#, "DDIMScheduler"),
            (r#"{"time_shift_type": "cubic"}"#, "cubic"),
        ] {
            std::fs::write(dir.path().join("scheduler_config.json"), text).unwrap();
            let error = SchedulerConfig::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
