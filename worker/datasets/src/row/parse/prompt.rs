//! `prompt`: text, or a list of messages.

use super::{At, take};
use crate::error::Result;
use crate::row::{Message, Prompt, Role};
use crate::value::Value;

impl At<'_> {
    pub(super) fn prompt(&self, value: Value) -> Result<Prompt> {
        const REMEDY: &str =
            "write text, or a list of {\"role\", \"content\"} with a user's message";
        let prompt = match value {
            Value::Text(text) => Prompt::Text(text),
            Value::List(items) => {
                let messages = items.into_iter().enumerate();
                let messages = messages.map(|(index, item)| self.message(index, item));
                Prompt::Messages(messages.collect::<Result<_>>()?)
            }
            Value::Null => return Err(self.refuse("prompt", "is missing", REMEDY)),
            other => {
                return Err(self.wrong("prompt", &other, "text or a list of messages", REMEDY));
            }
        };
        if prompt.user_text().trim().is_empty() {
            return Err(self.refuse("prompt", "has no user text", REMEDY));
        }
        Ok(prompt)
    }

    fn message(&self, index: usize, value: Value) -> Result<Message> {
        const REMEDY: &str = "write messages as {\"role\", \"content\"}, both text";
        let field = |name: &str| format!("prompt[{index}]{name}");
        let Value::Struct(mut fields) = value else {
            return Err(self.wrong(&field(""), &value, "a message", REMEDY));
        };
        let mut text = |name: &str| match take(&mut fields, name) {
            Value::Text(text) => Ok(text),
            Value::Null => Err(self.refuse(&field(&format!(".{name}")), "is missing", REMEDY)),
            other => Err(self.wrong(&field(&format!(".{name}")), &other, "text", REMEDY)),
        };
        let (word, content) = (text("role")?, text("content")?);
        let role = Role::parse(&word).ok_or_else(|| {
            let roles = Role::ALL.map(Role::as_str).join(", ");
            let remedy = format!("use one of {roles}");
            self.refuse(&field(".role"), format!("{word:?} is no role"), remedy)
        })?;
        Ok(Message { role, content })
    }
}
