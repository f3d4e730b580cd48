//! Sums over micro-batches.

use crate::rl::objective::Sums;

/// Sums of a micro-batch.
#[derive(Default)]
pub(super) struct Part {
    pub(super) loss: f64,
    pub(super) entropy: f64,
    pub(super) sums: Sums,
}

impl Part {
    pub(super) fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.entropy += other.entropy;
        self.sums.add(other.sums);
    }

    /// In a row, for sums over processes.
    pub(super) fn figures(mut self) -> [f64; 8] {
        self.places().map(|place| *place)
    }

    pub(super) fn of_figures(figures: [f64; 8]) -> Self {
        let mut part = Self::default();
        for (place, figure) in part.places().into_iter().zip(figures) {
            *place = figure;
        }
        part
    }

    /// Every number, in an order that all processes share.
    const fn places(&mut self) -> [&mut f64; 8] {
        let sums = &mut self.sums;
        [
            &mut self.loss,
            &mut self.entropy,
            &mut sums.tokens,
            &mut sums.clipped,
            &mut sums.clipped_low,
            &mut sums.moved,
            &mut sums.kl,
            &mut sums.ratio,
        ]
    }
}
