//! The colours that the time of day, the weather and the season give.

use crate::painter::colour::Rgb;
use crate::painter::scene::{Scene, Time, Weather};

/// The air of a scene.
#[derive(Clone, Copy, Debug)]
pub struct Light {
    /// Sky from its top over its middle to the horizon.
    pub sky: [Rgb; 3],
    /// What it does to colours.
    pub ambient: Rgb,
    /// Of far things.
    pub haze: Rgb,
    /// How far they fade, 0 to 1.
    pub haze_share: f32,
    snow: bool,
    autumn: bool,
    night: bool,
}

impl Light {
    /// Of a scene.
    pub fn new(scene: &Scene) -> Self {
        let (sky, ambient) = match scene.time {
            Time::Dawn => (
                [
                    Rgb(0.50, 0.60, 0.86),
                    Rgb(0.93, 0.74, 0.82),
                    Rgb(1.0, 0.89, 0.74),
                ],
                Rgb(1.0, 0.90, 0.90),
            ),
            Time::Noon => (
                [
                    Rgb(0.22, 0.50, 0.90),
                    Rgb(0.50, 0.74, 0.97),
                    Rgb(0.84, 0.94, 1.0),
                ],
                Rgb(1.0, 1.0, 1.0),
            ),
            Time::Dusk => (
                [
                    Rgb(0.24, 0.16, 0.42),
                    Rgb(0.80, 0.32, 0.36),
                    Rgb(1.0, 0.62, 0.24),
                ],
                Rgb(0.86, 0.66, 0.62),
            ),
            Time::Night => (
                [
                    Rgb(0.02, 0.04, 0.13),
                    Rgb(0.06, 0.10, 0.25),
                    Rgb(0.15, 0.21, 0.38),
                ],
                Rgb(0.34, 0.40, 0.60),
            ),
        };
        let grey = Rgb(0.74, 0.77, 0.80).lit(match scene.time {
            Time::Dawn => Rgb(1.05, 0.94, 0.95),
            Time::Noon => Rgb(1.0, 1.0, 1.0),
            Time::Dusk => Rgb(0.82, 0.58, 0.52),
            Time::Night => Rgb(0.22, 0.26, 0.38),
        });
        let (cover, haze_share) = match scene.weather {
            Weather::Clear => (0.0, 0.35),
            Weather::Rain => (0.55, 0.55),
            Weather::Snow => (0.35, 0.50),
            Weather::Fog => (0.60, 0.80),
        };
        let dim = match scene.weather {
            Weather::Rain => 0.78,
            _ => 1.0,
        };
        let sky = sky.map(|colour| colour.mix(grey, cover).lit(Rgb(dim, dim, dim)));
        Self {
            haze: sky[2].mix(grey, 0.3),
            sky,
            ambient: ambient.lit(Rgb(dim, dim, dim).mix(Rgb(1.0, 1.0, 1.0), 0.5)),
            haze_share,
            snow: scene.weather == Weather::Snow,
            autumn: scene.autumn,
            night: scene.time == Time::Night,
        }
    }

    /// Ground of that colour, white under snow.
    pub fn ground(&self, colour: Rgb) -> Rgb {
        let colour = match self.snow {
            true => colour.mix(Rgb(0.94, 0.96, 1.0), 0.88),
            false => colour,
        };
        colour.lit(self.ambient)
    }

    /// Leaves and grass of that green.
    pub fn leaves(&self, green: Rgb) -> Rgb {
        let colour = match (self.snow, self.autumn) {
            (true, _) => green.mix(Rgb(0.93, 0.96, 1.0), 0.66),
            (_, true) => green.mix(Rgb(0.86, 0.42, 0.08), 0.80),
            _ => green,
        };
        colour.lit(self.ambient)
    }

    /// Grassy ground: snow lies thicker on it than on leaves.
    pub fn grass(&self, green: Rgb) -> Rgb {
        match self.snow {
            true => self.ground(green),
            false => self.leaves(green),
        }
    }

    /// A thing of that colour: it keeps more of its own, so that it can be told.
    pub fn thing(&self, colour: Rgb) -> Rgb {
        colour.lit(self.ambient.mix(Rgb(1.0, 1.0, 1.0), 0.42))
    }

    /// Something at a distance, 0 (near) to 1.
    pub fn far(&self, colour: Rgb, distance: f32) -> Rgb {
        colour.mix(self.haze, self.haze_share * distance)
    }

    /// Windows at this hour.
    pub fn window(&self) -> Rgb {
        match self.night {
            true => Rgb(1.0, 0.85, 0.45),
            false => Rgb(0.35, 0.45, 0.55).lit(self.ambient),
        }
    }

    /// Whether it is dark.
    pub fn is_night(&self) -> bool {
        self.night
    }

    /// Whether snow lies.
    pub fn has_snow(&self) -> bool {
        self.snow
    }
}
