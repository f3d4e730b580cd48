//! Where a picture's things are, so that training looks there: a thing covers a few
//! tokens of a picture, and its form is what a mean over all of them learns last.

use std::path::Path;

use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::error::{Result, TrainError};
use crate::painter::{Painted, Painter, SIDE, paint};

/// Of each token, the share that things cover, in 255ths.
#[derive(Clone, Debug, Default)]
pub struct Focus {
    tokens: usize,
    generation: Vec<u8>,
    after: Vec<u8>,
}

impl Focus {
    /// Reads what is in `folder` of `count` pictures and edits of `tokens` tokens, and
    /// first makes it where it is missing.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`].
    pub fn prepare(folder: &Path, painter: &Painter, count: u64, tokens: usize) -> Result<Self> {
        let path = folder.join("focus.safetensors");
        let shape = [count as usize, tokens];
        if path.is_file() {
            let focus = Self::load(&path, tokens)?;
            if focus.generation.len() >= shape[0] * tokens {
                return Ok(focus);
            }
        }
        let focus = Self::make(painter, count, tokens);
        focus.save(&path, shape)?;
        Ok(focus)
    }

    /// Of the first `count` pictures and edits.
    pub fn make(painter: &Painter, count: u64, tokens: usize) -> Self {
        let pairs: Vec<[Vec<u8>; 2]> = (0..count)
            .into_par_iter()
            .map(|index| {
                [painter.example(index).scene, painter.edit(index).after]
                    .map(|scene| shares(&paint(&scene), tokens.isqrt()))
            })
            .collect();
        let of = |kind: usize| -> Vec<u8> {
            let rows = pairs.iter().flat_map(|pair| pair[kind].iter());
            rows.copied().collect()
        };
        Self {
            tokens,
            generation: of(0),
            after: of(1),
        }
    }

    /// Of picture `index`, a number a token.
    pub fn generation(&self, index: u64) -> &[u8] {
        &self.generation[index as usize * self.tokens..][..self.tokens]
    }

    /// Of the picture after edit `index`.
    pub fn after(&self, index: u64) -> &[u8] {
        &self.after[index as usize * self.tokens..][..self.tokens]
    }

    fn load(path: &Path, tokens: usize) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| TrainError::io(path, error))?;
        let failed = |error| TrainError::checkpoint(path, error);
        let tensors = SafeTensors::deserialize(&bytes).map_err(failed)?;
        let read = |name: &str| -> Result<Vec<u8>> {
            Ok(tensors.tensor(name).map_err(failed)?.data().to_vec())
        };
        Ok(Self {
            tokens,
            generation: read("generation")?,
            after: read("after")?,
        })
    }

    fn save(&self, path: &Path, shape: [usize; 2]) -> Result<()> {
        let failed = |error| TrainError::checkpoint(path, error);
        let mut views = Vec::new();
        for (name, values) in [("generation", &self.generation), ("after", &self.after)] {
            let view = TensorView::new(Dtype::U8, shape.to_vec(), values).map_err(failed)?;
            views.push((name, view));
        }
        let part = path.with_extension("part");
        safetensors::serialize_to_file(views, None, &part).map_err(failed)?;
        std::fs::rename(&part, path).map_err(|error| TrainError::io(path, error))
    }
}

/// The share of each of `side` × `side` tokens, row by row, that things cover.
fn shares(painted: &Painted, side: usize) -> Vec<u8> {
    let pixels = SIDE / side;
    let covered = |row: usize, column: usize| {
        let at = row * SIDE + column;
        painted.object[at] || painted.companion[at]
    };
    let mut shares = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let rows = row * pixels..(row + 1) * pixels;
            let count: usize = rows
                .map(|y| {
                    let columns = column * pixels..(column + 1) * pixels;
                    columns.filter(|&x| covered(y, x)).count()
                })
                .sum();
            shares.push((count * 255 / (pixels * pixels)) as u8);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_things_are_marked_and_what_is_written_is_read() {
        let painter = Painter::training(3);
        let folder = tempfile::tempdir().unwrap();
        let made = Focus::prepare(folder.path(), &painter, 12, 64).unwrap();
        let read = Focus::prepare(folder.path(), &painter, 12, 64).unwrap();
        let mut marked = 0;
        for index in 0..12 {
            assert_eq!(made.generation(index), read.generation(index));
            assert_eq!(made.after(index), read.after(index));
            let has_thing = painter.example(index).scene.object.is_some();
            let most = made.generation(index).iter().max().copied();
            assert_eq!(most > Some(40), has_thing, "{index}");
            marked += usize::from(has_thing);
        }
        assert!((1..12).contains(&marked), "{marked}");
    }
}
