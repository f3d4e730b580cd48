//! Multipart forms: texts and files, each with its limit.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::HttpRequest;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::body::{self, PICTURES_LIMIT};
use crate::error::{ApiError, Result};

/// Most parts that a form may have.
const PARTS: usize = 64;
/// Largest text part.
const TEXT_LIMIT: usize = PICTURES_LIMIT;

/// What a form held, in order.
#[derive(Debug, Default)]
pub struct Form {
    pub texts: Vec<(String, Bytes)>,
    pub files: Vec<Bytes>,
}

impl Form {
    /// Reads a form whose files all have the field name `file_field` (or
    /// `file_field[]`) and whose texts have one of the names in `text_fields`.
    ///
    /// # Errors
    /// 413 for a file above `file_limit` or a form above [`PICTURES_LIMIT`],
    /// 422 for a field that is not known or too many files, 400 for a broken
    /// form.
    pub async fn read(
        request: &HttpRequest,
        payload: Payload,
        file_field: &str,
        text_fields: &[&str],
        file_limit: usize,
        files: usize,
    ) -> Result<Self> {
        body::check_length(request.headers(), PICTURES_LIMIT)?;
        let mut parts = Multipart::new(request.headers(), payload);
        let mut form = Self::default();
        let mut left = PICTURES_LIMIT;
        while let Some(part) = parts.next().await {
            let mut part = part.map_err(|error| broken(&error))?;
            let name = part.name().unwrap_or_default().to_owned();
            if form.texts.len() + form.files.len() >= PARTS {
                return Err(ApiError::InvalidMultipart(format!(
                    "more than {PARTS} parts"
                )));
            }
            if name.strip_suffix("[]").unwrap_or(&name) == file_field {
                let field = format!("{file_field}[{}]", form.files.len());
                if form.files.len() >= files {
                    return Err(ApiError::value(
                        field,
                        format!("at most {files} pictures are taken"),
                    ));
                }
                form.files
                    .push(collect(&mut part, &field, file_limit, &mut left).await?);
            } else if text_fields.contains(&name.as_str()) {
                let text = collect(&mut part, &name, TEXT_LIMIT, &mut left).await?;
                form.texts.push((name, text));
            } else {
                let name: String = name.chars().take(64).collect();
                let detail = format!(
                    "there is no field `{name}`: known are {file_field}, {}",
                    text_fields.join(", ")
                );
                return Err(ApiError::UnknownField {
                    field: name,
                    detail,
                });
            }
        }
        Ok(form)
    }

    /// The text of a field that may be given once.
    ///
    /// # Errors
    /// 422 if it is given twice.
    pub fn text(&self, name: &str) -> Result<Option<&Bytes>> {
        let mut found = self.texts.iter().filter(|(field, _)| field == name);
        let first = found.next().map(|(_, text)| text);
        match found.next() {
            None => Ok(first),
            Some(_) => Err(ApiError::value(name, "this field is given twice")),
        }
    }
}

async fn collect(part: &mut Field, field: &str, limit: usize, left: &mut usize) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if bytes.len() + chunk.len() > limit {
            return Err(ApiError::PayloadTooLarge {
                limit_bytes: limit,
                field: Some(field.to_owned()),
            });
        }
        *left = left
            .checked_sub(chunk.len())
            .ok_or_else(|| body::too_large(PICTURES_LIMIT))?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

pub(crate) fn broken(error: &MultipartError) -> ApiError {
    ApiError::InvalidMultipart(format!("the form could not be read: {error}"))
}
