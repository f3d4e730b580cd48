//! A request's pictures: fetched, decoded, checked, and only then stored, so
//! that what is queued names stored inputs alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use illumine_store::blobs::Blobs;
use illumine_types::BlobKey;
use illumine_types::api::InputImage;

use crate::error::{ApiError, Result};
use crate::pictures::Picture;
use crate::state::State;

/// A picture that is fit to be used.
enum Checked {
    Stored(BlobKey),
    New(Picture),
}

/// Replaces every picture by the id of a stored input, in
/// order, files last. Nothing is stored unless all are fit.
///
/// # Errors
/// 422 naming the picture, e.g. `images[1].url`.
pub async fn resolve(
    state: &State,
    images: &mut Vec<InputImage>,
    files: Vec<Bytes>,
) -> Result<Vec<BlobKey>> {
    let mut checked = Vec::with_capacity(images.len() + files.len());
    for (index, image) in images.iter().enumerate() {
        checked.push(check(state, index, image).await?);
    }
    for file in files {
        let field = format!("images[{}]", checked.len());
        checked.push(Checked::New(state.pictures.inspect(file, &field).await?));
    }
    let mut keys = Vec::with_capacity(checked.len());
    for picture in checked {
        let key = match picture {
            Checked::Stored(key) => key,
            Checked::New(picture) => state.pictures.store(&state.store, picture).await?.id,
        };
        keys.push(key);
    }
    *images = keys.iter().cloned().map(InputImage::InputId).collect();
    Ok(keys)
}

async fn check(state: &State, index: usize, image: &InputImage) -> Result<Checked> {
    match image {
        InputImage::InputId(key) => {
            let field = format!("images[{index}].input_id");
            let stored = state.store.blobs().head(&Blobs::input_key(key)).await?;
            match stored {
                Some(_) => Ok(Checked::Stored(key.clone())),
                None => Err(ApiError::value(
                    field,
                    "no picture with this id was uploaded",
                )),
            }
        }
        InputImage::Url(url) => {
            let field = format!("images[{index}].url");
            let picture = state.pictures.fetch(url, &field).await?;
            Ok(Checked::New(picture))
        }
        InputImage::Base64(text) => {
            let field = format!("images[{index}].base64");
            let bytes = decode(text, &field, state.limits.image_bytes)?;
            Ok(Checked::New(state.pictures.inspect(bytes, &field).await?))
        }
    }
}

/// Plain base64, or a `data:` URL of it.
fn decode(text: &str, field: &str, limit: usize) -> Result<Bytes> {
    let encoded = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").map(|(_, encoded)| encoded),
        None => Some(text),
    };
    let invalid = || ApiError::value(field, "expected base64, or a data: URL with `;base64,`");
    let encoded = encoded.ok_or_else(invalid)?.trim();
    if encoded.len() / 4 * 3 > limit + 3 {
        return Err(ApiError::InvalidImage {
            field: field.to_owned(),
            detail: format!("a picture may have at most {limit} bytes"),
        });
    }
    STANDARD
        .decode(encoded)
        .map(Bytes::from)
        .map_err(|_| invalid())
}
