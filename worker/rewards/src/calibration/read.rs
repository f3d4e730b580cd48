//! Reading a file of labels.

use std::fs;
use std::path::Path;

use illumine_agent::policy::ChatImage;
use illumine_guard::picture::PictureKind;
use serde_json::{Map, Value};

use crate::error::{Result, RewardError};
use crate::reward::{LlmScores, MllmScores};
use crate::sample::{Failure, Outcome, Requirement, Sample, valid_calls};

/// A line of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Counted from 1.
    pub line: usize,
    pub sample: Sample,
    pub labels: Labels,
}

/// What people say of a sample; at least one of both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Labels {
    pub llm: Option<LlmScores>,
    pub mllm: Option<MllmScores>,
}

const LLM: [&str; 2] = ["text", "image"];
const MLLM: [&str; 3] = ["image_quality", "task_relevance", "text_image_relevance"];

/// Reads a file of labels and the pictures that it names; blocks while it does.
/// Empty lines are passed over.
///
/// # Errors
/// [`RewardError::Io`] for the file itself; [`RewardError::Label`] with the line
/// and the field at fault.
pub fn read_labels(path: &Path) -> Result<Vec<Labelled>> {
    let text = fs::read_to_string(path).map_err(|source| RewardError::Io {
        path: path.to_owned(),
        source,
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let number = index + 1;
            read_line(number, line, folder).map_err(|fault| RewardError::Label {
                path: path.to_owned(),
                line: number,
                field: fault.field,
                reason: fault.reason,
            })
        })
        .collect()
}

struct Fault {
    field: String,
    reason: String,
}

fn fault<T>(field: impl Into<String>, reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        field: field.into(),
        reason: reason.into(),
    })
}

fn read_line(number: usize, line: &str, folder: &Path) -> Result<Labelled, Fault> {
    let object: Map<String, Value> = match serde_json::from_str(line) {
        Ok(object) => object,
        Err(error) => return fault("line", format!("is no JSON object: {error}")),
    };
    let known = ["question", "answer", "images", "labels"];
    if let Some(field) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return fault(
            field,
            format!("is not known; known are {}", known.join(", ")),
        );
    }
    let labels = labels(&object)?;
    let answer = text(&object, "answer")?;
    let question = text(&object, "question")?;
    let images = images(&object, folder)?;
    let sample = |outcomes| {
        let id = format!("line {number}");
        Sample::from_answer(
            id,
            question,
            vec![],
            answer,
            outcomes,
            Requirement::default(),
        )
    };
    let read = match images {
        Some(outcomes) => sample(outcomes),
        None if labels.mllm.is_some() => {
            return fault("images", "is needed for the labels of a judge of pictures");
        }
        // The text's judge does not ask what came of the calls.
        None => sample(vec![not_labelled(); valid_calls(answer, 0)]),
    };
    match read {
        Ok(sample) => Ok(Labelled {
            line: number,
            sample,
            labels,
        }),
        Err(error) => fault("images", error.to_string()),
    }
}

fn not_labelled() -> Outcome {
    Err(Failure::new(
        "nothing_found",
        "The labels say nothing of pictures.",
    ))
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Result<&'a str, Fault> {
    match object.get(field) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => fault(field, "must be a text"),
        None => fault(field, "is missing"),
    }
}

fn images(object: &Map<String, Value>, folder: &Path) -> Result<Option<Vec<Outcome>>, Fault> {
    let images = match object.get("images") {
        None => return Ok(None),
        Some(Value::Array(images)) => images,
        Some(_) => return fault("images", "must be a list of file names and nulls"),
    };
    let mut outcomes = Vec::with_capacity(images.len());
    for (index, image) in images.iter().enumerate() {
        let field = format!("images[{index}]");
        outcomes.push(match image {
            Value::Null => Err(Failure::new(
                "nothing_found",
                "The label's file has no picture.",
            )),
            Value::String(name) => Ok(picture(&field, &folder.join(name))?),
            _ => return fault(field, "must be a file name or null"),
        });
    }
    Ok(Some(outcomes))
}

fn picture(field: &str, path: &Path) -> Result<ChatImage, Fault> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return fault(field, format!("{}: {error}", path.display())),
    };
    // By content; names lie.
    let Some(kind) = PictureKind::of(&bytes) else {
        return fault(field, format!("{}: is no picture", path.display()));
    };
    Ok(ChatImage {
        bytes: bytes.into(),
        mime: kind.mime().to_owned(),
    })
}

fn labels(object: &Map<String, Value>) -> Result<Labels, Fault> {
    let labels = match object.get("labels") {
        Some(Value::Object(labels)) => labels,
        Some(_) => return fault("labels", "must be an object"),
        None => return fault("labels", "is missing"),
    };
    let known = |key: &&String| !LLM.contains(&key.as_str()) && !MLLM.contains(&key.as_str());
    if let Some(key) = labels.keys().find(known) {
        return fault(format!("labels.{key}"), "is no score of a judge");
    }
    let llm = grades(labels, LLM)?.map(|[text, image]| LlmScores { text, image });
    let mllm =
        grades(labels, MLLM)?.map(|[image_quality, task_relevance, text_image_relevance]| {
            MllmScores {
                image_quality,
                task_relevance,
                text_image_relevance,
            }
        });
    if llm.is_none() && mllm.is_none() {
        return fault("labels", "is empty");
    }
    Ok(Labels { llm, mllm })
}

/// All of a judge's labels, or none of them.
fn grades<const N: usize>(
    labels: &Map<String, Value>,
    names: [&str; N],
) -> Result<Option<[f64; N]>, Fault> {
    if !names.iter().any(|name| labels.contains_key(*name)) {
        return Ok(None);
    }
    let mut grades = [0.0; N];
    for (grade, name) in grades.iter_mut().zip(names) {
        let field = format!("labels.{name}");
        match labels.get(name).map(Value::as_f64) {
            Some(Some(value)) if (1.0..=5.0).contains(&value) => *grade = value,
            Some(_) => return fault(field, "must be a number from 1 to 5"),
            None => return fault(field, "is missing"),
        }
    }
    Ok(Some(grades))
}
