//! The reward as a service: what the caller is told of its job. The tests play the worker.

use std::time::Duration;

use illumine_store::jobs::JobFilter;
use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::reward::{RewardAnswer, RewardVerdict};
use illumine_types::{EventKind, JobKind, Problem};
use serde_json::json;

use crate::harness::{App, json};

const REWARDS: &str = "/api/v1/rewards";

async fn found(job: JobContext) -> Result<(), JobFailure> {
    let score = RewardAnswer {
        id: job.id.clone(),
        verdict: RewardVerdict::Scored { reward: 0.25 },
        breakdown: json!({ "asked": job.request }),
        pictures: Vec::new(),
    };
    let event = EventKind::Scored {
        score: Box::new(score),
    };
    let events = job.store.events();
    events.publish(&job.id, job.attempt, event).await?;
    Ok(())
}

async fn refuse(_: JobContext) -> Result<(), JobFailure> {
    let problem = Problem::new("odd", "Odd", "an odd answer");
    Err(JobFailure::permanent(problem))
}

/// Waits until a worker has told of itself.
async fn scorers(app: &App) {
    while app.store().queue().workers().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn nothing_kept(app: &App) {
    let any = JobFilter::default();
    for _ in 0..200 {
        let jobs = app.store().jobs().list(&any, None, 10).await.unwrap();
        if jobs.items.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_gets_the_score_and_the_job_is_gone() {
    let app = App::open().await;
    let _worker = app.worker_for(&[JobKind::Score], found);
    scorers(&app).await;
    let body = json!({ "question": "Owls?", "answer": "Owls.", "image_num": 99 });
    let response = app.post(REWARDS, body).await;
    assert_eq!(response.status(), 200);
    let answer = json(response).await;
    assert_eq!(
        answer["verdict"],
        json!({ "status": "scored", "reward": 0.25 })
    );
    let asked = &answer["breakdown"]["asked"];
    assert_eq!(
        (&asked["image_num"], &asked["factors"]["llm"]),
        (&json!(99), &json!(0.5))
    );
    nothing_kept(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_is_told_with_its_code() {
    let app = App::open().await;
    let _worker = app.worker_for(&[JobKind::Score], refuse);
    scorers(&app).await;
    let body = json!({ "question": "Owls?", "answer": "Owls." });
    let response = app.post(REWARDS, body).await;
    assert_eq!(response.status(), 502);
    let problem = json(response).await;
    assert_eq!(problem["code"], "not_scored");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("odd: an odd answer")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_that_left_asked_for_is_not_kept_either() {
    let app = App::open().await;
    let _worker = app.worker_for(&[JobKind::Score], |job: JobContext| async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        found(job).await
    });
    scorers(&app).await;
    let body = json!({ "question": "Owls?", "answer": "Owls." });
    let call = app.request(reqwest::Method::POST, REWARDS).json(&body);
    let call = call.timeout(Duration::from_secs(1));
    assert!(call.send().await.unwrap_err().is_timeout());
    nothing_kept(&app).await;
}
