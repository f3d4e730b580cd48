//! The columns' types. What no row lacks is `required`, which readers need no level for.

use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use super::Parquet;

const TEXT_PROMPT: &str = "required binary prompt (STRING);";

const CHAT_PROMPT: &str = "
    required group prompt (LIST) {
        repeated group list {
            required group element {
                required binary content (STRING);
                required binary role (STRING);
            }
        }
    }";

const OTHERS: &str = "
    required group images (LIST) {
        repeated group list {
            required group element {
                required binary bytes;
                optional binary path (STRING);
            }
        }
    }
    required binary data_source (STRING);
    required group extra_info {
        optional binary split (STRING);
        required int64 image_num;
        required group tools (LIST) {
            repeated group list {
                required binary element (STRING);
            }
        }
        required binary question (STRING);
        optional int64 index;
    }";

/// The whole schema, with prompts as texts or as lists of messages.
pub(super) fn columns(texts: bool) -> Parquet<Type> {
    let prompt = if texts { TEXT_PROMPT } else { CHAT_PROMPT };
    parse_message_type(&format!("message schema {{ {prompt} {OTHERS} }}"))
}
