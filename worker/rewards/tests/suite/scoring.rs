//! Samples to scores.

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use illumine_agent::{MemoryPictures, PictureStore, image_ref};
use illumine_rewards::reward::TermName;
use illumine_rewards::{
    JudgeSettings, LlmJudge, MllmJudge, RewardSettings, Sample, Score, Scorer, Verdict,
};
use illumine_types::{Document, ToolKind};
use serde_json::{Value, json};
use support::script::{Reply, Script, denied, say};
use support::{code, failed, illustrated, picture, requires, sample, search};

const LLM: &str = "Text: 4\nImage: 3";
const MLLM: &str = "Image Quality: 4\nTask Relevance: 3\nText-Image Relevance: 2";

fn scorer(settings: Value, llm: Option<&Arc<Script>>, mllm: Option<&Arc<Script>>) -> Scorer {
    let quick = || JudgeSettings {
        attempts: 1,
        ..JudgeSettings::default()
    };
    let llm = llm.map(|policy| LlmJudge::new(policy.clone(), quick()).unwrap());
    let mllm = mllm.map(|policy| MllmJudge::new(policy.clone(), quick()).unwrap());
    let settings: RewardSettings = serde_json::from_value(settings).unwrap();
    Scorer::new(settings, llm, mllm).unwrap()
}

fn reward(score: &Score) -> f64 {
    score.reward().unwrap()
}

fn close(value: f64, expected: f64) {
    assert!(
        (value - expected).abs() < 1e-12,
        "{value} is not {expected}"
    );
}

#[tokio::test]
async fn both_judges_and_the_rule() {
    let (llm, mllm) = (Script::of(vec![say(LLM)]), Script::of(vec![say(MLLM)]));
    let scorer = scorer(json!({}), Some(&llm), Some(&mllm));
    let score = scorer.score(&illustrated("A kea.")).await.unwrap();
    // LLM = ((1.4·4 + 0.6·3)/2 − 1)/4 = 0.675; MLLM = (3 − 1)/4 = 0.5.
    close(reward(&score), 0.2 + 0.3 * 0.5 + 0.5 * 0.675);
    let breakdown = &score.breakdown;
    assert_eq!(breakdown.absent, []);
    assert_eq!((breakdown.made, breakdown.tags), (1, 1));
    let judged = breakdown.llm.as_ref().unwrap();
    close(judged.value, 0.675);
    assert_eq!(judged.judgement.words.as_deref(), Some(LLM));

    // What is stored is all of it.
    let json = serde_json::to_value(&score).unwrap();
    assert_eq!(json["verdict"]["status"], "scored");
    assert_eq!(json["breakdown"]["llm"]["scores"]["text"], 4.0);
    assert_eq!(json["breakdown"]["mllm"]["words"], MLLM);
    assert_eq!(json["breakdown"]["image_num"], 1);
    assert_eq!(serde_json::from_value::<Score>(json).unwrap(), score);
}

#[tokio::test]
async fn the_number_of_pictures_is_that_of_the_tools() {
    let scorer = scorer(json!({}), None, None);
    let drawn = |count: usize| -> (String, Vec<_>) {
        let outcomes = (0..count).map(|n| Ok(picture(&n.to_string())));
        (search("kea").repeat(count), outcomes.collect())
    };
    for (words, count, image_num, expected) in [
        ("<image><image>", 0, 2, 0.0),
        ("![x](y.png)", 0, 99, 0.0),
        ("<think><imgen>{}</imgen></think>No.", 0, -1, 1.0),
        ("", 1, -1, 0.0),
        ("", 2, 2, 1.0),
        ("<image>", 1, 2, 0.5),
        ("", 3, 2, 0.7),
        ("", 12, 2, 0.0),
        ("", 12, 99, 1.0),
        ("", 0, 0, 1.0),
    ] {
        let (tags, outcomes) = drawn(count);
        let sample = sample(
            &(words.to_owned() + &tags),
            outcomes,
            requires(image_num, &[]),
        );
        let score = scorer.score(&sample).await.unwrap();
        close(reward(&score), expected);
        assert_eq!(score.breakdown.made as usize, count);
    }
}

#[tokio::test]
async fn without_judges_the_rules_bear_their_weight_and_say_so() {
    let settings = json!({"weights": {"tools": 0.2}});
    let scorer = scorer(settings, None, None);
    let answer = format!("{}{}", search("kea"), code("1/0"));
    let outcomes = vec![Ok(picture("kea")), failed("python_error")];
    let required = requires(2, &[ToolKind::Code, ToolKind::Search]);
    let score = scorer.score(&sample(&answer, outcomes, required)).await;
    let score = score.unwrap();
    // N = 1/2; r = (0.4·½ + 0.2·1)/0.6 = 2/3; W = 1.2 over 0.4.
    close(reward(&score), 1.2 * (0.2 * 0.5 + 0.2 * 2.0 / 3.0) / 0.4);
    let absent: Vec<TermName> = score.breakdown.absent.iter().map(|it| it.name).collect();
    assert_eq!(absent, [TermName::Mllm, TermName::Llm]);
    assert!(
        score.breakdown.absent[1]
            .reason
            .contains("no LLM judge is named")
    );
}

