//! Which patches attend to which: windows and frames.
//!
//! Follows `get_vision_window_index` and `get_vision_cu_seqlens` of
//! `transformers/vision_utils.py`, with one freedom: windows of a frame are
//! ordered by size, so that equal ones lie together and are computed at once.
//! The blocks know no order, and the tower undoes it at its end.

use crate::qwen25_vl::processor::Grid;

/// Adjacent segments of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Segments.
    pub count: usize,
    /// Patches in each.
    pub len: usize,
}

/// An order of the merged squares and the segments within it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// For each place, the square that stands there, as the processor numbers them.
    pub order: Vec<usize>,
    /// Row and column, in squares, of each place's square in its frame.
    pub squares: Vec<[usize; 2]>,
    /// Attention windows, at the picture's edge smaller ones.
    pub windows: Vec<Run>,
    /// Whole frames.
    pub frames: Vec<Run>,
}

impl Layout {
    /// The layout of pictures one after the other. `merge` is the side of a
    /// square in patches, `window` that of a window in squares.
    pub fn new(grids: &[Grid], merge: usize, window: usize) -> Self {
        let mut layout = Self::default();
        let unit = merge * merge;
        for grid in grids {
            let (rows, columns) = (grid.h / merge, grid.w / merge);
            for _ in 0..grid.t {
                let first = layout.order.len();
                for squares in windows(rows, columns, window) {
                    append(&mut layout.windows, squares.len() * unit);
                    for [row, column] in squares {
                        layout.order.push(first + row * columns + column);
                        layout.squares.push([row, column]);
                    }
                }
                append(&mut layout.frames, rows * columns * unit);
            }
        }
        layout
    }

    /// For each square, the place where it stands.
    pub fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.order.len()];
        for (place, &square) in self.order.iter().enumerate() {
            if let Some(slot) = places.get_mut(square) {
                *slot = place;
            }
        }
        places
    }
}

/// The windows of a frame, each a list of its squares, by size.
fn windows(rows: usize, columns: usize, window: usize) -> Vec<Vec<[usize; 2]>> {
    let mut windows = Vec::new();
    for top in (0..rows).step_by(window) {
        for left in (0..columns).step_by(window) {
            let down = top..(top + window).min(rows);
            let across = left..(left + window).min(columns);
            let row = |row| across.clone().map(move |column| [row, column]);
            windows.push(down.flat_map(row).collect::<Vec<_>>());
        }
    }
    windows.sort_by_key(Vec::len);
    windows
}

fn append(runs: &mut Vec<Run>, len: usize) {
    match runs.last_mut() {
        Some(last) if last.len == len => last.count += 1,
        _ => runs.push(Run { count: 1, len }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_a_frame_that_they_do_not_divide() {
        let grid = Grid { t: 1, h: 6, w: 10 };
        let layout = Layout::new(&[grid], 2, 2);
        // Of 3×5 squares: two whole windows, then two and one cut ones, a corner.
        assert_eq!(
            layout.windows,
            [
                Run { count: 1, len: 4 },
                Run { count: 3, len: 8 },
                Run { count: 2, len: 16 }
            ]
        );
        assert_eq!(layout.frames, [Run { count: 1, len: 60 }]);
        assert_eq!(layout.order[0], 14, "the corner alone");
        assert_eq!(layout.order[1..3], [4, 9], "the right edge");
        assert_eq!(layout.order[7..11], [0, 1, 5, 6], "the first whole window");
        assert_eq!(layout.squares[2], [1, 4]);
    }

    #[test]
    fn every_square_stands_once_and_frames_are_apart() {
        let grids = [
            Grid { t: 2, h: 4, w: 6 },
            Grid { t: 1, h: 2, w: 2 },
            Grid { t: 1, h: 8, w: 4 },
        ];
        let layout = Layout::new(&grids, 2, 3);
        for (square, place) in layout.places().into_iter().enumerate() {
            assert_eq!(layout.order[place], square);
        }
        let lens = |runs: &[Run]| runs.iter().map(|run| run.count * run.len).sum::<usize>();
        assert_eq!(lens(&layout.windows), 2 * 24 + 4 + 32);
        assert_eq!(
            layout.frames,
            [
                Run { count: 2, len: 24 },
                Run { count: 1, len: 4 },
                Run { count: 1, len: 32 }
            ]
        );
    }
}
