//! A judge against a file of labels.

use crate::support;

use std::fs;
use std::path::PathBuf;

use illumine_rewards::calibration::{calibrate_llm, calibrate_mllm, read_labels};
use illumine_rewards::{JudgeSettings, LlmJudge, MllmJudge};
use serde_json::{Value, json};
use support::script::{Script, say};
use support::search;
use tempfile::TempDir;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

fn file(lines: &[Value]) -> (TempDir, PathBuf) {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    written(&lines.join("\n"))
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kea.png"), PNG).unwrap();
    fs::write(folder.path().join("page.png"), "<html>").unwrap();
    let path = folder.path().join("labels.jsonl");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn line(answer: &str, labels: Value) -> Value {
    json!({"question": "What is a kea?", "answer": answer, "labels": labels})
}

#[tokio::test]
async fn the_texts_judge_is_compared_and_its_failures_are_listed() {
    let tagged = |words: &str| format!("{words} {}", search("kea"));
    let (_folder, path) = file(&[
        line(&tagged("says 5"), json!({"text": 5, "image": 4})),
        line(&tagged("says 3"), json!({"text": 4, "image": 4})),
        line(&tagged("says 1"), json!({"text": 1.5, "image": 1})),
        line(&tagged("says nothing"), json!({"text": 2, "image": 2})),
    ]);
    let policy = Script::new(|request, _| {
        let grade = ["5", "3", "1"]
            .into_iter()
            .find(|grade| request.prompt.contains(&format!("says {grade}")));
        say(&grade.map_or("Hm.".into(), |grade| {
            format!("Text: {grade}\nImage: {grade}")
        }))
    });
    let judge = LlmJudge::new(policy, JudgeSettings::default()).unwrap();
    let examples = read_labels(&path).unwrap();
    let calibration = calibrate_llm(&judge, &examples).await.unwrap();
    let [text, image] = &calibration.scores[..] else {
        panic!("{calibration:?}");
    };
    assert_eq!((text.name.as_str(), image.name.as_str()), ("text", "image"));
    assert_eq!(text.agreement.count, 3);
    let close = |value: Option<f64>, expected: f64| {
        assert!((value.unwrap() - expected).abs() < 1e-9, "{value:?}");
    };
    close(text.agreement.exact, 1.0 / 3.0);
    close(text.agreement.within_one, 1.0);
    close(text.agreement.mean_absolute_error, 0.5);
    close(text.agreement.bias, -0.5);
    close(text.agreement.spearman, 1.0);
    close(image.agreement.exact, 1.0 / 3.0);
    assert_eq!(calibration.failures.len(), 1);
    assert_eq!(calibration.failures[0].line, 4);
    assert_eq!(calibration.failures[0].code, "judge_unparsable");
    let json = serde_json::to_value(&calibration).unwrap();
    assert_eq!(json["scores"][0]["count"], 3);
}

#[tokio::test]
async fn the_pictures_judge_sees_the_files() {
    let labels = json!({"image_quality": 5, "task_relevance": 4, "text_image_relevance": 3});
    let mut seen = line(&format!("{0}{0}", search("kea")), labels);
    seen["images"] = json!(["kea.png", null]);
    let text_only = line("No.", json!({"text": 2, "image": 5}));
    let (_folder, path) = file(&[seen, text_only]);
    let words = "Image Quality: 5\nTask Relevance: 4\nText-Image Relevance: 1";
    let policy = Script::of(vec![say(words)]);
    let judge = MllmJudge::new(policy.clone(), JudgeSettings::default()).unwrap();
    let examples = read_labels(&path).unwrap();
    let calibration = calibrate_mllm(&judge, &examples).await.unwrap();
    assert_eq!(&policy.request(0).images[0].bytes[..], PNG);
    assert_eq!(policy.request(0).images.len(), 1);
    assert_eq!(calibration.unlabelled, 1);
    let errors = calibration.scores.iter();
    let errors: Vec<_> = errors
        .map(|score| score.agreement.mean_absolute_error.unwrap())
        .collect();
    assert_eq!(errors, [0.0, 0.0, 2.0]);

    let (_folder, path) = file(&[line("No.", json!({"text": 2, "image": 5}))]);
    let error = calibrate_mllm(&judge, &read_labels(&path).unwrap()).await;
    assert_eq!(error.unwrap_err().code(), "reward_nothing_applies");
}

#[test]
fn a_bad_line_is_named_with_its_field() {
    let good = line("No.", json!({"text": 2, "image": 5})).to_string();
    let mllm = json!({"image_quality": 5, "task_relevance": 4, "text_image_relevance": 3});
    let with = |field: &str, value: Value| {
        let mut line = line(&search("kea"), mllm.clone());
        line["images"] = json!(["kea.png"]);
        match value {
            Value::Null => {
                line.as_object_mut().unwrap().remove(field);
            }
            value => line[field] = value,
        }
        line.to_string()
    };
    for (bad, field) in [
        ("{".to_owned(), "`line`"),
        ("[1]".into(), "`line`"),
        (with("question", Value::Null), "`question`"),
        (with("question", json!(3)), "`question`"),
        (with("answer", Value::Null), "`answer`"),
        (with("answr", json!("x")), "`answr`"),
        (with("labels", Value::Null), "`labels`"),
        (with("labels", json!(4)), "`labels`"),
        (with("labels", json!({})), "`labels`"),
        (with("labels", json!({"text": 4})), "`labels.image`"),
        (
            with("labels", json!({"text": 0, "image": 4})),
            "`labels.text`",
        ),
        (
            with("labels", json!({"text": "4", "image": 4})),
            "`labels.text`",
        ),
        (
            with("labels", json!({"text": 4, "image": 4, "x": 1})),
            "`labels.x`",
        ),
        (with("images", Value::Null), "`images`"),
        (with("images", json!("kea.png")), "`images`"),
        (with("images", json!([])), "`images`"),
        (with("images", json!(["kea.png", "kea.png"])), "`images`"),
        (with("images", json!([4])), "`images[0]`"),
        (with("images", json!(["gone.png"])), "`images[0]`"),
        (with("images", json!(["page.png"])), "`images[0]`"),
    ] {
        let (_folder, path) = written(&format!("{good}\n\n{bad}\n"));
        let error = read_labels(&path).unwrap_err();
        assert_eq!(error.code(), "reward_label_invalid");
        let error = error.to_string();
        assert!(
            error.contains("labels.jsonl:3: ") && error.contains(field),
            "{bad}: {error}"
        );
    }
    let (_folder, path) = written(&format!("{good}\n\n"));
    assert_eq!(read_labels(&path).unwrap().len(), 1);
    let missing = read_labels(&path.with_file_name("none.jsonl")).unwrap_err();
    assert_eq!(missing.code(), "reward_io");
}
