//! What is in a picture: decided first, then painted and put in words.

use serde::{Deserialize, Serialize};

use super::colour::Colour;

/// Where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Setting {
    Mountains,
    Sea,
    Lake,
    Forest,
    Field,
    Desert,
    City,
    /// A table at a window.
    Table,
    Pattern(Pattern),
}

/// Shapes that stand for nothing, in two colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Pattern {
    Stripes,
    Waves,
    Circles,
    Grid,
    Gradient,
}

impl Setting {
    /// All of them, in the order of the evaluation's classes.
    pub const ALL: [Self; 13] = [
        Self::Mountains,
        Self::Sea,
        Self::Lake,
        Self::Forest,
        Self::Field,
        Self::Desert,
        Self::City,
        Self::Table,
        Self::Pattern(Pattern::Stripes),
        Self::Pattern(Pattern::Waves),
        Self::Pattern(Pattern::Circles),
        Self::Pattern(Pattern::Grid),
        Self::Pattern(Pattern::Gradient),
    ];

    /// Whether it has a sky above a ground.
    pub fn is_outdoors(self) -> bool {
        !matches!(self, Self::Table | Self::Pattern(_))
    }

    /// The things that may stand, swim or fly there.
    pub fn things(self) -> &'static [Thing] {
        use Thing::{
            Apple, Ball, Balloon, Bird, Boat, Car, Castle, Cube, Cup, Flower, House, Lighthouse,
            Tent, Tree, Vase, Windmill,
        };
        match self {
            Self::Mountains => &[House, Tree, Castle, Tent, Balloon, Bird, Flower],
            Self::Sea => &[Boat, Boat, Lighthouse, Lighthouse, Balloon, Bird],
            Self::Lake => &[Boat, Boat, House, Tree, Balloon, Bird, Castle],
            Self::Forest => &[House, Tree, Tent, Flower, Bird, Castle],
            Self::Field => &[
                House, Tree, Windmill, Windmill, Flower, Car, Balloon, Bird, Tent,
            ],
            Self::Desert => &[Tent, Car, Castle, Balloon, Tree, Bird],
            Self::City => &[Car, Car, Balloon, Bird, Tree],
            Self::Table => &[Ball, Cube, Vase, Cup, Apple, Flower],
            Self::Pattern(_) => &[],
        }
    }

    /// The things that may be beside the main one: aloft, or on the table.
    pub fn companions(self) -> &'static [Thing] {
        match self {
            Self::Table => &[Thing::Ball, Thing::Cube, Thing::Apple, Thing::Cup],
            Self::Pattern(_) => &[],
            _ => &[Thing::Balloon, Thing::Bird],
        }
    }
}

/// Simple things, of one colour each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Thing {
    Ball,
    Cube,
    Vase,
    Cup,
    Apple,
    Flower,
    House,
    Tree,
    Windmill,
    Castle,
    Tent,
    Car,
    Boat,
    Lighthouse,
    Bird,
    Balloon,
}

impl Thing {
    /// All of them, in the order of the evaluation's classes.
    pub const ALL: [Self; 16] = [
        Self::Ball,
        Self::Cube,
        Self::Vase,
        Self::Cup,
        Self::Apple,
        Self::Flower,
        Self::House,
        Self::Tree,
        Self::Windmill,
        Self::Castle,
        Self::Tent,
        Self::Car,
        Self::Boat,
        Self::Lighthouse,
        Self::Bird,
        Self::Balloon,
    ];

    /// Whether it is aloft.
    pub fn flies(self) -> bool {
        matches!(self, Self::Bird | Self::Balloon)
    }
}

/// A thing and its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Object {
    pub thing: Thing,
    pub colour: Colour,
}

/// The time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Time {
    Dawn,
    Noon,
    Dusk,
    Night,
}

impl Time {
    /// All of them, in the order of the evaluation's classes.
    pub const ALL: [Self; 4] = [Self::Dawn, Self::Noon, Self::Dusk, Self::Night];
}

/// The weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Weather {
    Clear,
    Rain,
    Snow,
    Fog,
}

impl Weather {
    /// All of them, in the order of the evaluation's classes.
    pub const ALL: [Self; 4] = [Self::Clear, Self::Rain, Self::Snow, Self::Fog];
}

/// What the picture is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Medium {
    Painting,
    BlackAndWhite,
    Sketch,
    Watercolour,
}

impl Medium {
    /// All of them, in the order of the evaluation's classes.
    pub const ALL: [Self; 4] = [
        Self::Painting,
        Self::BlackAndWhite,
        Self::Sketch,
        Self::Watercolour,
    ];

    /// Whether colours can be told.
    pub fn has_colour(self) -> bool {
        matches!(self, Self::Painting | Self::Watercolour)
    }
}

/// How light the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Tone {
    Plain,
    Darker,
    Brighter,
}

/// A picture before it is painted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// Of everything that words do not say: where things stand, the shape of
    /// hills and clouds. Scenes that share it share their geometry.
    pub seed: u64,
    /// Where.
    pub setting: Setting,
    /// The two colours of a pattern.
    pub colours: [Colour; 2],
    /// When.
    pub time: Time,
    /// In what weather.
    pub weather: Weather,
    /// Whether leaves are brown and falling.
    pub autumn: bool,
    /// The main thing.
    pub object: Option<Object>,
    /// A smaller one.
    pub companion: Option<Object>,
    /// How light the whole is.
    pub tone: Tone,
    /// What it is made with.
    pub medium: Medium,
}
