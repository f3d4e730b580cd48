//! Tokenizer and chat template against `transformers`; the fixtures are made by
//! `infra/parity/chat.py`.

use std::path::{Path, PathBuf};

use illumine_models::tokenizer::{ChatMessage, ChatTokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    chats: Vec<Chat>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Chat {
    messages: Vec<ChatMessage>,
    add_generation_prompt: bool,
    prompt: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat")
}

fn reference() -> Reference {
    let text = std::fs::read_to_string(folder().join("reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn prompts_equal_transformers() {
    let tokenizer = ChatTokenizer::from_folder(&folder()).unwrap();
    let chats = reference().chats;
    assert!(chats.len() >= 6);
    for chat in chats {
        let prompt = tokenizer
            .render_chat(&chat.messages, chat.add_generation_prompt)
            .unwrap();
        assert_eq!(prompt, chat.prompt);
        let ids = tokenizer.encode_chat(&chat.messages, chat.add_generation_prompt);
        assert_eq!(ids.unwrap(), chat.ids);
    }
}

#[test]
fn ids_and_text_equal_transformers() {
    let tokenizer = ChatTokenizer::from_folder(&folder()).unwrap();
    let texts = reference().texts;
    assert!(texts.len() >= 6);
    for Text { text, ids, decoded } in texts {
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{text}");
        assert_eq!(tokenizer.decode(&ids), decoded);
        let mut stream = tokenizer.stream();
        let mut streamed: String = ids.iter().map(|&id| stream.push(id)).collect();
        streamed += &stream.finish();
        assert_eq!(streamed, decoded);
    }
}

#[test]
fn the_template_may_live_in_tokenizer_config() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(
        folder().join("tokenizer.json"),
        dir.path().join("tokenizer.json"),
    )
    .unwrap();
    let without = ChatTokenizer::from_folder(dir.path()).unwrap();
    let error = without.render_chat(&[], true).unwrap_err();
    assert_eq!(error.code(), "model_chat_template");

    let template = std::fs::read_to_string(folder().join("chat_template.jinja")).unwrap();
    for field in [
        serde_json::json!(template),
        serde_json::json!([{"name": "tool_use", "template": "no"}, {"name": "default", "template": template}]),
    ] {
        let config =
            serde_json::json!({"chat_template": field, "eos_token": {"content": "<|im_end|>"}});
        let path = dir.path().join("tokenizer_config.json");
        std::fs::write(path, config.to_string()).unwrap();
        let tokenizer = ChatTokenizer::from_folder(dir.path()).unwrap();
        let chat = &reference().chats[1];
        let prompt = tokenizer.render_chat(&chat.messages, chat.add_generation_prompt);
        assert_eq!(prompt.unwrap(), chat.prompt);
    }
    // A processor of pictures has its own, before the tokenizer's.
    let config = serde_json::json!({"chat_template": "{{ messages|length }} messages"});
    let path = dir.path().join("chat_template.json");
    std::fs::write(path, config.to_string()).unwrap();
    let tokenizer = ChatTokenizer::from_folder(dir.path()).unwrap();
    assert_eq!(tokenizer.render_chat(&[], true).unwrap(), "0 messages");
}

#[test]
fn a_broken_tokenizer_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = ChatTokenizer::from_folder(dir.path()).unwrap_err();
    assert_eq!(missing.code(), "model_io");
    std::fs::write(dir.path().join("tokenizer.json"), "{").unwrap();
    let broken = ChatTokenizer::from_folder(dir.path()).unwrap_err();
    assert_eq!(broken.code(), "model_file_malformed");
    assert!(broken.to_string().contains("tokenizer.json"));
}
