//! What the classifier is asked of a picture, as classes.

use crate::painter::caption;
use crate::painter::colour::Colour;
use crate::painter::scene::{Medium, Object, Scene, Setting, Thing, Time, Tone, Weather};

/// A question with its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The main thing, or none.
    Thing,
    /// The place or pattern.
    Setting,
    /// The colour of the main thing, or none.
    Colour,
    /// The time of day.
    Time,
    /// The weather.
    Weather,
    /// What it is made with.
    Medium,
    /// The thing beside the main one, or none.
    Companion,
    /// Its colour, or none.
    CompanionColour,
    /// Brown leaves or not.
    Autumn,
}

impl Head {
    /// In the order of the classifier's outputs.
    pub const ALL: [Self; 9] = [
        Self::Thing,
        Self::Setting,
        Self::Colour,
        Self::Time,
        Self::Weather,
        Self::Medium,
        Self::Companion,
        Self::CompanionColour,
        Self::Autumn,
    ];

    /// Answers to it.
    pub const fn classes(self) -> usize {
        match self {
            Self::Thing | Self::Companion => Thing::ALL.len() + 1,
            Self::Setting => Setting::ALL.len(),
            Self::Colour | Self::CompanionColour => Colour::ALL.len() + 1,
            Self::Time => Time::ALL.len(),
            Self::Weather => Weather::ALL.len(),
            Self::Medium => Medium::ALL.len(),
            Self::Autumn => 2,
        }
    }

    /// Where its outputs begin.
    pub fn offset(self) -> usize {
        let before = Self::ALL.iter().take_while(|&&head| head != self);
        before.map(|head| head.classes()).sum()
    }

    /// Outputs of all.
    pub fn total() -> usize {
        Self::ALL.iter().map(|head| head.classes()).sum()
    }

    /// For reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thing => "thing",
            Self::Setting => "setting",
            Self::Colour => "colour",
            Self::Time => "time of day",
            Self::Weather => "weather",
            Self::Medium => "medium",
            Self::Companion => "companion",
            Self::CompanionColour => "companion's colour",
            Self::Autumn => "autumn",
        }
    }
}

/// The class of each head in the order of [`Head::ALL`]; none where the picture does
/// not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels(pub [Option<usize>; 9]);

impl Labels {
    /// What the picture of a scene shows.
    pub fn of(scene: &Scene) -> Self {
        let colourful = scene.medium.has_colour();
        let plain = scene.tone == Tone::Plain;
        let is_pattern = matches!(scene.setting, Setting::Pattern(_));
        let colour = |object: Option<Object>| {
            (colourful && plain).then(|| object.map_or(0, |object| 1 + object.colour as usize))
        };
        let thing = |object: Option<Object>| object.map_or(0, |object| 1 + object.thing as usize);
        // Pencil and grey tell day from night only; a pattern has no hour but night.
        let tells_time = scene.medium == Medium::Painting && plain && !is_pattern;
        let setting = Setting::ALL.iter().position(|&s| s == scene.setting);
        Self([
            Some(thing(scene.object)),
            setting,
            colour(scene.object),
            tells_time.then_some(scene.time as usize),
            plain.then_some(scene.weather as usize),
            Some(scene.medium as usize),
            Some(thing(scene.companion)),
            colour(scene.companion),
            (colourful && plain).then_some(usize::from(scene.autumn)),
        ])
    }

    /// What a caption with all details asks for; none where it says nothing.
    pub fn asked(scene: &Scene) -> Self {
        let mut labels = Self::of(scene);
        if !caption::says_time(scene) {
            labels.0[Head::Time as usize] = None;
        }
        if scene.object.is_none() {
            labels.0[Head::Colour as usize] = None;
        }
        labels
    }

    /// Nothing is known.
    pub const UNKNOWN: Self = Self([None; 9]);

    /// One of them.
    pub fn get(&self, head: Head) -> Option<usize> {
        self.0[head as usize]
    }
}
