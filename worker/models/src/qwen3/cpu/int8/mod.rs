//! Weights in eight bits: symmetric, each row in blocks with a scale of their
//! own. The vectors are quantised the same way for the product, so that it runs
//! on integers; a number is off by at most 1/254 of its block's largest.
//!
//! The scheme is that of llama.cpp's `Q8_0` with blocks of 64 in place of 32 and f32
//! scales. Rows lie in panels, as in [`super::panels`], four columns of each together:
//!
//! ```text
//! a block of a panel: 64 columns of 16 rows
//!     row 0: k k+1 k+2 k+3   row 1: k k+1 k+2 k+3   …   row 15     for k = 0, 4, … 60
//! ```
//!
//! so that `vpdpbusd` adds four products to the sum of each row.

#[cfg(test)]
mod tests;
mod vectors;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::LazyLock;

pub(super) use self::vectors::Int8Vectors;
use self::vectors::quantise;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx::{self, int8::VectorTiles};
use super::lines::Lines;
use super::outputs::Outputs;
use super::panels::PANEL;

/// Numbers that share a scale.
pub(super) const BLOCK: usize = 64;

/// Columns of a row that lie together.
const FOUR: usize = 4;

/// Bytes of a panel's block.
pub(super) const PANEL_BLOCK: usize = PANEL * BLOCK;

/// What is added to a weight where it is kept: `vpdpbusd` takes one operand without sign.
const SHIFT: u8 = 128;

