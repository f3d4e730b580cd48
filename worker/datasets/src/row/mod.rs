//! The typed row. What a file holds is turned into it by `parse`, which refuses
//! whatever a training run would stumble over later.

mod image_num;
pub(crate) mod parse;
mod picture;
mod prompt;

use illumine_types::ToolKind;

pub use image_num::ImageNum;
pub use picture::{Picture, PictureCheck};
pub use prompt::{Message, Prompt, Role, SystemMessage};

use crate::split::Split;

/// The columns, in the order in which they are written.
pub const COLUMNS: [&str; 4] = ["prompt", "images", "data_source", "extra_info"];
/// The fields of `extra_info`, in the order in which they are written.
pub const EXTRA_INFO: [&str; 5] = ["split", "image_num", "tools", "question", "index"];

/// One prompt with what its answer is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What the policy is asked.
    pub prompt: Prompt,
    /// Pictures that come with the prompt, in the order that tags count them.
    pub images: Vec<Picture>,
    /// Where the row comes from; empty when the file does not say.
    pub data_source: String,
    /// What the reward needs.
    pub extra_info: ExtraInfo,
}

/// What the reward needs to know about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraInfo {
    /// The file's own split, if it has one.
    pub split: Option<Split>,
    /// How many pictures the answer must have.
    pub image_num: ImageNum,
    /// The tools that suit the prompt, each once, in the order of [`ToolKind::ALL`].
    pub tools: Vec<ToolKind>,
    /// What judges read as the question, where it is not the prompt itself.
    pub question: Option<String>,
    /// The row's number in its source.
    pub index: Option<i64>,
}

impl Row {
    /// What a judge reads: `extra_info.question`, or the prompt's last user message.
    #[must_use]
    pub fn question(&self) -> &str {
        match &self.extra_info.question {
            Some(question) => question,
            None => self.prompt.user_text(),
        }
    }

    /// The tools as one word, `search+code`, or `none`.
    #[must_use]
    pub fn tool_set(&self) -> String {
        if self.extra_info.tools.is_empty() {
            return "none".to_owned();
        }
        let words: Vec<&str> = self.extra_info.tools.iter().map(|t| t.as_str()).collect();
        words.join("+")
    }
}
