//! The tokenizer and the chat format.

use illumine_models::tokenizer::{ChatMessage, ChatTokenizer, Role};
use illumine_train::corpus::{Corpus, Example, Stage, heldout};
use illumine_train::tokenizer::{self, chat};
use tokenizers::Tokenizer;

fn trained() -> Tokenizer {
    let corpus = Corpus::new(2);
    let texts: Vec<String> = (0..100)
        .map(|index| corpus.example(index, Stage::Full).answer)
        .collect();
    tokenizer::train(texts.into_iter(), 400).unwrap()
}

#[test]
fn any_text_survives_the_round_trip() {
    let tokenizer = trained();
    assert_eq!(tokenizer.get_vocab_size(true), 400);
    let heldout = heldout(20).into_iter().map(|item| item.example.answer);
    let odd = [
        "Café, 北京, \u{1F600}\u{200D} and \u{0} bytes",
        " two  spaces\n\n\tand tabs \r\n",
        "<imgen>{\"source\": \"code\"}</imgen> <imgen",
    ];
    for text in heldout.chain(odd.map(str::to_owned)) {
        let ids = chat::encode(&tokenizer, &text).unwrap();
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}

#[test]
fn a_topic_is_the_same_tokens_in_prompt_title_text_and_tags() {
    let tokenizer = trained();
    for item in heldout(100) {
        let topic = &item.request.topic;
        let ids = chat::encode(&tokenizer, &format!(" {topic}")).unwrap();
        let prompt = chat::prompt_text(&item.example.prompt, item.example.inputs);
        for text in [prompt, item.example.answer.clone()] {
            let all = chat::encode(&tokenizer, &text).unwrap();
            let found = all
                .windows(ids.len())
                .filter(|window| *window == ids)
                .count();
            assert_eq!(found, text.matches(topic.as_str()).count(), "{text}");
        }
    }
}

#[test]
fn the_saved_template_renders_what_training_saw() {
    let folder = tempfile::tempdir().unwrap();
    tokenizer::save(&trained(), folder.path()).unwrap();
    let product = ChatTokenizer::from_folder(folder.path()).unwrap();
    let tokenizer = tokenizer::load(folder.path()).unwrap();
    for (words, prompt, inputs) in [
        (" Tell me about tea. \n", "Tell me about tea.", 0),
        ("[image] Make it snowy", "Make it snowy", 1),
    ] {
        let messages = [
            ChatMessage::new(Role::System, "Tools: search."),
            ChatMessage::new(Role::User, words),
        ];
        let ids = product.encode_chat(&messages, true).unwrap();
        let seen = chat::prompt_text(prompt, inputs);
        assert_eq!(ids, chat::encode(&tokenizer, &seen).unwrap());
    }
}

#[test]
fn only_a_whole_answer_ends_with_the_end_token() {
    let tokenizer = trained();
    let end = tokenizer.token_to_id(tokenizer::END).unwrap();
    let mut example = Example {
        prompt: "Tell me about tea".to_owned(),
        inputs: 0,
        answer: "# All about tea".to_owned(),
        partial: false,
    };
    let whole = chat::encode_example(&tokenizer, &example).unwrap();
    assert_eq!(whole.ids.last(), Some(&end));
    assert!(!whole.ids[..whole.ids.len() - 1].contains(&end));
    example.partial = true;
    let partial = chat::encode_example(&tokenizer, &example).unwrap();
    assert_eq!(partial.ids[..], whole.ids[..whole.ids.len() - 1]);
    assert_eq!(partial.prompt_tokens, whole.prompt_tokens);
}
