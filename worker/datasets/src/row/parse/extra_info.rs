//! `extra_info`: what the reward needs.

use illumine_types::ToolKind;

use super::{At, take};
use crate::error::Result;
use crate::row::{ExtraInfo, ImageNum};
use crate::split::Split;
use crate::value::Value;

impl At<'_> {
    pub(super) fn extra_info(&self, value: Value) -> Result<ExtraInfo> {
        const REMEDY: &str = "write {\"split\", \"image_num\", \"tools\", \"question\"}";
        let mut fields = match value {
            Value::Struct(fields) => fields,
            Value::Null => return Err(self.refuse("extra_info", "is missing", REMEDY)),
            other => return Err(self.wrong("extra_info", &other, "a struct", REMEDY)),
        };
        for (name, _) in &fields {
            self.parser.admit(Some(self.number), "extra_info.", name)?;
        }
        let mut field = |name: &str| take(&mut fields, name);
        let split = self.text("extra_info.split", field("split"))?;
        let question = self.text("extra_info.question", field("question"))?;
        Ok(ExtraInfo {
            split: split.map(|word| self.split(&word)).transpose()?,
            image_num: self.image_num(field("image_num"))?,
            tools: self.tools(field("tools"))?,
            question: question.filter(|text| !text.trim().is_empty()),
            index: self.integer("extra_info.index", field("index"))?,
        })
    }

    fn split(&self, word: &str) -> Result<Split> {
        Split::parse(word).ok_or_else(|| {
            let reason = format!("{word:?} is no split");
            self.refuse("extra_info.split", reason, Split::WORDS)
        })
    }

    fn image_num(&self, value: Value) -> Result<ImageNum> {
        const FIELD: &str = "extra_info.image_num";
        let remedy = format!("use {}", ImageNum::DOMAIN);
        let number = self
            .integer(FIELD, value)?
            .ok_or_else(|| self.refuse(FIELD, "is missing", &remedy))?;
        ImageNum::parse(number)
            .ok_or_else(|| self.refuse(FIELD, format!("{number} is out of range"), &remedy))
    }

    fn tools(&self, value: Value) -> Result<Vec<ToolKind>> {
        const FIELD: &str = "extra_info.tools";
        let words: Vec<String> = match value {
            Value::Text(words) => words
                .split(',')
                .map(|word| word.trim().to_owned())
                .collect(),
            Value::List(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::Text(word) => Ok(word),
                    other => Err(self.wrong(FIELD, &other, "a tool's name", &tool_names())),
                })
                .collect::<Result<_>>()?,
            Value::Null => return Err(self.refuse(FIELD, "is missing", tool_names())),
            other => return Err(self.wrong(FIELD, &other, "a list of names", &tool_names())),
        };
        let mut tools = Vec::new();
        for word in words.iter().filter(|word| !word.is_empty()) {
            let tool = ToolKind::parse(word)
                .ok_or_else(|| self.refuse(FIELD, format!("{word:?} is no tool"), tool_names()))?;
            tools.push(tool);
        }
        tools.sort_unstable();
        tools.dedup();
        Ok(tools)
    }
}

fn tool_names() -> String {
    let words = ToolKind::ALL.map(ToolKind::as_str).join(", ");
    format!("use a list of {words}; an empty one for none")
}
