//! Where kernels run.

use super::arguments::Arguments;
use crate::error::Result;

/// The kernels, by their names in `step.cu`.
pub(super) const KERNELS: [&str; 7] = [
    "embed", "project", "attend", "output", "gate_up", "down", "head",
];

/// The text of the kernels.
#[cfg(feature = "tch")]
pub(super) const SOURCE: &str = include_str!("step.cu");

/// A kernel, in the order of [`KERNELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Embed,
    Project,
    Attend,
    Output,
    GateUp,
    Down,
    Head,
}

/// A GPU, or what stands for one.
pub(super) trait Machine {
    /// All of [`KERNELS`] for given constants.
    type Kernels;
    /// Bytes of its own, zero at first.
    type Memory;

    /// Compiles the kernels with `constants`, names and values.
    fn compile(&self, constants: &[(&str, String)]) -> Result<Self::Kernels>;

    /// `bytes` of memory.
    fn allocate(&self, bytes: usize) -> Result<Self::Memory>;

    /// Where `memory` begins.
    fn address(memory: &Self::Memory) -> u64;

    /// Copies `bytes` to `memory`, from its beginning on.
    fn write(&self, memory: &mut Self::Memory, bytes: &[u8]) -> Result<()>;

    /// The first `count` numbers of `memory`, after all that was launched.
    fn read(&self, memory: &Self::Memory, count: usize) -> Result<Vec<f32>>;

    /// Starts a kernel on `grid` blocks of `threads`.
    ///
    /// # Safety
    /// All addresses must be of this machine, and of what `step.cu` says of them.
    unsafe fn launch(
        &self,
        kernels: &Self::Kernels,
        kernel: Kernel,
        grid: [u32; 3],
        threads: u32,
        arguments: &Arguments,
    ) -> Result<()>;
}
