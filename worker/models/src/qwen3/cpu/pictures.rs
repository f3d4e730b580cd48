//! Vectors that stand in the places of a prompt's tokens.

use super::rotation::Place;
use crate::error::{ModelError, Result};

/// A prompt's pictures, as the decoder reads them.
#[derive(Clone, Debug, Default)]
pub struct PromptPictures {
    /// The rotary position of each token of the prompt.
    pub places: Vec<Place>,
    /// For each token of the prompt, the row of [`Self::vectors`] that stands there.
    pub rows: Vec<Option<usize>>,
    /// `[rows, hidden]`.
    pub vectors: Vec<f32>,
}

impl PromptPictures {
    /// The vector in the place of token `position`, where there is one.
    ///
    /// # Errors
    /// [`ModelError::Request`] when the vectors are fewer than the places.
    pub(super) fn vector(&self, position: usize, hidden: usize) -> Result<Option<&[f32]>> {
        let Some(row) = self.rows.get(position).copied().flatten() else {
            return Ok(None);
        };
        let vector = self.vectors.get(row * hidden..(row + 1) * hidden);
        match vector {
            Some(vector) => Ok(Some(vector)),
            None => Err(ModelError::Request {
                field: "pictures",
                reason: format!("have no vector {row}"),
            }),
        }
    }
}
