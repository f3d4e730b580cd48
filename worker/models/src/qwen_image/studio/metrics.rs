//! Figures of a studio.

/// What a studio does and did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StudioMetrics {
    /// Requests taken in.
    pub requests_total: u64,
    /// Pictures drawn.
    pub drawn_total: u64,
    /// Requests that were cancelled.
    pub cancelled_total: u64,
    /// Requests that failed.
    pub failed_total: u64,
    /// Requests refused because the queue was full.
    pub refused_total: u64,
    /// Times that the model was loaded.
    pub loads_total: u64,
    /// Requests that wait.
    pub waiting: usize,
    /// Requests being drawn.
    pub drawing: usize,
    /// Of late.
    pub seconds_a_step: f64,
    /// Of late.
    pub seconds_a_batch: f64,
    /// Whether the model is in memory.
    pub loaded: bool,
}

impl StudioMetrics {
    /// Takes a batch of `steps` that took `seconds`.
    pub(super) fn took(&mut self, seconds: f64, steps: usize) {
        // The last few batches count.
        let mix = |old: f64, new: f64| match old > 0.0 {
            true => 0.7 * old + 0.3 * new,
            false => new,
        };
        self.seconds_a_batch = mix(self.seconds_a_batch, seconds);
        self.seconds_a_step = mix(self.seconds_a_step, seconds / steps.max(1) as f64);
    }
}
