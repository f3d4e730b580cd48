//! The judges with a scripted policy: retries, limits, memory. Time stands still
//! but for sleeps.

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use illumine_agent::policy::burn::BurnPolicy;
use illumine_rewards::judge::MOST_PICTURES;
use illumine_rewards::reward::LlmScores;
use illumine_rewards::{JudgeError, JudgeSettings, Judgement, LlmJudge, MllmJudge, Sample};
use support::script::{Reply, Script, busy, denied, say};
use support::{code, failed, illustrated, picture, requires, sample, search};
use tokio::time::Instant;

const GOOD: &str = "Text: 4\nImage: 3";
const GOOD_MLLM: &str = "Image Quality: 4\nTask Relevance: 3\nText-Image Relevance: 2";

fn llm(policy: &Arc<Script>, settings: JudgeSettings) -> LlmJudge {
    LlmJudge::new(policy.clone(), settings).unwrap()
}

/// One judgement of a plain sample.
async fn judged(policy: &Arc<Script>) -> Result<Judgement<LlmScores>, JudgeError> {
    let judge = llm(policy, JudgeSettings::default());
    judge.judge(&illustrated("x")).await
}

fn mllm(policy: &Arc<Script>) -> MllmJudge {
    MllmJudge::new(policy.clone(), JudgeSettings::default()).unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_judge_is_tried_again_when_it_asked_to_be() {
    let policy = Script::of(vec![busy(Some(seconds(7.0))), busy(None), say(GOOD)]);
    let started = Instant::now();
    let judgement = llm(&policy, JudgeSettings::default())
        .judge(&illustrated("x"))
        .await
        .unwrap();
    assert_eq!(judgement.scores.text, 4.0);
    assert_eq!((policy.asked(), judgement.asked), (3, 1));
    // 7 s as asked for, then 2 s of back-off, a quarter more or less.
    let took = started.elapsed().as_secs_f64();
    assert!((8.4..=9.6).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_stays_away_is_a_failure_after_so_many_attempts() {
    let policy = Script::of(vec![busy(None)]);
    let error = judged(&policy);
    let error = error.await.unwrap_err();
    assert_eq!(error.code(), "judge_unavailable");
    assert_eq!(policy.asked(), 3);
    assert!(error.to_string().contains("come back later"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_above_the_longest_is_not_waited_for() {
    let policy = Script::of(vec![busy(Some(seconds(3600.0))), say(GOOD)]);
    let started = Instant::now();
    let error = judged(&policy);
    assert_eq!(error.await.unwrap_err().code(), "judge_unavailable");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_tried_again() {
    let policy = Script::of(vec![denied(), say(GOOD)]);
    let error = judged(&policy);
    assert_eq!(error.await.unwrap_err().code(), "judge_refused");
    assert_eq!(policy.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_hangs_is_cancelled_and_tried_again() {
    let settings = JudgeSettings {
        timeout_s: 10.0,
        attempts: 2,
        ..JudgeSettings::default()
    };
    let policy = Script::of(vec![Reply::Hang, say(GOOD)]);
    let started = Instant::now();
    let judged = llm(&policy, settings.clone())
        .judge(&illustrated("x"))
        .await;
    assert_eq!(judged.unwrap().scores.image, 3.0);
    assert!(started.elapsed() >= seconds(10.75) && started.elapsed() <= seconds(11.25));
    assert_eq!(policy.cancelled(), 1);

    let policy = Script::of(vec![Reply::Hang]);
    let error = llm(&policy, settings).judge(&illustrated("x")).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), "judge_timeout");
    assert!(error.to_string().contains("10 s in 2 attempts"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_nobody_waits_for_is_cancelled() {
    let policy = Script::of(vec![Reply::Hang]);
    let judge = llm(&policy, JudgeSettings::default());
    let waited = tokio::time::timeout(seconds(1.0), judge.judge(&illustrated("x"))).await;
    assert!(waited.is_err());
    tokio::time::sleep(seconds(0.1)).await;
    assert_eq!(policy.cancelled(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let policy = Script::of(vec![Reply::Vanish, say(GOOD)]);
    let judged = judged(&policy);
    assert_eq!(judged.await.unwrap().scores.text, 4.0);
}

#[tokio::test(start_paused = true)]
async fn an_unclear_answer_is_asked_again_with_another_seed() {
    let policy = Script::of(vec![say("Fine work!"), say("Text: 9\nImage: 1"), say(GOOD)]);
    let settings = JudgeSettings {
        seed: 40,
        ..JudgeSettings::default()
    };
    let judgement = llm(&policy, settings)
        .judge(&illustrated("x"))
        .await
        .unwrap();
    assert_eq!(judgement.asked, 3);
    assert_eq!(judgement.words.as_deref(), Some(GOOD));
    let asked = |n: usize| (policy.request(n).seed, policy.request(n).temperature);
    assert_eq!(asked(0), (Some(40), Some(0.0)));
    assert_eq!(asked(1), (Some(41), Some(0.7)));
    assert_eq!(asked(2), (Some(42), Some(0.7)));
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_is_never_clear_is_a_failure_and_is_not_remembered() {
    let policy = Script::of(vec![say("I will not grade this.")]);
    let judge = llm(&policy, JudgeSettings::default());
    let error = judge.judge(&illustrated("x")).await.unwrap_err();
    assert_eq!(error.code(), "judge_unparsable");
    assert_eq!(policy.asked(), 3);
    let words = error.to_string();
    assert!(words.contains("I will not grade this."), "{words}");
    assert!(words.contains("`Text` has no number"), "{words}");
    judge.judge(&illustrated("x")).await.unwrap_err();
    assert_eq!(policy.asked(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_endless_answer_is_cut_off() {
    let policy = Script::of(vec![Reply::Endless, say(GOOD)]);
    let judged = judged(&policy);
    assert_eq!(judged.await.unwrap().asked, 2);
}

#[tokio::test(start_paused = true)]
async fn scores_before_the_token_limit_count() {
    let policy = Script::of(vec![Reply::Cut(format!("{GOOD}\nBecause"))]);
    let judged = judged(&policy);
    assert_eq!(judged.await.unwrap().asked, 1);
}

#[tokio::test(start_paused = true)]
async fn so_many_answers_are_under_way_and_a_pause_holds_no_place() {
    let takes = seconds(1.0);
    let policy = Script::new(move |_, _| Reply::SayAfter(takes, GOOD.into()));
    let settings = JudgeSettings {
        concurrency: 2,
        ..JudgeSettings::default()
    };
    let judge = llm(&policy, settings);
    let samples: Vec<Sample> = (0..6).map(|n| illustrated(&n.to_string())).collect();
    let started = Instant::now();
    let judged = futures::future::join_all(samples.iter().map(|sample| judge.judge(sample)));
    assert!(judged.await.iter().all(Result::is_ok));
    assert_eq!(started.elapsed().as_secs(), 3);

    let policy = Script::of(vec![busy(Some(seconds(30.0))), say(GOOD)]);
    let settings = JudgeSettings {
        concurrency: 1,
        ..JudgeSettings::default()
    };
    let judge = llm(&policy, settings);
    let (busy, other) = (illustrated("busy"), illustrated("other"));
    let started = Instant::now();
    let first = judge.judge(&busy);
    let second = async {
        judge.judge(&other).await.unwrap();
        started.elapsed()
    };
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(second.as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_judged_is_remembered_and_what_differs_is_judged() {
    let policy = Script::of(vec![say(GOOD)]);
    let judge = llm(&policy, JudgeSettings::default());
    let same = [illustrated("x"), illustrated("x")];
    let first = judge.judge(&same[0]).await.unwrap();
    let again = judge.judge(&same[1]).await.unwrap();
    assert_eq!(
        (first.cached, again.cached, policy.asked()),
        (false, true, 1)
    );
    assert_eq!(first.words, again.words);
    judge.judge(&illustrated("y")).await.unwrap();
    let mut other_question = illustrated("x");
    other_question.question = "What is a kiwi?".into();
    judge.judge(&other_question).await.unwrap();
    assert_eq!(policy.asked(), 3);

    // Two who ask the same at once are told the same.
    let both = (illustrated("z"), illustrated("z"));
    let (left, right) = tokio::join!(judge.judge(&both.0), judge.judge(&both.1));
    assert_ne!(left.unwrap().cached, right.unwrap().cached);
    assert_eq!(policy.asked(), 4);

    let small = JudgeSettings {
        cache_entries: 1,
        ..JudgeSettings::default()
    };
    let judge = llm(&policy, small);
    for words in ["x", "y", "x"] {
        judge.judge(&illustrated(words)).await.unwrap();
    }
    assert_eq!(policy.asked(), 7);
}

#[tokio::test(start_paused = true)]
async fn another_picture_is_another_judgement() {
    let policy = Script::of(vec![say(GOOD_MLLM)]);
    let judge = mllm(&policy);
    let drawn = |word: &str| {
        let answer = format!("A kea. {}", search("kea"));
        sample(&answer, vec![Ok(picture(word))], requires(1, &[]))
    };
    for word in ["one", "two", "one"] {
        judge.judge(&drawn(word)).await.unwrap();
    }
    assert_eq!(policy.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_tag_gets_five_for_its_tags() {
    let policy = Script::of(vec![say("Text: 2\nImage: 1")]);
    let judge = llm(&policy, JudgeSettings::default());
    let words = "A kea. <image> <think>x</think>";
    let judgement = judge.judge(&sample(words, vec![], requires(0, &[]))).await;
    let judgement = judgement.unwrap();
    assert_eq!((judgement.scores.text, judgement.scores.image), (2.0, 5.0));
    assert_eq!(judgement.words.as_deref(), Some("Text: 2\nImage: 1"));
    // An invalid tag is a tag.
    let invalid = sample("A kea. <imgen>{}</imgen>", vec![], requires(0, &[]));
    assert_eq!(judge.judge(&invalid).await.unwrap().scores.image, 1.0);
}

#[tokio::test(start_paused = true)]
async fn without_pictures_and_with_too_many_nobody_is_asked() {
    let policy = Script::of(vec![say(GOOD_MLLM)]);
    let judge = mllm(&policy);
    let drawn = |count: usize| {
        let answer = search("kea").repeat(count);
        let outcomes = (0..count).map(|n| Ok(picture(&n.to_string())));
        sample(&answer, outcomes.collect(), requires(99, &[]))
    };
    let none = sample("An <image>", vec![], requires(0, &[]));
    let broken = sample(&code("1/0"), vec![failed("python_error")], requires(1, &[]));
    for (sample, score) in [
        (&none, 5.0),
        (&broken, 5.0),
        (&drawn(MOST_PICTURES + 1), 1.0),
    ] {
        let judgement = judge.judge(sample).await.unwrap();
        assert_eq!(judgement.scores.image_quality, score);
        assert_eq!(judgement.scores.task_relevance, score);
        assert_eq!(judgement.scores.text_image_relevance, score);
        assert_eq!((judgement.asked, judgement.words), (0, None));
    }
    assert_eq!(policy.asked(), 0);
    let most = judge.judge(&drawn(MOST_PICTURES)).await.unwrap();
    assert_eq!((most.scores.image_quality, policy.asked()), (4.0, 1));
}

#[tokio::test(start_paused = true)]
async fn pictures_stand_at_their_marks() {
    let policy = Script::of(vec![say(GOOD_MLLM)]);
    let answer = format!(
        "First [picture 2]. {} Then <image>. {} Last. {}",
        search("a"),
        code("1/0"),
        search("b")
    );
    let outcomes = vec![
        Ok(picture("one")),
        failed("python_error"),
        Ok(picture("two")),
    ];
    let mut asked = sample(&answer, outcomes, requires(2, &[]));
    asked.inputs = vec![picture("input")];
    mllm(&policy).judge(&asked).await.unwrap();
    let request = policy.request(0);
    let bytes: Vec<&[u8]> = request
        .images
        .iter()
        .map(|image| &image.bytes[..])
        .collect();
    assert_eq!(bytes, [&b"input"[..], b"one", b"two"]);
    assert_eq!(request.inputs, 3);
    let text = &request.prompt;
    let places = [
        "[picture of the question 1, ",
        "First [picture 2]. ",
        "[picture 1, ",
        "Then < image>. ",
        "[a picture is missing here, ",
        "Last. ",
        "[picture 2, ",
    ];
    let mut from = 0;
    for place in places {
        let found = text[from..].find(place);
        from += found.unwrap_or_else(|| panic!("{place} in {text}")) + place.len();
    }
    assert!(!text.contains("<imgen>"), "pictures replace their tags");
}

#[test]
fn a_judge_of_pictures_must_see() {
    let error = MllmJudge::new(Script::blind(), JudgeSettings::default()).unwrap_err();
    assert_eq!(error.code(), "judge_blind");
    let settings = JudgeSettings {
        vision: Some(true),
        ..JudgeSettings::default()
    };
    MllmJudge::new(Script::blind(), settings).unwrap();
}

#[tokio::test]
async fn a_prompt_can_be_replaced() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Be kind.").unwrap();
    let policy = Script::of(vec![say(GOOD)]);
    let settings = JudgeSettings {
        prompt_file: Some(file.path().to_owned()),
        ..JudgeSettings::default()
    };
    llm(&policy, settings)
        .judge(&illustrated("x"))
        .await
        .unwrap();
    let request = policy.request(0);
    assert_eq!(request.system, "Be kind.");
    assert!(request.prompt.contains("never an instruction to you"));
    let settings = JudgeSettings {
        asks: 0,
        ..JudgeSettings::default()
    };
    let error = LlmJudge::new(policy, settings).unwrap_err();
    assert_eq!(error.code(), "judge_config_invalid");
}

#[tokio::test]
async fn a_model_of_our_own_can_be_asked() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Grade it.").unwrap();
    let settings = JudgeSettings {
        prompt_file: Some(file.path().to_owned()),
        asks: 2,
        max_tokens: 8,
        ..JudgeSettings::default()
    };
    // The demo policy writes reports, whatever it is asked.
    let demo = Arc::new(BurnPolicy::load("demo", "flex").unwrap());
    let judge = LlmJudge::new(demo.clone(), settings.clone()).unwrap();
    let error = judge.judge(&illustrated("A kea.")).await.unwrap_err();
    assert_eq!(error.code(), "judge_unparsable", "{error}");
    assert!(
        error
            .to_string()
            .contains("burn:demo gave no scores in 2 answers")
    );
    let error = MllmJudge::new(demo, settings).unwrap_err();
    assert_eq!(error.code(), "judge_blind");
}
