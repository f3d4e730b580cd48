//! Where examples come from. Example number `index` is a function of the source
//! and the index, so a run's place in its data is one number.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::corpus::{Corpus, Example, Rng, Stage, form};
use crate::error::{Result, TrainError};
use crate::tokenizer::chat::{Encoded, encode_example};

/// An endless stream of encoded examples with random access.
pub trait ExampleSource {
    /// Example number `index`; `progress` (0 to 1) is how much of the run is over.
    ///
    /// # Errors
    /// [`TrainError::Tokenizer`].
    fn example(&self, index: u64, progress: f64) -> Result<Encoded>;
}

/// The demo corpus with its curriculum.
#[derive(Debug)]
pub struct CorpusSource {
    /// The generator.
    pub corpus: Corpus,
    /// For its text.
    pub tokenizer: Tokenizer,
    /// The share of the run that learns beginnings only.
    pub beginnings_share: f64,
}

impl ExampleSource for CorpusSource {
    fn example(&self, index: u64, progress: f64) -> Result<Encoded> {
        let stage = if progress < self.beginnings_share {
            Stage::Beginnings
        } else {
            Stage::Full
        };
        encode_example(&self.tokenizer, &self.corpus.example(index, stage))
    }
}

/// Prompts of the datasets' kind with [answers of any choice](form).
#[derive(Debug)]
pub struct FormSource {
    /// Of prompts and answers.
    pub seed: u64,
    /// For their text.
    pub tokenizer: Tokenizer,
}

impl ExampleSource for FormSource {
    fn example(&self, index: u64, _progress: f64) -> Result<Encoded> {
        encode_example(&self.tokenizer, &form::example(self.seed, index))
    }
}

/// A JSONL file, shuffled anew each epoch.
#[derive(Debug)]
pub struct JsonlSource {
    examples: Vec<Encoded>,
    seed: u64,
    /// Of the epoch that was asked for last.
    order: Mutex<Option<Order>>,
}

impl JsonlSource {
    /// Reads lines of `{"prompt": …, "answer": …}` or `{"messages": [{"role":
    /// "user", "content": …}, {"role": "assistant", "content": …}]}`. A system
    /// message may come first and is left out, as in the demo chat format. Empty
    /// lines are skipped.
    ///
    /// # Errors
    /// [`TrainError::Dataset`] names line and field; [`TrainError::EmptyDataset`].
    pub fn open(path: &Path, tokenizer: &Tokenizer, seed: u64) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(|error| TrainError::io(path, error))?;
        let mut examples = Vec::new();
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|error| TrainError::io(path, error))?;
            if line.trim().is_empty() {
                continue;
            }
            let at = Place {
                path,
                line: index + 1,
            };
            examples.push(encode_example(tokenizer, &at.parse(&line)?)?);
        }
        if examples.is_empty() {
            let path = PathBuf::from(path);
            return Err(TrainError::EmptyDataset { path });
        }
        Ok(Self {
            examples,
            seed,
            order: Mutex::default(),
        })
    }

    /// Number of examples in the file.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Never: an empty file is refused.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }
}

impl ExampleSource for JsonlSource {
    fn example(&self, index: u64, _progress: f64) -> Result<Encoded> {
        let count = self.examples.len() as u64;
        let (epoch, place) = (index / count, (index % count) as usize);
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if order.as_ref().is_none_or(|order| order.epoch != epoch) {
            let mut examples: Vec<usize> = (0..self.examples.len()).collect();
            Rng::new(self.seed, epoch).shuffle(&mut examples);
            *order = Some(Order { epoch, examples });
        }
        let example = order.as_ref().map_or(place, |order| order.examples[place]);
        Ok(self.examples[example].clone())
    }
}

/// The order of one epoch.
#[derive(Debug)]
struct Order {
    epoch: u64,
    examples: Vec<usize>,
}

/// A line of a file, for errors.
struct Place<'a> {
    path: &'a Path,
    line: usize,
}

impl Place<'_> {
    fn refuse(&self, field: &str, reason: impl ToString) -> TrainError {
        TrainError::Dataset {
            path: self.path.to_owned(),
            line: self.line,
            field: field.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn parse(&self, line: &str) -> Result<Example> {
        let row: Value = serde_json::from_str(line).map_err(|error| self.refuse("", error))?;
        let (prompt, answer) = match row.get("messages") {
            Some(messages) => self.turns(messages)?,
            None => (
                self.text(&row, "prompt", "prompt")?,
                self.text(&row, "answer", "answer")?,
            ),
        };
        Ok(Example {
            prompt,
            inputs: 0,
            answer,
            partial: false,
        })
    }

    fn turns(&self, messages: &Value) -> Result<(String, String)> {
        let all = messages
            .as_array()
            .ok_or_else(|| self.refuse("messages", "is not a list"))?;
        let role = |message: &Value| {
            message
                .get("role")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let skipped = usize::from(all.first().and_then(role).as_deref() == Some("system"));
        let turns = &all[skipped..];
        let roles: Vec<Option<String>> = turns.iter().map(role).collect();
        match roles.iter().map(Option::as_deref).collect::<Vec<_>>()[..] {
            [Some("user"), Some("assistant")] => Ok((
                self.text(&turns[0], "content", "messages[user].content")?,
                self.text(&turns[1], "content", "messages[assistant].content")?,
            )),
            _ => Err(self.refuse("messages", "must be one user turn and one assistant turn")),
        }
    }

    fn text(&self, row: &Value, key: &str, name: &str) -> Result<String> {
        match row.get(key) {
            None => Err(self.refuse(name, "is missing")),
            Some(Value::String(text)) if text.trim().is_empty() => {
                Err(self.refuse(name, "is empty"))
            }
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.refuse(name, "is not a string")),
        }
    }
}
