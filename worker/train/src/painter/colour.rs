//! Colours by name, and what light does to them.

use serde::{Deserialize, Serialize};

/// Red, green and blue as displayed, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rgb(pub f32, pub f32, pub f32);

pub(crate) const WHITE: Rgb = Rgb(1.0, 1.0, 1.0);

impl Rgb {
    /// `share` of the way to `other`.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * share;
        Self(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }

    /// As seen under light of that colour.
    pub fn lit(self, light: Self) -> Self {
        Self(self.0 * light.0, self.1 * light.1, self.2 * light.2)
    }

    /// Towards white.
    pub fn lighter(self, share: f32) -> Self {
        self.mix(WHITE, share)
    }

    /// Towards black.
    pub fn darker(self, share: f32) -> Self {
        self.mix(Self(0.0, 0.0, 0.0), share)
    }
}

/// The colours that captions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
    White,
}

impl Colour {
    /// All of them, in the order of the evaluation's classes.
    pub const ALL: [Self; 8] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::White,
    ];

    /// As captions say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::White => "white",
        }
    }

    /// In white light.
    pub fn rgb(self) -> Rgb {
        match self {
            Self::Red => Rgb(0.86, 0.12, 0.13),
            Self::Orange => Rgb(0.97, 0.50, 0.07),
            Self::Yellow => Rgb(0.99, 0.85, 0.12),
            Self::Green => Rgb(0.13, 0.62, 0.24),
            Self::Blue => Rgb(0.12, 0.34, 0.86),
            Self::Purple => Rgb(0.50, 0.16, 0.70),
            Self::Pink => Rgb(0.98, 0.50, 0.72),
            Self::White => Rgb(0.97, 0.97, 0.96),
        }
    }
}
