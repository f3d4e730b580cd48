//! Chat templates: the Jinja text that turns messages into a prompt.
//!
//! They are written for Python's Jinja2 as `transformers` sets it up
//! (`transformers/utils/chat_template_utils.py`): Python's string methods,
//! `tojson`, `raise_exception`, trimmed blocks.

use std::path::Path;

use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::load::{read_if_there, read_json_if_there};

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's answer.
    Tool,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who wrote it.
    pub role: Role,
    /// Its text.
    pub content: String,
}

impl ChatMessage {
    /// A message.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// A compiled chat template with the special tokens it may mention.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: Option<String>,
    eos_token: Option<String>,
}

const NAME: &str = "chat_template";

/// The fields of `tokenizer_config.json` that templates need, and of `chat_template.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    chat_template: Option<TemplateField>,
    bos_token: Option<SpecialToken>,
    eos_token: Option<SpecialToken>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TemplateField {
    One(String),
    Named(Vec<NamedTemplate>),
}

impl TemplateField {
    fn into_source(self) -> Option<String> {
        match self {
            Self::One(source) => Some(source),
            Self::Named(templates) => templates
                .into_iter()
                .find(|named| named.name == "default")
                .map(|named| named.template),
        }
    }
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialToken {
    Plain(String),
    Object { content: String },
}

impl SpecialToken {
    fn into_text(self) -> String {
        match self {
            Self::Plain(text) | Self::Object { content: text } => text,
        }
    }
}

impl ChatTemplate {
    /// The template of a model folder: `chat_template.jinja`, else `chat_template.json`,
    /// which older processors of pictures have, else the field of
    /// `tokenizer_config.json`. None when it has none of them.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] and [`ModelError::ChatTemplate`] (syntax).
    pub fn from_folder(dir: &Path) -> Result<Option<Self>> {
        let config: TokenizerConfig =
            read_json_if_there(&dir.join("tokenizer_config.json"))?.unwrap_or_default();
        let source = match read_if_there(&dir.join("chat_template.jinja"))? {
            Some(source) => Some(source),
            None => {
                let of_processor: Option<TokenizerConfig> =
                    read_json_if_there(&dir.join("chat_template.json"))?;
                let field = of_processor.and_then(|file| file.chat_template);
                let field = field.or(config.chat_template);
                field.and_then(TemplateField::into_source)
            }
        };
        let Some(source) = source else {
            return Ok(None);
        };
        let bos_token = config.bos_token.map(SpecialToken::into_text);
        let eos_token = config.eos_token.map(SpecialToken::into_text);
        Self::new(source, bos_token, eos_token).map(Some)
    }

    /// Compiles `source`.
    ///
    /// # Errors
    /// [`ModelError::ChatTemplate`] for a syntax error, with its line.
    pub fn new(
        source: String,
        bos_token: Option<String>,
        eos_token: Option<String>,
    ) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", super::python_json::tojson);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned(NAME, unmarked(&source))
            .map_err(template_error)?;
        Ok(Self {
            environment,
            bos_token,
            eos_token,
        })
    }

    /// The prompt for `messages`. With `add_generation_prompt` it ends where the
    /// assistant's answer begins. Thinking is switched off for models that ask.
    ///
    /// # Errors
    /// [`ModelError::ChatTemplate`] with the reason, such as a function that the
    /// template calls and nobody defined.
    pub fn render(&self, messages: &[ChatMessage], add_generation_prompt: bool) -> Result<String> {
        self.render_any(messages, add_generation_prompt)
    }

    /// [`Self::render`] of messages of another shape, such as with pictures.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_any(
        &self,
        messages: &[impl Serialize],
        add_generation_prompt: bool,
    ) -> Result<String> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(template_error)?;
        template
            .render(context! {
                messages,
                add_generation_prompt,
                enable_thinking => false,
                bos_token => self.bos_token,
                eos_token => self.eos_token,
            })
            .map_err(template_error)
    }
}

fn template_error(error: Error) -> ModelError {
    // The chain holds the detail: `raise_exception`'s words, the line.
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    ModelError::ChatTemplate(text)
}

/// `source` without the meaning of `{% generation %}`, with which training marks what the
/// assistant wrote (`AssistantTracker` in `transformers`); the text within stays.
fn unmarked(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, tag)) = rest.split_once("{%") {
        let Some((tag, after)) = tag.split_once("%}") else {
            break;
        };
        // Signs that trim the spaces around stay.
        let word = tag.trim_matches(['-', '+']).trim();
        let plain = match word {
            "generation" => tag.replacen(word, "if true", 1),
            "endgeneration" => tag.replacen(word, "endif", 1),
            _ => tag.to_owned(),
        };
        for part in [before, "{%", &plain, "%}"] {
            out.push_str(part);
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{%- for message in messages %}\n\
        {{- '<|im_start|>' + message.role + '\\n' + message['content'].strip() + '<|im_end|>\\n' }}\n\
        {%- endfor %}\n\
        {%- if add_generation_prompt %}\n{{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n";

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source.to_owned(), None, Some("<|im_end|>".to_owned())).unwrap()
    }

    #[test]
    fn chatml_with_a_python_method() {
        let messages = [
            ChatMessage::new(Role::System, "Be brief."),
            ChatMessage::new(Role::User, "  Hi <b>  "),
        ];
        let prompt = template(CHATML).render(&messages, true).unwrap();
        assert_eq!(
            prompt,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi <b><|im_end|>\n\
             <|im_start|>assistant\n"
        );
    }

    #[test]
    fn loops_break_and_marks_of_training_are_read_over() {
        let source = "{% for i in [1, 2, 3] %}{% if i == 3 %}{% break %}{% endif %}\
                      {%- generation -%} {{ i }} {%- endgeneration %}.{% endfor %} {% generation";
        let error = ChatTemplate::new(source.to_owned(), None, None).unwrap_err();
        assert_eq!(error.code(), "model_chat_template");
        let whole = source.trim_end_matches(" {% generation");
        assert_eq!(template(whole).render(&[], false).unwrap(), "1.2.");
    }

    #[test]
    fn special_tokens_are_at_hand() {
        let text = template("{{ eos_token }}").render(&[], false).unwrap();
        assert_eq!(text, "<|im_end|>");
    }

    #[test]
    fn an_undefined_function_is_named() {
        let error = template("{{ summon_dragon() }}")
            .render(&[], false)
            .unwrap_err();
        assert_eq!(error.code(), "model_chat_template");
        assert!(error.to_string().contains("summon_dragon"), "{error}");
    }

    #[test]
    fn the_templates_own_complaint_is_passed_on() {
        let error = template("{{ raise_exception('no tools, please') }}")
            .render(&[], false)
            .unwrap_err();
        assert!(error.to_string().contains("no tools, please"), "{error}");
    }

    #[test]
    fn a_syntax_error_is_found_on_loading() {
        let error = ChatTemplate::new("{% for %}".to_owned(), None, None).unwrap_err();
        assert_eq!(error.code(), "model_chat_template");
    }
}
