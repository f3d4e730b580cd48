//! What the policy is asked: a text, or a chat.

use serde::{Deserialize, Serialize};

/// The `prompt` column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// One user message.
    Text(String),
    /// A chat; at least one message is the user's.
    Messages(Vec<Message>),
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one who sets the rules.
    System,
    /// The one who asks.
    User,
    /// The policy, in an earlier turn.
    Assistant,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::System, Self::User, Self::Assistant];

    /// The word in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    /// The role of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// What becomes of a prompt's system message when it is read. A file brings the
/// one its maker trained with, which names other tools in other words than ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SystemMessage {
    /// Left as the file has it.
    Keep,
    /// Left out.
    #[default]
    Remove,
    /// This one, first, in every prompt, whether the file has one or not.
    Replace(String),
}

impl Prompt {
    /// The messages, a text as the one user message that it is.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        match self {
            Self::Text(text) => vec![Message::user(text.clone())],
            Self::Messages(messages) => messages.clone(),
        }
    }

    /// The last user message.
    #[must_use]
    pub fn user_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Messages(messages) => messages
                .iter()
                .rev()
                .find(|message| message.role == Role::User)
                .map_or("", |message| &message.content),
        }
    }

    /// The sum of `measure` over the messages' contents.
    pub fn length(&self, measure: &dyn Fn(&str) -> usize) -> usize {
        match self {
            Self::Text(text) => measure(text),
            Self::Messages(messages) => messages.iter().map(|m| measure(&m.content)).sum(),
        }
    }

    /// With its system message as told.
    #[must_use]
    pub fn with_system(self, system: &SystemMessage) -> Self {
        let mut messages = match (self, system) {
            (prompt, SystemMessage::Keep) => return prompt,
            (text @ Self::Text(_), SystemMessage::Remove) => return text,
            (prompt, _) => prompt.messages(),
        };
        messages.retain(|message| message.role != Role::System);
        if let SystemMessage::Replace(content) = system {
            let first = Message {
                role: Role::System,
                content: content.clone(),
            };
            messages.insert(0, first);
        }
        Self::Messages(messages)
    }
}

impl Message {
    /// A message of the user.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> Prompt {
        Prompt::Messages(vec![
            Message {
                role: Role::System,
                content: "old rules".into(),
            },
            Message::user("first"),
            Message {
                role: Role::Assistant,
                content: "answer".into(),
            },
            Message::user("second"),
        ])
    }

    #[test]
    fn the_system_message_is_kept_removed_or_replaced() {
        assert_eq!(chat().with_system(&SystemMessage::Keep), chat());
        let removed = chat().with_system(&SystemMessage::Remove).messages();
        assert_eq!(removed, chat().messages()[1..]);
        let replaced = chat().with_system(&SystemMessage::Replace("ours".into()));
        assert_eq!(replaced.messages()[0].content, "ours");
        assert_eq!(replaced.messages()[1..], chat().messages()[1..]);
    }

    #[test]
    fn a_text_gets_a_system_message_too() {
        let text = Prompt::Text("hello".into());
        assert_eq!(text.clone().with_system(&SystemMessage::Remove), text);
        let messages = text
            .with_system(&SystemMessage::Replace("ours".into()))
            .messages();
        assert_eq!(messages[0].role, Role::System);
        assert_eq!(messages[1], Message::user("hello"));
    }

    #[test]
    fn the_question_is_the_last_user_message_and_every_message_counts() {
        assert_eq!(chat().user_text(), "second");
        assert_eq!(chat().length(&str::len), 9 + 5 + 6 + 6);
    }
}
