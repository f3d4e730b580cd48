//! Choosing the next token from logits.

mod params;
mod sampler;

pub use params::SamplingParams;
pub use sampler::Sampler;