#[tokio::test]
async fn one_judge_alone_is_enough() {
    let llm = Script::of(vec![say(LLM)]);
    let scorer = scorer(json!({}), Some(&llm), None);
    let score = scorer.score(&illustrated("A kea.")).await.unwrap();
    close(reward(&score), (0.2 + 0.5 * 0.675) / 0.7);
    assert_eq!(score.breakdown.absent.len(), 1);
}

#[test]
fn a_reward_that_nobody_can_give_is_refused() {
    let settings = json!({"weights": {"count": 0, "mllm": 0}});
    let settings: RewardSettings = serde_json::from_value(settings).unwrap();
    let error = Scorer::new(settings, None, None).unwrap_err();
    assert_eq!(error.code(), "reward_config_invalid");
    assert!(error.to_string().contains("`weights`"), "{error}");
}

#[tokio::test]
async fn format_and_length_count_when_weighted() {
    let settings = json!({
        "weights": {"count": 0.5, "mllm": 0, "llm": 0, "format": 0.5, "length": 1.0},
        "length": {"max_tokens": 100, "buffer_tokens": 50},
    });
    let scorer = scorer(settings, None, None);
    let answer = format!("{}<imgen>{{'source': 1}}</imgen>", search("kea"));
    let mut sample = sample(&answer, vec![Ok(picture("kea"))], requires(1, &[]));
    let error = scorer.score(&sample).await.unwrap_err();
    assert_eq!(error.code(), "reward_sample_invalid");
    assert!(error.to_string().contains("tokens"), "{error}");
    sample.tokens = Some(75);
    let score = scorer.score(&sample).await.unwrap();
    close(reward(&score), 0.5 + 0.5 * 0.5 - 0.5);
    assert_eq!(score.breakdown.length, Some(-0.5));
}

#[tokio::test]
async fn an_outage_of_a_tool_excludes_and_nobody_is_asked() {
    let llm = Script::of(vec![say(LLM)]);
    let scorer = scorer(json!({}), Some(&llm), None);
    let down = sample(
        &search("kea"),
        vec![failed("backend_failed")],
        requires(1, &[]),
    );
    let score = scorer.score(&down).await.unwrap();
    assert_eq!(
        score.verdict,
        Verdict::Excluded {
            code: "backend_failed".into(),
            reason: "in words".into()
        }
    );
    assert_eq!((score.reward(), llm.asked()), (None, 0));
    assert_eq!(score.breakdown.terms, []);

    let mut broken = illustrated("x");
    broken.broken = Some(illumine_rewards::Failure::new("policy_broke_off", "cut"));
    assert_eq!(scorer.score(&broken).await.unwrap().reward(), None);
}

#[tokio::test]
async fn a_writers_own_bad_call_is_scored() {
    let scorer = scorer(json!({}), None, None);
    for code_of_failure in ["python_error", "tool_timeout", "no_figure"] {
        let bad = sample(
            &code("1/0"),
            vec![failed(code_of_failure)],
            requires(1, &[]),
        );
        assert_eq!(scorer.score(&bad).await.unwrap().reward(), Some(0.0));
    }
    let refused = sample(
        &search("x"),
        vec![failed("nothing_found")],
        requires(1, &[]),
    );
    assert_eq!(scorer.score(&refused).await.unwrap().reward(), Some(0.0));
    let invalid = sample("<imgen>{}</imgen>", vec![], requires(1, &[]));
    assert_eq!(scorer.score(&invalid).await.unwrap().reward(), Some(0.0));
}

