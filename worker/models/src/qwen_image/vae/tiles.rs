//! Large pictures in overlapping tiles that are blended at their edges.
//!
//! Follows `tiled_encode` and `tiled_decode` of `AutoencoderKLQwenImage`, with its
//! sizes by default.

use burn::tensor::{Tensor, TensorData};

/// Tiles of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Side of a tile; larger pictures are cut.
    pub tile: usize,
    /// From one tile's edge to the next one's.
    pub stride: usize,
}

impl Default for Tiling {
    fn default() -> Self {
        Self {
            tile: 256,
            stride: 192,
        }
    }
}

/// The same on one side of the autoencoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    tile: usize,
    stride: usize,
}

impl Tiling {
    /// Whether a picture of this size is cut.
    pub const fn cuts(&self, rows: usize, columns: usize) -> bool {
        rows > self.tile || columns > self.tile
    }

    pub(super) const fn in_pixels(&self) -> Tiles {
        Tiles {
            tile: self.tile,
            stride: self.stride,
        }
    }

    pub(super) const fn in_latents(&self, factor: usize) -> Tiles {
        Tiles {
            tile: self.tile / factor,
            stride: self.stride / factor,
        }
    }
}

/// Runs `run` on each tile of `x` cut as `from`, and joins what comes out as `to`.
pub(super) fn tiled(
    x: Tensor<4>,
    from: &Tiles,
    to: &Tiles,
    run: impl Fn(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    let overlap = to.tile - to.stride;
    let mut lines: Vec<Tensor<4>> = Vec::new();
    let mut above: Vec<Tensor<4>> = Vec::new();
    for top in (0..height).step_by(from.stride) {
        let rows = from.tile.min(height - top);
        let mut row: Vec<Tensor<4>> = Vec::new();
        for left in (0..width).step_by(from.stride) {
            let columns = from.tile.min(width - left);
            let tile = x.clone().narrow(1, top, rows).narrow(2, left, columns);
            let mut tile = run(tile);
            // Against neighbours that are blended themselves, as the reference does.
            if let Some(above) = above.get(row.len()) {
                tile = blend(above.clone(), tile, 1, overlap);
            }
            if let Some(before) = row.last() {
                tile = blend(before.clone(), tile, 2, overlap);
            }
            row.push(tile);
        }
        let kept = row.iter().map(|tile| {
            let [_, rows, columns, _] = tile.dims();
            let (rows, columns) = (rows.min(to.stride), columns.min(to.stride));
            tile.clone().narrow(1, 0, rows).narrow(2, 0, columns)
        });
        lines.push(Tensor::cat(kept.collect(), 2));
        above = row;
    }
    let out = Tensor::cat(lines, 1);
    let scale = |side: usize| side * to.stride / from.stride;
    let [_, rows, columns, _] = out.dims();
    let (rows, columns) = (rows.min(scale(height)), columns.min(scale(width)));
    out.narrow(1, 0, rows).narrow(2, 0, columns)
}

/// `next` with the last `extent` of `before` faded into its first along `axis`.
fn blend(before: Tensor<4>, next: Tensor<4>, axis: usize, extent: usize) -> Tensor<4> {
    let (length, own) = (before.dims()[axis], next.dims()[axis]);
    let extent = extent.min(length).min(own);
    if extent == 0 {
        return next;
    }
    let share: Vec<f32> = (0..extent).map(|i| i as f32 / extent as f32).collect();
    let mut shape = [1; 4];
    shape[axis] = extent;
    let share = Tensor::<4>::from_data(TensorData::new(share, shape), &next.device());
    let old = before.narrow(axis, length - extent, extent);
    let new = next.clone().narrow(axis, 0, extent);
    let mixed = old * (share.clone() * -1.0 + 1.0) + new * share;
    match extent == own {
        true => mixed,
        false => Tensor::cat(vec![mixed, next.narrow(axis, extent, own - extent)], axis),
    }
}
