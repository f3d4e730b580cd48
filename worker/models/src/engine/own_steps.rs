//! Steps of a batch in kernels of our own, where a GPU's library holds the model.

use super::lane::ModuleLane;
use super::together::Batch;
use crate::error::Result;
use crate::qwen3::gpu::ModuleSteps;
use crate::qwen3::{Qwen3, Qwen3Config};

/// How far the kernels' logits may be from the module's in the first step, root mean square
/// over root mean square: both round to bf16 in places of their own. What is wrong is off by
/// about one.
const TOLERANCE: f64 = 0.1;

/// The steps of a model without an adapter, and what is known of them.
#[derive(Debug)]
pub(super) struct OwnSteps {
    config: Qwen3Config,
    state: State,
}

#[derive(Debug)]
enum State {
    Untried,
    /// The next step is taken by the module too.
    Unproved(Box<ModuleSteps>),
    Proved(Box<ModuleSteps>),
    None,
}

impl OwnSteps {
    pub(super) fn new(config: Qwen3Config) -> Self {
        Self {
            config,
            state: State::Untried,
        }
    }

    /// A step of `batch`, by the kernels where they serve. The first is compared with the
    /// module's: kernels that differ, or that the GPU refuses, are not used again, and the
    /// log says why.
    pub(super) fn step(
        &mut self,
        batch: &mut Batch,
        module: &Qwen3,
        lanes: &mut [&mut ModuleLane],
        tokens: &[u32],
    ) -> Result<Vec<f32>> {
        if matches!(self.state, State::Untried) {
            self.state = match ModuleSteps::new(module, &self.config) {
                Ok(Some(steps)) => State::Unproved(Box::new(steps)),
                Ok(None) => State::None,
                Err(error) => {
                    tracing::warn!(%error, "the library decodes: kernels did not start");
                    State::None
                }
            };
        }
        match std::mem::replace(&mut self.state, State::None) {
            State::Untried | State::None => batch.step(module, lanes, tokens),
            State::Unproved(mut steps) => match by_kernels(&mut steps, batch, lanes, tokens) {
                Err(error) => {
                    tracing::warn!(%error, "the library decodes: kernels failed");
                    batch.step(module, lanes, tokens)
                }
                Ok(None) => {
                    self.state = State::Unproved(steps);
                    batch.step(module, lanes, tokens)
                }
                Ok(Some(ours)) => {
                    // Into the same column.
                    let theirs = batch.step(module, lanes, tokens)?;
                    let difference = difference(&ours, &theirs);
                    if difference <= TOLERANCE {
                        tracing::info!(difference, "kernels of our own decode");
                        self.state = State::Proved(steps);
                    } else {
                        tracing::error!(difference, "the library decodes: kernels differ");
                    }
                    Ok(theirs)
                }
            },
            State::Proved(mut steps) => {
                let logits = by_kernels(&mut steps, batch, lanes, tokens);
                self.state = State::Proved(steps);
                match logits? {
                    None => batch.step(module, lanes, tokens),
                    Some(logits) => {
                        batch.cache.grew();
                        for lane in lanes {
                            lane.grew();
                        }
                        Ok(logits)
                    }
                }
            }
        }
    }
}

fn by_kernels(
    steps: &mut ModuleSteps,
    batch: &mut Batch,
    lanes: &[&mut ModuleLane],
    tokens: &[u32],
) -> Result<Option<Vec<f32>>> {
    let rows: Vec<(u32, usize, usize)> = tokens
        .iter()
        .zip(lanes)
        .zip(&batch.rows)
        .map(|((&token, lane), &(_, start))| (token, lane.len(), start))
        .collect();
    steps.step(&rows, &mut batch.cache)
}

/// The root mean square of what `ours` differs by, as a share of that of `theirs`; more than
/// any tolerance where either is not finite.
fn difference(ours: &[f32], theirs: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let apart: f64 = ours.iter().zip(theirs).map(|(a, b)| square(a - b)).sum();
    let whole: f64 = theirs.iter().map(|&x| square(x)).sum();
    let share = (apart / whole).sqrt();
    if share.is_finite() { share } else { f64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_share_and_nonsense_is_large() {
        assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert!((difference(&[0.0, 0.0], &[3.0, 4.0]) - 1.0).abs() < 1e-12);
        assert!(difference(&[f32::NAN, 1.0], &[1.0, 1.0]) > TOLERANCE);
        assert!(difference(&[1.0], &[0.0]) > TOLERANCE);
    }
}
