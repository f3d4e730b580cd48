//! Where tokens stand: on a line, or in a picture.
//!
//! Follows `Qwen2_5_VLModel.get_rope_index` for text and still pictures. Text
//! counts up on all three axes at once; a picture's vectors share the position
//! at which it begins as their frame and count rows and columns from it; text
//! goes on after the longer side.

use crate::error::{ModelError, Result};
use crate::qwen25_vl::config::Qwen25VlConfig;
use crate::qwen25_vl::processor::Grid;

/// Frame, row and column.
pub const AXES: usize = 3;

/// Rotary positions of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// For each token of `[batch, tokens]`, row-major; padding is at zero.
    pub axes: Vec<[i64; AXES]>,
    /// For each row, the position of what follows it.
    pub next: Vec<i64>,
    /// Tokens in a row.
    pub tokens: usize,
}

impl Positions {
    /// Positions of ids `[batch, tokens]` among which `grids` stand in order.
    ///
    /// `attention_mask` is 1 on tokens and 0 on padding, on either side.
    ///
    /// # Errors
    /// [`ModelError::Request`] when the places for pictures are not those of
    /// `grids`, and for videos.
    pub fn new(
        config: &Qwen25VlConfig,
        input_ids: &[i64],
        attention_mask: &[i64],
        tokens: usize,
        grids: &[Grid],
    ) -> Result<Self> {
        let mut positions = Self {
            axes: vec![[0; AXES]; input_ids.len()],
            next: Vec::new(),
            tokens,
        };
        let mut grids = grids.iter();
        for (row, ids) in input_ids.chunks(tokens.max(1)).enumerate() {
            let first = row * tokens;
            let real = |place: &usize| attention_mask.get(first + place) != Some(&0);
            let mut places = (0..ids.len()).filter(real);
            let mut next = 0;
            while let Some(place) = places.next() {
                if ids[place] == i64::from(config.video_token_id) {
                    return Err(misplaced("videos are not supported"));
                }
                if ids[place] != i64::from(config.image_token_id) {
                    positions.axes[first + place] = [next; AXES];
                    next += 1;
                    continue;
                }
                let grid = grids
                    .next()
                    .ok_or_else(|| misplaced("the prompt has places for more pictures"))?;
                let merge = config.vision.spatial_merge_size;
                let squares = in_picture(grid, merge, next);
                for (number, square) in squares.enumerate() {
                    let place = match number {
                        0 => Some(place),
                        _ => places.next(),
                    };
                    let place = place
                        .filter(|&place| ids[place] == i64::from(config.image_token_id))
                        .ok_or_else(|| {
                            misplaced(format!(
                                "a picture needs {} places in the prompt and has {number}",
                                grid.merged(merge)
                            ))
                        })?;
                    positions.axes[first + place] = square;
                }
                next += (grid.h.max(grid.w) / merge) as i64;
            }
            positions.next.push(next);
        }
        match grids.next() {
            Some(_) => Err(misplaced("the prompt has places for fewer pictures")),
            None => Ok(positions),
        }
    }

    /// Of one token of text in each row, at these `positions`.
    pub fn of_rows(positions: &[i64]) -> Self {
        Self {
            axes: positions.iter().map(|&place| [place; AXES]).collect(),
            next: positions.iter().map(|place| place + 1).collect(),
            tokens: 1,
        }
    }
}

/// The positions of a picture's merged squares.
fn in_picture(grid: &Grid, merge: usize, start: i64) -> impl Iterator<Item = [i64; AXES]> {
    let (frames, rows, columns) = (grid.t, grid.h / merge, grid.w / merge);
    (0..frames * rows * columns).map(move |square| {
        let frame = square / (rows * columns);
        let row = square / columns % rows;
        [frame, row, square % columns].map(|axis| start + axis as i64)
    })
}

fn misplaced(reason: impl Into<String>) -> ModelError {
    ModelError::Request {
        field: "image_grid_thw",
        reason: reason.into(),
    }
}
