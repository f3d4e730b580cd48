//! Several processes on one machine that work on the same run.
//!
//! ```text
//!                 ┌──────────── first (rank 0) ────────────┐
//!   listens on    │  takes one frame of each, makes one    │
//!   the loopback  │  answer of them, sends it to all       │
//!                 └──▲──┬───────────▲──┬───────────▲──┬────┘
//!      a part of     │  │  the same │  │           │  │
//!      the whole     │  ▼  answer   │  ▼           │  ▼
//!                  rank 1         rank 2   …      rank N−1
//! ```
//!
//! All run the same program and come to the same points of it, where they exchange what
//! each has of the whole ([`Peers::sum`], [`Peers::all`], [`Peers::broadcast`]). Everyone
//! decodes the same bytes, so that what follows from them is the same bits everywhere:
//! weights that begin alike stay alike, and what one decides, all decide.
//!
//! Frames are a length, a kind and bytes. Kinds tell processes apart that are at different
//! points of the run; a process that is gone, silent for too long or out of step ends the
//! exchange with [`TrainError::Peer`], which names it. A [`Secret`] keeps others out.
//!
//! [`Peers::alone`] does nothing and costs nothing.

mod frame;
mod link;
mod meet;
mod numbers;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use meet::{Meeting, join};
pub use numbers::Number;
pub use secret::Secret;

use crate::error::{Result, TrainError};
use frame::Kind;
use link::Link;

/// Numbers of a frame: larger sums go in parts, for neither end to hold them twice.
const PART: usize = 1 << 22;

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For all to come.
    pub meeting: Duration,
    /// At a point of exchange, for the slowest.
    pub exchange: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            meeting: Duration::from_secs(60),
            exchange: Duration::from_secs(1800),
        }
    }
}

/// The processes of a run, as one of them knows them.
#[derive(Clone, Debug)]
pub struct Peers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rank: usize,
    count: usize,
    /// None where there is nobody else.
    link: Option<Mutex<Link>>,
}

impl Default for Peers {
    fn default() -> Self {
        Self::alone()
    }
}

impl Peers {
    /// A process without others.
    pub fn alone() -> Self {
        Self(Arc::new(Inner {
            rank: 0,
            count: 1,
            link: None,
        }))
    }

    fn linked(rank: usize, count: usize, link: Link) -> Self {
        Self(Arc::new(Inner {
            rank,
            count,
            link: Some(Mutex::new(link)),
        }))
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// How many there are, this one included.
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// Whether there is nobody else.
    pub fn is_alone(&self) -> bool {
        self.0.count == 1
    }

    /// Whether this is the first, which alone writes files.
    pub fn leads(&self) -> bool {
        self.0.rank == 0
    }

    /// Whether the work at `place` is this process's, dealt out by turns.
    pub fn takes(&self, place: usize) -> bool {
        place % self.0.count == self.0.rank
    }

    /// The place, among all, of this process's work number `own`: see [`Self::takes`].
    pub fn place(&self, own: usize) -> usize {
        own * self.0.count + self.0.rank
    }

    /// Makes `values` the sums over all processes, added in the order of their ranks.
    ///
    /// # Errors
    /// [`TrainError::Peer`].
    pub fn sum<N: Number>(&self, values: &mut [N]) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        for part in values.chunks_mut(PART) {
            let own = numbers::bytes(part);
            let sums = self.exchange(Kind::Sum, own, numbers::sum::<N>)?;
            if !numbers::read(&sums, part) {
                return Err(TrainError::peer(0, "its sum has another length"));
            }
        }
        Ok(())
    }

    /// What each process has, in the order of their ranks.
    ///
    /// # Errors
    /// [`TrainError::Peer`].
    pub fn all<T: Serialize + DeserializeOwned>(&self, own: &T) -> Result<Vec<T>> {
        let own = encoded(self.0.rank, own)?;
        let all = self.exchange(Kind::All, own, |all| Ok(list(&all)))?;
        decoded(&all)
    }

    /// What the first process has.
    ///
    /// # Errors
    /// [`TrainError::Peer`].
    pub fn broadcast<T: Serialize + DeserializeOwned>(&self, own: T) -> Result<T> {
        if self.is_alone() {
            return Ok(own);
        }
        let own = match self.leads() {
            true => encoded(0, &own)?,
            false => Vec::new(),
        };
        let first = |mut all: Vec<Vec<u8>>| Ok(all.swap_remove(0));
        decoded(&self.exchange(Kind::Broadcast, own, first)?)
    }

    /// Tells the first process why this one ends, in place of what it waits for.
    pub fn failed(&self, why: &dyn Display) {
        if let Some(link) = &self.0.link {
            let mut link = link.lock().unwrap_or_else(PoisonError::into_inner);
            link.failed(&why.to_string());
        }
    }

    /// One frame of each, and one answer to all that the first makes of them.
    fn exchange(
        &self,
        kind: Kind,
        own: Vec<u8>,
        combine: impl FnOnce(Vec<Vec<u8>>) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        match &self.0.link {
            None => combine(vec![own]),
            Some(link) => {
                let mut link = link.lock().unwrap_or_else(PoisonError::into_inner);
                link.exchange(kind, own, combine)
            }
        }
    }
}

fn encoded<T: Serialize>(rank: usize, value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| TrainError::peer(rank, error))
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| TrainError::peer(0, error))
}

/// Values in JSON as a list in JSON.
fn list(values: &[Vec<u8>]) -> Vec<u8> {
    let mut list = vec![b'['];
    list.extend(values.join(&b','));
    list.push(b']');
    list
}
