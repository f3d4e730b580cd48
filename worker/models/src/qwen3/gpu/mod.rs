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

/// The root mean square of what `ours` differs by, as a share of that of `theirs`; larger
/// than any tolerance where either is not finite.
pub fn difference(ours: &[f32], theirs: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let apart: f64 = ours.iter().zip(theirs).map(|(a, b)| square(a - b)).sum();
    let whole: f64 = theirs.iter().map(|&x| square(x)).sum();
    let share = (apart / whole).sqrt();
    if share.is_finite() { share } else { f64::MAX }
}
