//! Rotary positions of single tokens: on a line, or on three axes at once.

use super::super::rotary::{Frequencies, inverse_frequencies};

/// Where a token stands on each axis; text stands at the same number on all.
pub type Place = [i64; 3];

/// What turns a place into cosines and sines.
#[derive(Clone, Debug)]
pub(super) struct Rotor {
    frequencies: Frequencies,
    /// The axis that each frequency turns with.
    axes: Vec<usize>,
}

/// Cosines and sines of one place.
pub(super) struct Rotation {
    cos_sin: Vec<(f32, f32)>,
}

impl Rotor {
    /// One axis.
    pub(super) fn line(frequencies: Frequencies) -> Self {
        Self {
            axes: vec![0; frequencies.inverse.len()],
            frequencies,
        }
    }

    /// Multimodal: the frequencies in runs of `sections`, whose axes take turns
    /// (arXiv:2502.13923, §2.1.3).
    pub(super) fn multimodal(head_dim: usize, theta: f64, sections: &[usize]) -> Self {
        let runs = sections.iter().enumerate();
        Self {
            frequencies: Frequencies {
                inverse: inverse_frequencies(head_dim, theta),
                attention_factor: 1.0,
            },
            axes: runs
                .flat_map(|(run, &size)| std::iter::repeat_n(run % 3, size))
                .collect(),
        }
    }

    pub(super) fn at(&self, place: Place) -> Rotation {
        let factor = self.frequencies.attention_factor;
        let turns = self.frequencies.inverse.iter().zip(&self.axes);
        let cos_sin = turns
            .map(|(frequency, &axis)| {
                let (sin, cos) = (place[axis] as f32 * frequency).sin_cos();
                (cos * factor, sin * factor)
            })
            .collect();
        Rotation { cos_sin }
    }
}

impl Rotation {
    /// Rotates one head.
    pub(super) fn apply(&self, head: &mut [f32]) {
        let (first, second) = head.split_at_mut(self.cos_sin.len());
        for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(&self.cos_sin) {
            let (a, b) = (*first, *second);
            *first = a * cos - b * sin;
            *second = b * cos + a * sin;
        }
    }
}