/// `[rows, columns]`, rows filled up with zeros to whole blocks, and to whole panels.
#[derive(Clone, Debug)]
pub(super) struct Int8Rows {
    /// Each block of each panel, the weights with [`SHIFT`] added.
    values: Lines<u8>,
    /// 16 for each block of each panel.
    scales: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl Int8Rows {
    /// Quantises rows of `columns` numbers.
    #[cfg(test)]
    pub(super) fn new(rows: &[f32], columns: usize) -> Self {
        let mut all = Self::with_capacity(rows.len() / columns, columns);
        all.push(rows);
        all
    }

    /// No rows yet, and room for `rows` of `columns`.
    pub(super) fn with_capacity(rows: usize, columns: usize) -> Self {
        let blocks = rows.div_ceil(PANEL) * columns.div_ceil(BLOCK);
        Self {
            values: Lines::with_capacity(blocks * PANEL_BLOCK),
            scales: Vec::with_capacity(blocks * PANEL),
            rows: 0,
            columns,
        }
    }

    /// Quantises more rows.
    pub(super) fn push(&mut self, rows: &[f32]) {
        let blocks = self.blocks();
        let (mut values, mut scales) = (vec![0; blocks * BLOCK], vec![0.0; blocks]);
        for row in rows.chunks_exact(self.columns) {
            let lane = self.rows % PANEL;
            if lane == 0 {
                self.values.grow(blocks * PANEL_BLOCK).fill(SHIFT);
                self.scales.resize(self.scales.len() + blocks * PANEL, 0.0);
            }
            quantise(row, self.columns, &mut values, &mut scales);
            let panel = self.rows / PANEL * blocks;
            let (fours, _) = values.as_chunks::<FOUR>();
            let places = self.values[panel * PANEL_BLOCK + lane * FOUR..].chunks_mut(PANEL * FOUR);
            for (place, four) in places.zip(fours) {
                for (place, value) in place.iter_mut().zip(four) {
                    *place = (*value as u8).wrapping_add(SHIFT);
                }
            }
            let places = self.scales[panel * PANEL + lane..]
                .iter_mut()
                .step_by(PANEL);
            for (place, scale) in places.zip(&scales) {
                *place = *scale;
            }
            self.rows += 1;
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the rows.
    pub(super) fn bytes(&self) -> usize {
        self.rows * self.blocks() * (BLOCK + size_of::<f32>())
    }

    /// Copies row `row` into `out`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        let (panel, lane) = (row / PANEL * self.blocks(), row % PANEL);
        let values = self.values[panel * PANEL_BLOCK + lane * FOUR..].chunks(PANEL * FOUR);
        for (four, (out, values)) in out.chunks_mut(FOUR).zip(values).enumerate() {
            let scale = self.scales[(panel + four * FOUR / BLOCK) * PANEL + lane];
            for (out, value) in out.iter_mut().zip(values) {
                *out = f32::from(value.wrapping_sub(SHIFT) as i8) * scale;
            }
        }
    }

    /// `outputs[n][r] = rows[r] · vectors[n]` for the rows `r` of `rows`,
    /// counted from its start, which begins a panel.
    ///
    /// A result does not depend on how many vectors there are.
    ///
    /// # Panics
    /// When `rows` begins within a panel or ends behind the last row, the vectors have
    /// another width, or `outputs` has fewer or another number of rows.
    pub(super) fn products(
        &self,
        rows: std::ops::Range<usize>,
        vectors: &Int8Vectors,
        outputs: Outputs<'_>,
    ) {
        self.products_on(*ISA, rows, vectors, outputs);
    }

    /// Blocks of a row.
    fn blocks(&self) -> usize {
        self.columns.div_ceil(BLOCK)
    }

    fn products_on(
        &self,
        isa: Isa,
        rows: std::ops::Range<usize>,
        vectors: &Int8Vectors,
        mut outputs: Outputs<'_>,
    ) {
        let blocks = self.blocks();
        assert_eq!(blocks, vectors.blocks, "vectors of another width");
        let (first, end) = (rows.start, rows.end);
        assert!(first.is_multiple_of(PANEL) && end <= self.rows);
        let count = vectors.count();
        assert!(count <= outputs.vectors() && rows.len() == outputs.rows());
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let (Isa::Amx, Some(tiles)) = (isa, &vectors.tiles) {
            return self.products_of_tiles(tiles, first..end, vectors, outputs);
        }
        let mut row = first;
        while row < end {
            let left = (end - row).div_ceil(PANEL);
            // One vector alone takes four panels, so that sums do not wait for each other.
            let panels = if count <= 2 && left >= 4 { 4 } else { 1 };
            let mut vector = 0;
            while vector < count {
                let mut write = |sums: &[[f32; PANEL]], panel: usize| {
                    for (n, sums) in sums.iter().enumerate() {
                        let from = row + panel * PANEL;
                        let wide = PANEL.min(end - from);
                        let outputs = outputs.of(vector + n, from - first, wide);
                        outputs.copy_from_slice(&sums[..wide]);
                    }
                };
                let at = Tile {
                    weights: self,
                    panel: row / PANEL,
                    vectors,
                    vector,
                };
                vector += match (panels, count - vector) {
                    (4, _) => {
                        let sums = at.sums::<4, 1>(isa);
                        (0..4).for_each(|panel| write(&sums[panel], panel));
                        1
                    }
                    (_, 12..) => {
                        write(&at.sums::<1, 12>(isa)[0], 0);
                        12
                    }
                    (_, 4..) => {
                        write(&at.sums::<1, 4>(isa)[0], 0);
                        4
                    }
                    _ => {
                        write(&at.sums::<1, 1>(isa)[0], 0);
                        1
                    }
                };
            }
            row += panels * PANEL;
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
impl Int8Rows {
    /// [`Self::products`] on the matrix unit.
    fn products_of_tiles(
        &self,
        tiles: &VectorTiles,
        rows: std::ops::Range<usize>,
        vectors: &Int8Vectors,
        outputs: Outputs<'_>,
    ) {
        let operands = |panel: usize, vector: usize, count: usize| {
            let at = Tile {
                weights: self,
                panel: rows.start / PANEL + panel,
                vectors,
                vector,
            };
            at.operands(1, count)
        };
        let size = (rows.len(), vectors.count());
        amx::int8::products(tiles, size, operands, outputs);
    }
}

/// Instruction sets with code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isa {
    /// Vnni, and the matrix unit for several vectors.
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// Those that this machine has, the best first.
fn available() -> Vec<Isa> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            #[cfg(target_os = "linux")]
            if amx::is_there() {
                sets.push(Isa::Amx);
            }
            sets.push(Isa::Vnni);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            sets.push(Isa::Avx2);
        }
    }
    sets.push(Isa::Portable);
    sets
}

static ISA: LazyLock<Isa> = LazyLock::new(|| available().first().copied().unwrap_or(Isa::Portable));

/// Panels from `panel` on by vectors from `vector` on.
struct Tile<'t> {
    weights: &'t Int8Rows,
    panel: usize,
    vectors: &'t Int8Vectors,
    vector: usize,
}

/// A tile's operands, each from its first block on: of weights a panel after the other, of
/// vectors one.
#[derive(Clone, Copy)]
pub(super) struct Operands<'t> {
    pub(super) weights: &'t [u8],
    pub(super) weight_scales: &'t [f32],
    vectors: &'t [i8],
    pub(super) vector_scales: &'t [f32],
    pub(super) corrections: &'t [i32],
    pub(super) blocks: usize,
}

