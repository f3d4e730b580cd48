//! Restores what Redis held from what S3 holds.

use crate::{Result, Store, StoreError};

/// What a rebuild has found and done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RebuildProgress {
    /// Jobs looked at.
    pub jobs: u64,
    /// Of them, finished ones put back into the lists.
    pub restored: u64,
    /// Of them, unfinished ones queued again.
    pub queued: u64,
    /// Of them, known to Redis already.
    pub known: u64,
    /// Of them, unreadable; logged and left alone.
    pub unreadable: u64,
    pub keys: u64,
}

/// Scans S3 and restores job records, lists, keys and references, and queues
/// what was unfinished. What Redis still knows is left as it is, so a second
/// run changes nothing.
///
/// # Errors
/// If a store stays away; run it again then.
pub async fn rebuild(
    _store: &Store,
    _progress: impl Fn(RebuildProgress),
) -> Result<RebuildProgress> {
    Err(StoreError::Config("not built yet".into()))
}
