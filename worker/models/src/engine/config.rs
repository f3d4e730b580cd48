//! What an engine may use.

/// Limits of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Bytes of keys and values; a share of the device's memory that is free at the
    /// start when absent.
    pub kv_budget_bytes: Option<usize>,
    /// Bytes of the pictures' patches of all requests that have not ended; a
    /// share of the free memory when absent.
    pub picture_budget_bytes: Option<usize>,
    /// Requests that are read or written at the same time.
    pub max_concurrency: usize,
    /// Requests that may wait; one more is refused as busy.
    pub max_waiting: usize,
    /// Whether prompts that begin alike share what was read.
    pub prefix_reuse: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            kv_budget_bytes: None,
            picture_budget_bytes: None,
            max_concurrency: 32,
            max_waiting: 256,
            prefix_reuse: true,
        }
    }
}