impl<'t> Tile<'t> {
    /// Those of `panels` panels and `count` vectors.
    fn operands(&self, panels: usize, count: usize) -> Operands<'t> {
        let blocks = self.vectors.blocks;
        let (panel, vector) = (self.panel * blocks, self.vector * blocks);
        Operands {
            weights: &self.weights.values[panel * PANEL_BLOCK..][..panels * blocks * PANEL_BLOCK],
            weight_scales: &self.weights.scales[panel * PANEL..][..panels * blocks * PANEL],
            vectors: &self.vectors.values[vector * BLOCK..][..count * blocks * BLOCK],
            vector_scales: &self.vectors.scales[vector..][..count * blocks],
            corrections: &self.vectors.corrections[vector..][..count * blocks],
            blocks,
        }
    }

    /// The products of `P` panels with `N` vectors.
    fn sums<const P: usize, const N: usize>(&self, isa: Isa) -> [[[f32; PANEL]; N]; P] {
        let operands = self.operands(P, N);
        match isa {
            // SAFETY: `available` found it; the slices are as long as `blocks` says.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx | Isa::Vnni => unsafe { x86::vnni(operands) },
            // SAFETY: `available` found it; the slices are as long as `blocks` says.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::avx2(operands) },
            Isa::Portable => portable(operands),
        }
    }
}

fn portable<const P: usize, const N: usize>(all: Operands<'_>) -> [[[f32; PANEL]; N]; P] {
    let mut sums = [[[0.0; PANEL]; N]; P];
    for (p, sums) in sums.iter_mut().enumerate() {
        for (n, sums) in sums.iter_mut().enumerate() {
            for block in 0..all.blocks {
                let panel = p * all.blocks + block;
                let weights = &all.weights[panel * PANEL_BLOCK..][..PANEL_BLOCK];
                let vector = n * all.blocks + block;
                let input = &all.vectors[vector * BLOCK..][..BLOCK];
                let mut dots = [0_i32; PANEL];
                for (weights, input) in weights.chunks_exact(PANEL * FOUR).zip(input.chunks(FOUR)) {
                    for (dot, weights) in dots.iter_mut().zip(weights.chunks_exact(FOUR)) {
                        for (w, x) in weights.iter().zip(input) {
                            *dot += i32::from(w.wrapping_sub(SHIFT) as i8) * i32::from(*x);
                        }
                    }
                }
                let scales = &all.weight_scales[panel * PANEL..][..PANEL];
                for ((sum, dot), scale) in sums.iter_mut().zip(dots).zip(scales) {
                    *sum += dot as f32 * (scale * all.vector_scales[vector]);
                }
            }
        }
    }
    sums
}
