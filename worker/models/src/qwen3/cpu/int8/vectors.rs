//! Vectors in eight bits.

use rayon::prelude::*;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::super::amx::int8::{MANY, VectorTiles};
use super::{BLOCK, SHIFT};
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::{ISA, Isa};
use crate::rows::{fold, on_best, sum};

/// Vectors that a thread quantises at least: fewer are done before another is awake.
const VECTORS: usize = 8;

/// Some vectors, and what is made of them: values, scales and corrections.
type Part<'p> = (((&'p [f32], &'p mut [i8]), &'p mut [f32]), &'p mut [i32]);

/// Input vectors, quantised for the product, row by row.
#[derive(Clone, Debug)]
pub(in super::super) struct Int8Vectors {
    pub(super) values: Vec<i8>,
    /// One a block.
    pub(super) scales: Vec<f32>,
    /// For each block what [`SHIFT`] adds to its sums, negated.
    pub(super) corrections: Vec<i32>,
    pub(super) blocks: usize,
    /// For the matrix unit, where it takes them.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    pub(super) tiles: Option<VectorTiles>,
}

impl Int8Vectors {
    /// Quantises vectors of `columns` numbers, one after the other.
    pub(in super::super) fn new(vectors: &[f32], columns: usize) -> Self {
        let blocks = columns.div_ceil(BLOCK);
        let count = vectors.len() / columns;
        let mut values = vec![0; count * blocks * BLOCK];
        let mut scales = vec![0.0; count * blocks];
        let mut corrections = vec![0; count * blocks];
        let parts = vectors
            .par_chunks(VECTORS * columns)
            .zip(values.par_chunks_mut(VECTORS * blocks * BLOCK))
            .zip(scales.par_chunks_mut(VECTORS * blocks))
            .zip(corrections.par_chunks_mut(VECTORS * blocks));
        let quantise = |(((vectors, values), scales), corrections): Part<'_>| {
            quantise(vectors, columns, values, scales);
            correct(values, corrections);
        };
        match count <= VECTORS {
            true => quantise((((vectors, &mut values), &mut scales), &mut corrections)),
            false => parts.for_each(quantise),
        }
        Self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            tiles: (*ISA == Isa::Amx && count >= MANY).then(|| VectorTiles::new(&values, blocks)),
            values,
            scales,
            corrections,
            blocks,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.scales.len() / self.blocks
    }
}

on_best! {
    /// What the shift of the weights adds to each block's sums, negated.
    pub(super) fn correct(values: &[i8], corrections: &mut [i32]) {
        let (blocks, _) = values.as_chunks::<BLOCK>();
        for (correction, block) in corrections.iter_mut().zip(blocks) {
            let sum: i32 = block.iter().map(|&value| i32::from(value)).sum();
            *correction = -i32::from(SHIFT) * sum;
        }
    }
}

on_best! {
    /// Rounds rows of `columns` numbers to blocks of `values` and their `scales`; what a
    /// block has no number for is zero. A number that is not finite makes its block's scale
    /// not a number.
    pub(super) fn quantise(rows: &[f32], columns: usize, values: &mut [i8], scales: &mut [f32]) {
        // Adding this rounds a small number to an integer, to nearest even, and
        // leaves it in the low bits: `round` would be a slow library call.
        const ROUND: f32 = 12_582_912.0;
        let blocks = rows
            .chunks_exact(columns)
            .flat_map(|row| row.chunks(BLOCK));
        let (places, _) = values.as_chunks_mut::<BLOCK>();
        for ((block, values), to) in blocks.zip(places).zip(scales) {
            let mut source = [0.0_f32; BLOCK];
            source[..block.len()].copy_from_slice(block);
            let mut most = [0.0_f32; 16];
            for lanes in source.as_chunks::<16>().0 {
                for (most, x) in most.iter_mut().zip(lanes) {
                    *most = if x.abs() > *most { x.abs() } else { *most };
                }
            }
            let largest = fold(most, |a, b| if b > a { b } else { a });
            let scale = largest / 127.0 + sum(&source, |x| x * 0.0);
            let inverse = if scale > 0.0 { 127.0 / largest } else { 0.0 };
            for (value, x) in values.iter_mut().zip(&source) {
                *value = (x * inverse + ROUND).to_bits() as i8;
            }
            *to = scale;
        }
    }
}
