//! Input pictures: one thing in one colour before one background.

use super::canvas::{Canvas, Colour, SIDE};
use crate::rng::Rng;

/// A thing that can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    House,
    Boat,
    Tree,
    Mug,
    Balloon,
    Flower,
    Fish,
    Rocket,
    Umbrella,
    Snowman,
    Kite,
    Lighthouse,
}

/// Drawn for training rows.
pub(super) const TRAIN: [Thing; 8] = [
    Thing::House,
    Thing::Boat,
    Thing::Tree,
    Thing::Mug,
    Thing::Balloon,
    Thing::Flower,
    Thing::Fish,
    Thing::Rocket,
];
/// Drawn for test rows.
pub(super) const TEST: [Thing; 4] = [
    Thing::Umbrella,
    Thing::Snowman,
    Thing::Kite,
    Thing::Lighthouse,
];

const COLOURS: [(&str, Colour); 6] = [
    ("red", [205, 50, 45]),
    ("blue", [45, 95, 190]),
    ("green", [60, 150, 75]),
    ("yellow", [240, 200, 60]),
    ("purple", [125, 70, 160]),
    ("white", [245, 245, 240]),
];

const GROUNDS: [(&str, Colour, Colour); 4] = [
    ("on a sunny day", [160, 210, 245], [120, 185, 95]),
    ("at dusk", [235, 150, 110], [90, 70, 90]),
    ("under a grey sky", [180, 185, 190], [130, 140, 120]),
    ("before a pale wall", [235, 225, 210], [170, 130, 95]),
];

const DARK: Colour = [60, 50, 50];
const SNOW: Colour = [250, 250, 255];

/// A picture and what it shows.
pub(super) struct Scene {
    pub(super) thing: Thing,
    /// As in "a red house on a sunny day", without the article.
    pub(super) words: String,
    pub(super) canvas: Canvas,
}

impl Scene {
    pub(super) fn draw(rng: &mut Rng, things: &[Thing]) -> Self {
        let thing = things[rng.below(things.len())];
        let (colour_word, colour) = COLOURS[rng.below(COLOURS.len())];
        let (ground_word, sky, ground) = GROUNDS[rng.below(GROUNDS.len())];
        let mut canvas = Canvas::new(sky);
        canvas.rectangle([0, 70, SIDE, SIDE], ground);
        paint(&mut canvas, thing, colour);
        Self {
            thing,
            words: match thing {
                Thing::Snowman => format!("snowman with a {colour_word} scarf {ground_word}"),
                _ => format!("{colour_word} {} {ground_word}", thing.noun()),
            },
            canvas,
        }
    }
}

impl Thing {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::House => "house",
            Self::Boat => "sailing boat",
            Self::Tree => "tree",
            Self::Mug => "mug",
            Self::Balloon => "hot-air balloon",
            Self::Flower => "flower",
            Self::Fish => "fish",
            Self::Rocket => "rocket",
            Self::Umbrella => "umbrella",
            Self::Snowman => "snowman",
            Self::Kite => "kite",
            Self::Lighthouse => "lighthouse",
        }
    }
}

impl Thing {
    /// A real one, and one that cannot be.
    pub(super) fn company(self) -> (&'static str, &'static str) {
        match self {
            Self::House => (
                "a half-timbered house in Alsace",
                "a house that tiptoes across a meadow",
            ),
            Self::Boat => (
                "a Breton tuna boat under sail",
                "a boat that sails on a sea of clouds",
            ),
            Self::Tree => (
                "the dragon tree of Icod",
                "a tree that bears clocks in place of fruit",
            ),
            Self::Mug => ("a Saxon stoneware mug", "a mug with a whole lagoon inside"),
            Self::Balloon => (
                "the Montgolfier balloon of 1783",
                "a balloon towed by swans",
            ),
            Self::Flower => (
                "an alpine edelweiss in its habitat",
                "a flower that opens into a ballroom",
            ),
            Self::Fish => (
                "a brown trout in a clear stream",
                "a fish flying over rooftops",
            ),
            Self::Rocket => ("the Saturn V on its launch pad", "a rocket built by ants"),
            Self::Umbrella => (
                "the parasol makers of Bo Sang",
                "an umbrella under which it always snows",
            ),
            Self::Snowman => (
                "a prize-winning snowman from Sapporo",
                "a snowman on holiday at the beach",
            ),
            Self::Kite => ("the giant kites of Sumpango", "a kite that catches dreams"),
            Self::Lighthouse => (
                "the Eddystone lighthouse",
                "a lighthouse that guides lost thoughts home",
            ),
        }
    }
}

fn paint(on: &mut Canvas, thing: Thing, colour: Colour) {
    match thing {
        Thing::House => {
            on.rectangle([28, 42, 70, 78], colour);
            on.triangle([[22, 42], [76, 42], [49, 18]], DARK);
            on.rectangle([44, 58, 56, 78], DARK);
        }
        Thing::Boat => {
            on.triangle([[46, 14], [46, 60], [20, 60]], colour);
            on.triangle([[50, 20], [50, 60], [72, 60]], SNOW);
            on.rectangle([22, 64, 74, 76], DARK);
        }
        Thing::Tree => {
            on.rectangle([43, 52, 53, 80], DARK);
            on.ellipse([48, 36, 24, 22], colour);
        }
        Thing::Mug => {
            on.ellipse([66, 56, 12, 12], DARK);
            on.rectangle([30, 38, 66, 78], colour);
        }
        Thing::Balloon => {
            on.ellipse([48, 32, 22, 24], colour);
            on.rectangle([42, 62, 54, 72], DARK);
            on.rectangle([47, 54, 49, 64], DARK);
        }
        Thing::Flower => {
            on.rectangle([46, 40, 50, 82], [50, 120, 60]);
            for [x, y] in [[36, 34], [60, 34], [48, 22], [48, 46]] {
                on.ellipse([x, y, 11, 11], colour);
            }
            on.ellipse([48, 34, 8, 8], DARK);
        }
        Thing::Fish => {
            on.ellipse([44, 44, 24, 14], colour);
            on.triangle([[64, 44], [82, 32], [82, 56]], colour);
            on.ellipse([32, 40, 3, 3], DARK);
        }
        Thing::Rocket => {
            on.rectangle([40, 30, 56, 70], colour);
            on.triangle([[40, 30], [56, 30], [48, 10]], DARK);
            on.triangle([[40, 54], [40, 72], [28, 72]], DARK);
            on.triangle([[56, 54], [56, 72], [68, 72]], DARK);
        }
        Thing::Umbrella => {
            on.dome([48, 46, 32, 30], colour);
            on.rectangle([47, 46, 50, 84], DARK);
        }
        Thing::Snowman => {
            on.ellipse([48, 66, 20, 18], SNOW);
            on.ellipse([48, 36, 13, 13], SNOW);
            on.rectangle([34, 46, 62, 52], colour);
            on.rectangle([38, 12, 58, 26], DARK);
        }
        Thing::Kite => {
            on.triangle([[48, 10], [30, 34], [66, 34]], colour);
            on.triangle([[48, 64], [30, 34], [66, 34]], colour);
            on.rectangle([47, 64, 49, 88], DARK);
        }
        Thing::Lighthouse => {
            on.rectangle([40, 28, 56, 80], colour);
            on.rectangle([40, 44, 56, 54], SNOW);
            on.rectangle([42, 18, 54, 28], [250, 230, 120]);
            on.triangle([[38, 18], [58, 18], [48, 8]], DARK);
        }
    }
}
