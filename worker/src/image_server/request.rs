//! Bodies of requests, field by field.

use serde_json::{Map, Value};

use super::ApiError;

/// Pictures of one request at most.
const MOST_PICTURES: u64 = 4;

/// What both endpoints read.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    pub prompt: String,
    pub negative_prompt: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub steps: Option<usize>,
    pub guidance: Option<f32>,
    pub count: u64,
    pub seed: Option<u64>,
    /// In base64, perhaps as data URLs.
    pub pictures: Vec<String>,
}

impl Body {
    /// Reads a body. Fields that are not known are passed over, as the original does.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn read(bytes: &[u8], edits: bool) -> Result<Self, ApiError> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| ApiError::field("body", format!("is not JSON: {error}")))?;
        let Value::Object(fields) = value else {
            return Err(ApiError::field("body", "a JSON object is needed"));
        };
        let number = |name: &str| positive(&fields, name);
        let count = number("num_images_per_prompt")?.unwrap_or(1);
        if count > MOST_PICTURES {
            let message =
                format!("num_images_per_prompt is {count}; 1 to {MOST_PICTURES} is possible");
            return Err(ApiError::field("num_images_per_prompt", message));
        }
        let side = |name: &str| -> Result<Option<u32>, ApiError> {
            let large = |_| ApiError::field(name, format!("{name} is too large"));
            number(name)?
                .map(|side| u32::try_from(side).map_err(large))
                .transpose()
        };
        let steps = number("num_inference_steps")?.map(|steps| steps as usize);
        Ok(Self {
            prompt: text(&fields, "prompt")?
                .ok_or_else(|| ApiError::field("prompt", "prompt is missing; say what to draw"))?,
            negative_prompt: text(&fields, "negative_prompt")?,
            width: side("width")?,
            height: side("height")?,
            steps,
            guidance: guidance(&fields)?,
            count,
            seed: whole(&fields, "seed")?,
            pictures: if edits {
                pictures(&fields)?
            } else {
                Vec::new()
            },
        })
    }
}

fn field<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, ApiError> {
    match field(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::field(name, format!("{name} has to be a text"))),
    }
}

fn whole(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, ApiError> {
    match field(fields, name) {
        None => Ok(None),
        Some(value) => {
            let message = format!("{name} has to be a whole number from 0 on");
            let number = value
                .as_u64()
                .ok_or_else(|| ApiError::field(name, message))?;
            Ok(Some(number))
        }
    }
}

fn positive(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, ApiError> {
    match whole(fields, name)? {
        Some(0) => Err(ApiError::field(name, format!("{name} has to be above 0"))),
        number => Ok(number),
    }
}

/// `guidance_scale`, or `true_cfg_scale` as `diffusers` calls it.
fn guidance(fields: &Map<String, Value>) -> Result<Option<f32>, ApiError> {
    for name in ["true_cfg_scale", "guidance_scale"] {
        if let Some(value) = field(fields, name) {
            let message = format!("{name} has to be a number from 0 on");
            let number = value.as_f64().filter(|number| *number >= 0.0);
            let number = number.ok_or_else(|| ApiError::field(name, message))?;
            return Ok(Some(number as f32));
        }
    }
    Ok(None)
}

/// `image_b64`: one, or a list where the model takes several.
fn pictures(fields: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let wrong = || ApiError::field("image_b64", "image_b64 has to be a picture in base64");
    match field(fields, "image_b64") {
        Some(Value::String(one)) if !one.is_empty() => Ok(vec![one.clone()]),
        Some(Value::Array(several)) if !several.is_empty() => several
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str, edits: bool) -> String {
        format!("{:?}", Body::read(body.as_bytes(), edits).unwrap_err())
    }

    #[test]
    fn a_body_is_read_field_by_field() {
        let body = Body::read(
            br#"{"prompt": "a tree", "width": 64, "num_inference_steps": 7, "guidance_scale": 2,
                "num_images_per_prompt": 3, "seed": 5, "height": null, "other": 1}"#,
            false,
        );
        let body = body.unwrap();
        assert_eq!(
            (body.prompt.as_str(), body.width, body.height),
            ("a tree", Some(64), None)
        );
        assert_eq!((body.steps, body.guidance), (Some(7), Some(2.0)));
        assert_eq!((body.count, body.seed), (3, Some(5)));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_field() {
        for (body, field) in [
            ("[]", "body"),
            ("{", "body"),
            ("{}", "prompt"),
            (r#"{"prompt": 3}"#, "prompt"),
            (r#"{"prompt": "a", "width": -4}"#, "width"),
            (r#"{"prompt": "a", "height": 0}"#, "height"),
            (r#"{"prompt": "a", "width": 99999999999}"#, "width"),
            (
                r#"{"prompt": "a", "num_inference_steps": 0}"#,
                "num_inference_steps",
            ),
            (
                r#"{"prompt": "a", "guidance_scale": "much"}"#,
                "guidance_scale",
            ),
            (
                r#"{"prompt": "a", "num_images_per_prompt": 5}"#,
                "num_images_per_prompt",
            ),
            (r#"{"prompt": "a", "seed": 1.5}"#, "seed"),
        ] {
            assert!(refused(body, false).contains(field), "{body}");
        }
        for body in [
            r#"{"prompt": "a"}"#,
            r#"{"prompt": "a", "image_b64": ""}"#,
            r#"{"prompt": "a", "image_b64": [3]}"#,
        ] {
            assert!(refused(body, true).contains("image_b64"), "{body}");
        }
    }
}
