//! What the processes of a run tell each other.

use serde::{Deserialize, Serialize};

use super::flat;
use super::rollout::Rollout;
use super::run::Run;
use crate::error::{Result, TrainError};
use crate::parallel::Peers;

/// The rollouts of all processes, in the order of prompts and samples; `own` are numbered by
/// the prompts that this process takes.
///
/// Pictures do not travel: documents name them, and who judges them is who drew them.
///
/// # Errors
/// [`TrainError::Peer`].
pub fn all_rollouts(peers: &Peers, mut own: Vec<Rollout>) -> Result<Vec<Rollout>> {
    if peers.is_alone() {
        return Ok(own);
    }
    for rollout in &mut own {
        rollout.prompt = peers.place(rollout.prompt);
    }
    let mut all: Vec<Rollout> = peers.all(&own)?.into_iter().flatten().collect();
    all.sort_by_key(|rollout| (rollout.prompt, rollout.sample));
    Ok(all)
}

/// Where a process is.
#[derive(PartialEq, Serialize, Deserialize)]
struct Place {
    step: u64,
    /// As text, which is compared alone.
    config: String,
}

impl Run {
    /// Makes sure that all processes are at the same place of the same run and learn on the
    /// same numbers.
    ///
    /// # Errors
    /// [`TrainError::Peer`] naming the first that is not.
    pub(super) fn agree(&mut self) -> Result<()> {
        let peers = self.peers().clone();
        if peers.is_alone() {
            return Ok(());
        }
        let own = Place {
            step: self.done,
            config: format!("{:?}", self.config),
        };
        let places = peers.all(&own)?;
        if let Some(rank) = places.iter().position(|place| *place != places[0]) {
            let reason = match (places[rank].step, places[0].step) {
                (own, first) if own != first => {
                    format!("is at step {own}, and the first process at step {first}")
                }
                _ => "has other settings than the first process".to_owned(),
            };
            return Err(TrainError::peer(rank, reason));
        }
        // Changes that begin now were drawn at random in each process.
        if self.config.learner.lora.is_some() {
            let model = &mut self.stepper.learner.model;
            let mut weights = flat::of_weights(model)?;
            if !peers.leads() {
                weights.fill(0.0);
            }
            peers.sum(&mut weights)?;
            flat::set_weights(model, &weights);
        }
        Ok(())
    }
}
