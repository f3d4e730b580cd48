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
    /// Of late; decoding and encoding are shared out among the steps.
    pub seconds_a_step: f64,
    /// Whether the model is in memory.
    pub loaded: bool,
}

impl StudioMetrics {
    /// Takes a batch whose `steps` took `seconds`; one without a step says nothing.
    pub(super) fn took(&mut self, seconds: f64, steps: usize) {
        if steps == 0 {
            return;
        }
        let new = seconds / steps as f64;
        // The last few batches count.
        self.seconds_a_step = match self.seconds_a_step > 0.0 {
            true => 0.7 * self.seconds_a_step + 0.3 * new,
            false => new,
        };
    }
}
