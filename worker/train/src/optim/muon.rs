//! Muon: the momentum of a matrix made orthogonal.
//!
//! Source: Jordan et al., *Muon: An optimizer for hidden layers in neural networks*
//! (2024); the scale that gives an update the size of AdamW's is that of Liu et al.,
//! *Muon is Scalable for LLM Training* (arXiv:2502.16982), eq. 4.

use burn::tensor::Tensor;

/// Coefficients of the quintic iteration, chosen for steepness at zero.
const QUINTIC: (f32, f32, f32) = (3.4445, -4.7750, 2.0315);
const ITERATIONS: usize = 5;
/// Of an update of AdamW, by which the scale is set.
const ROOT_MEAN_SQUARE: f64 = 0.2;
/// Smaller matrices are those at the ends of a model.
const LEAST_SIDE: usize = 96;
/// Longer ones are embeddings and modulations.
const MOST_RATIO: usize = 5;

/// Whether a parameter of `shape` is the matrix of a hidden layer.
pub fn is_hidden(shape: &[usize]) -> bool {
    let &[rows, columns] = shape else {
        return false;
    };
    let (short, long) = (rows.min(columns), rows.max(columns));
    short >= LEAST_SIDE && long <= MOST_RATIO * short
}

/// The update by a momentum `[rows, columns]`: its singular values are all brought near
/// to one by Newton-Schulz iterations, and its entries to a root mean square of 0.2.
pub fn direction(momentum: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = momentum.dims();
    let is_tall = rows > columns;
    let mut matrix = match is_tall {
        true => momentum.transpose(),
        false => momentum,
    };
    let norm = matrix.clone().square().sum().sqrt() + 1e-7;
    matrix = matrix / norm.reshape([1, 1]);
    let (a, b, c) = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = matrix.clone().matmul(matrix.clone().transpose());
        let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
        matrix = matrix.clone() * a + polynomial.matmul(matrix);
    }
    let scale = ROOT_MEAN_SQUARE * (rows.max(columns) as f64).sqrt();
    match is_tall {
        true => matrix.transpose() * scale,
        false => matrix * scale,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn the_update_is_nearly_orthogonal_and_of_the_size_of_adamws() {
        let device = Device::flex();
        for shape in [[96, 160], [160, 96], [128, 128]] {
            let momentum = Tensor::<2>::random(shape, Distribution::Normal(0.0, 1e-4), &device);
            let update = direction(momentum.clone());
            let mean_square: f32 = update.clone().square().mean().into_scalar();
            assert!((0.14..0.24).contains(&mean_square.sqrt()), "{mean_square}");
            // On the same side as the momentum.
            let along: f32 = (update.clone() * momentum).sum().into_scalar();
            assert!(along > 0.0);
            let scale = 0.2 * (shape[0].max(shape[1]) as f32).sqrt();
            let unit = update / scale;
            let gram = match shape[0] > shape[1] {
                true => unit.clone().transpose().matmul(unit),
                false => unit.clone().matmul(unit.transpose()),
            };
            let side = shape[0].min(shape[1]);
            let off = gram - Tensor::<2>::eye(side, &device);
            let error: f32 = off.square().sum().sqrt().into_scalar();
            // Of the identity's norm; a random matrix's is far above.
            assert!(error / (side as f32).sqrt() < 0.5, "{error}");
        }
    }

    #[test]
    fn ends_and_embeddings_of_a_model_are_not_hidden() {
        assert!(is_hidden(&[160, 640]));
        assert!(is_hidden(&[128, 128]));
        for shape in [
            &[160][..],
            &[64, 160],
            &[160, 960],
            &[1024, 128],
            &[3, 96, 96],
        ] {
            assert!(!is_hidden(shape), "{shape:?}");
        }
    }
}
