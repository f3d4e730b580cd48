//! Decode steps of a dense Qwen3 on a GPU, in a few kernels of our own.
//!
//! One token of one sequence reads every weight once: what a step can reach is the memory's
//! bandwidth. Composed of a library's operations a step of 36 layers is 1,300 kernels, which
//! the processor hands out more slowly than the GPU does them; here it is five a layer
//! (`step.cu`), few enough to hand out while the GPU works. Prompts and large batches stay
//! with the library, whose matrix products they fill; weights and caches are the library's,
//! read and written where they lie.
//!
//! The kernels are compiled for a model's shapes when it takes its first step. The same text
//! compiled as C runs on the CPU, for tests.

mod arguments;
#[cfg(feature = "tch")]
mod cuda;
#[cfg(test)]
mod emulated;
mod machine;
mod shape;
mod step;
#[cfg(test)]
mod tests;
#[cfg(feature = "tch")]
mod torch;

#[cfg(feature = "tch")]
pub use torch::ModuleSteps;