#[tokio::test]
async fn a_judge_that_fails_excludes_and_the_others_words_are_kept() {
    for (llm, mllm, code) in [
        (say("No."), say(MLLM), "judge_unparsable"),
        (denied(), say(MLLM), "judge_refused"),
        (say(LLM), denied(), "judge_refused"),
    ] {
        let llm_fails = !matches!(&llm, Reply::Say(words) if words == LLM);
        let (llm, mllm) = (Script::of(vec![llm]), Script::of(vec![mllm]));
        let scorer = scorer(json!({}), Some(&llm), Some(&mllm));
        let score = scorer.score(&illustrated("A kea.")).await.unwrap();
        let Verdict::Excluded { code: found, .. } = &score.verdict else {
            panic!("{score:?}");
        };
        assert_eq!(found, code);
        assert_eq!(score.breakdown.llm.is_none(), llm_fails);
        assert_eq!(score.breakdown.mllm.is_some(), llm_fails);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_scored_at_once_and_in_order() {
    let takes = Duration::from_secs(1);
    let llm = Script::new(move |request, _| {
        // No word that the prompt's random marks, in hexadecimal, could spell.
        let grade = if request.prompt.contains("worse") {
            1
        } else {
            5
        };
        Reply::SayAfter(takes, format!("Text: {grade}\nImage: {grade}"))
    });
    let scorer = scorer(json!({}), Some(&llm), None);
    let samples: Vec<Sample> = ["better a", "worse b", "better c", "worse d"]
        .map(illustrated)
        .to_vec();
    let started = tokio::time::Instant::now();
    let scores = scorer.score_batch(&samples).await;
    assert_eq!(started.elapsed(), takes);
    let llm = scores.iter().map(|score| {
        score
            .as_ref()
            .unwrap()
            .breakdown
            .llm
            .as_ref()
            .unwrap()
            .value
    });
    assert_eq!(llm.collect::<Vec<_>>(), [1.0, 0.0, 1.0, 0.0]);
}

/// A document with a picture, as the agent makes it.
async fn document(pictures: &MemoryPictures, interruption: Value) -> Document {
    let drawn = illumine_tools::Picture {
        bytes: "drawn".into(),
        mime: "image/png",
        width: 4,
        height: 3,
    };
    let image = pictures.put(&drawn).await.unwrap();
    assert_eq!(Some(&image), image_ref(&drawn).as_ref());
    let call = json!({"source": "search", "description": "d", "params": {"query": "q"}});
    serde_json::from_value(json!({
        "id": "gen_01J9ZD1N7H0000000000000000", "title": "Kea", "prompt": "What is a kea?",
        "blocks": [
            {"type": "text", "markdown": "A parrot with <image>."},
            {"type": "image", "index": 0, "call": call, "raw": call.to_string(), "outcome": {
                "status": "ready", "image": image,
                "provenance": {"tool": "search", "backend": "t", "elapsed_ms": 1, "attempts": 1}}},
            {"type": "image", "index": 1, "call": null, "raw": "{}", "outcome": {
                "status": "failed", "code": "invalid_tag", "reason": "no"}},
        ],
        "tools": {"search": {"attempted": 1, "succeeded": 1},
            "diffusion": {"attempted": 0, "succeeded": 0},
            "code": {"attempted": 0, "succeeded": 0},
            "edit": {"attempted": 0, "succeeded": 0}, "invalid": 1},
        "policy": "burn:demo", "usage": {"prompt_tokens": 1, "completion_tokens": 77},
        "timings": {"queued_ms": 0, "writing_ms": 0, "total_ms": 0},
        "interruption": interruption,
        "version": 1, "created_at": "2026-01-01T00:00:00Z"
    }))
    .unwrap()
}

#[tokio::test]
async fn a_document_is_scored_with_the_pictures_that_were_stored() {
    let pictures = MemoryPictures::default();
    let document = document(&pictures, Value::Null).await;
    let sample = Sample::from_document(&document, requires(2, &[]), &pictures).await;
    assert_eq!(sample.id, "gen_01J9ZD1N7H0000000000000000");
    assert_eq!(sample.tokens, Some(77));
    assert_eq!(sample.tool_stats(), document.tools);
    let bytes: Vec<_> = sample.pictures().map(|image| &image.bytes[..]).collect();
    assert_eq!(bytes, [b"drawn"]);
    assert!(sample.tagged_text().ends_with("</imgen><imgen>{}</imgen>"));
    let score = scorer(json!({}), None, None).score(&sample).await.unwrap();
    close(reward(&score), 0.5);

    let empty = MemoryPictures::default();
    let lost = Sample::from_document(&document, requires(2, &[]), &empty).await;
    let failure = lost.infrastructure_failure().unwrap().code.clone();
    assert_eq!(failure, "storage_failed");
}

#[tokio::test]
async fn an_interruption_counts_by_whose_it_is() {
    let pictures = MemoryPictures::default();
    for (code, excluded) in [
        ("length_limit", false),
        ("output_limit", false),
        ("empty_document", false),
        ("policy_broke_off", true),
        ("cancelled", true),
    ] {
        let problem = json!({"type": "about:blank", "code": code, "title": "t", "detail": "d"});
        let document = document(&pictures, problem).await;
        let sample = Sample::from_document(&document, requires(1, &[]), &pictures).await;
        assert_eq!(
            sample.infrastructure_failure().is_some(),
            excluded,
            "{code}"
        );
    }
}
