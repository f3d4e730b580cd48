//! What kernels are given: the structure of that name in `step.cu`.

/// Addresses and counts; a kernel reads what it needs of them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Arguments {
    pub(super) first: u64,
    pub(super) second: u64,
    pub(super) third: u64,
    pub(super) norm: u64,
    pub(super) query_norm: u64,
    pub(super) key_norm: u64,
    pub(super) residual: u64,
    pub(super) projected: u64,
    pub(super) context: u64,
    pub(super) inner: u64,
    pub(super) logits: u64,
    pub(super) partial: u64,
    pub(super) arrived: u64,
    pub(super) keys: u64,
    pub(super) values: u64,
    pub(super) tokens: u64,
    pub(super) starts: u64,
    pub(super) cosines: u64,
    pub(super) sines: u64,
    pub(super) rows: i32,
    pub(super) columns: i32,
    pub(super) capacity: i32,
    pub(super) split: i32,
    pub(super) splits: i32,
}
