//! Pictures with captions, painted from a seed: what the embedded image models
//! learn from.
//!
//! ```text
//! seed, index ──sample──▶ Scene ──draw──▶ 128 × 128 pixels
//!                           ├──caption──▶ words
//!                           └──edit──▶ Scene', instruction, mask of what may change
//! ```
//!
//! A [`Scene`] says what is to be seen; pixels and words are both made from it, so
//! a caption is right by construction. Scenes that share a seed share all their
//! geometry: the picture after an edit differs from the one before in what was
//! asked, and in nothing else.

pub mod caption;
pub mod colour;
pub mod draw;
pub mod edit;
pub mod sample;
pub mod scene;
pub mod words;

use image::{Rgb, RgbImage};

pub use caption::Detail;
pub use colour::Colour;
pub use draw::{Painted, Pixels, paint};
pub use edit::Edit;
pub use sample::{Split, held_out};
pub use scene::Scene;

use crate::corpus::{Rng, Topics};

/// Width and height of a picture.
pub const SIDE: usize = 128;

/// The generator. Example `i` of a seed and split is a function of these alone.
#[derive(Debug)]
pub struct Painter {
    seed: u64,
    split: Split,
    detail: Detail,
    topics: Topics,
}

/// A picture in words and in paint.
#[derive(Clone, Debug)]
pub struct Example {
    /// What is to be seen.
    pub scene: Scene,
    /// One of its captions.
    pub caption: String,
}

/// A change to a picture.
#[derive(Clone, Debug)]
pub struct EditExample {
    /// Before.
    pub before: Scene,
    /// The change.
    pub edit: Edit,
    /// After.
    pub after: Scene,
    /// The change in words.
    pub instruction: String,
}

impl Painter {
    /// Training examples, with captions of all kinds.
    pub fn training(seed: u64) -> Self {
        Self {
            seed,
            split: Split::Training,
            detail: Detail::Varied,
            topics: Topics::training(),
        }
    }

    /// Combinations that training never has, with captions that say all of them.
    pub fn held_out(seed: u64) -> Self {
        Self {
            split: Split::HeldOut,
            detail: Detail::Full,
            ..Self::training(seed)
        }
    }

    /// Captions of training scenes that say everything.
    pub fn full_captions(self) -> Self {
        Self {
            detail: Detail::Full,
            ..self
        }
    }

    /// Example number `index`.
    pub fn example(&self, index: u64) -> Example {
        let mut rng = Rng::new(self.seed, index);
        let scene = sample::scene(&mut rng, self.split);
        let caption = caption::write(&mut rng, &scene, &self.topics, self.detail);
        Example { scene, caption }
    }

    /// Another caption of picture number `index`.
    pub fn caption(&self, index: u64, variant: u64) -> String {
        let scene = self.example(index).scene;
        let mut rng = Rng::new(self.seed ^ variant, index);
        caption::write(&mut rng, &scene, &self.topics, self.detail)
    }

    /// Other words for edit number `index`.
    pub fn instruction(&self, index: u64, variant: u64) -> String {
        let example = self.edit(index);
        let mut rng = Rng::new(self.seed ^ variant, index);
        edit::instruction(&mut rng, example.edit, &example.before)
    }

    /// Edit number `index`. Both scenes belong to the split: in training neither
    /// is held out, otherwise the outcome is.
    pub fn edit(&self, index: u64) -> EditExample {
        let mut rng = Rng::new(self.seed ^ EDITS, index);
        loop {
            let before = sample::scene(&mut rng, Split::Training);
            let edit = edit::sample(&mut rng, &before);
            let after = edit.apply(&before);
            if held_out(&after) == (self.split == Split::HeldOut) {
                let instruction = edit::instruction(&mut rng, edit, &before);
                return EditExample {
                    before,
                    edit,
                    after,
                    instruction,
                };
            }
        }
    }
}

/// Keeps the stream of edits apart from that of pictures.
const EDITS: u64 = 0xED17_0000_0000_0000;

/// As 8-bit RGB.
pub fn to_image(pixels: &Pixels) -> RgbImage {
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let pixel = pixels[y as usize * SIDE + x as usize];
        Rgb(pixel.map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}
