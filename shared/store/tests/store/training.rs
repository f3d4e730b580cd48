//! What runs keep, and the policy in use.

use chrono::Utc;
use illumine_store::Store;
use illumine_store::jobs::NewJob;
use illumine_types::training::{
    Checkpoint, CheckpointFile, POLICY_KEY, PolicyChoice, RunSummary, checkpoint_folder, run_key,
    samples_file,
};
use illumine_types::{JobId, JobKind};
use serde_json::json;

use crate::harness::Servers;
use crate::help::new_job;

async fn put(store: &Store, run: &JobId, file: &str, text: &str) {
    let key = run_key(run, file);
    store.blobs().put(&key, text, "text/plain").await.unwrap();
}

/// A checkpoint of one file, as a worker leaves it.
async fn put_checkpoint(store: &Store, run: &JobId, step: u64) -> Checkpoint {
    let checkpoint = Checkpoint {
        step,
        reward: Some(1.0 / step as f64),
        // When it was written, it was.
        best: true,
        in_use: false,
        files: vec![CheckpointFile {
            name: "config.json".into(),
            bytes: 2,
        }],
        created_at: Utc::now(),
    };
    let folder = checkpoint_folder(step);
    put(store, run, &format!("{folder}/config.json"), "{}").await;
    let text = serde_json::to_string(&checkpoint).unwrap();
    put(store, run, &format!("{folder}/checkpoint.json"), &text).await;
    checkpoint
}

#[tokio::test]
async fn a_run_tells_nothing_until_it_does() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let run = JobId::generate(JobKind::TrainingRun);
    let training = store.training();
    assert_eq!(training.summary(&run).await.unwrap(), RunSummary::default());
    assert!(training.metrics(&run).await.unwrap().is_empty());
    assert!(training.sample_steps(&run).await.unwrap().is_empty());
    assert_eq!(training.samples(&run, 10).await.unwrap(), None);
    assert!(training.checkpoints(&run).await.unwrap().is_empty());

    put(&store, &run, "summary.json", r#"{"step":3,"curve":[0.5]}"#).await;
    put(&store, &run, "metrics.jsonl", "{\"step\":1}\n").await;
    let sample = json!({"prompt": "p", "sample": 1, "document": null});
    let lines = format!("{sample}\n{{\"prompt\"\n\n{sample}\n");
    put(&store, &run, &samples_file(1_000_000), &lines).await;
    put(&store, &run, &samples_file(10), "").await;
    put(&store, &run, "samples/step-20.jsonl", "").await;
    put(&store, &run, "samples/step-000030.json", "").await;
    assert_eq!(training.summary(&run).await.unwrap().curve, [0.5]);
    assert_eq!(training.metrics(&run).await.unwrap(), "{\"step\":1}\n");
    assert_eq!(training.sample_steps(&run).await.unwrap(), [10, 1_000_000]);
    let samples = training.samples(&run, 1_000_000).await.unwrap().unwrap();
    assert_eq!((samples.len(), samples[1].prompt.as_str()), (2, "p"));
    assert_eq!(training.samples(&run, 10).await.unwrap(), Some(vec![]));

    put(&store, &run, "summary.json", "half").await;
    let told = training.summary(&run).await.unwrap_err();
    assert_eq!(told.code(), "stored_object_unreadable");
}

#[tokio::test]
async fn a_checkpoint_is_there_once_it_is_whole() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let run = JobId::generate(JobKind::TrainingRun);
    let training = store.training();
    let last = put_checkpoint(&store, &run, 100).await;
    let first = put_checkpoint(&store, &run, 20).await;
    put(&store, &run, "checkpoints/step-000040/config.json", "{}").await;
    put(&store, &run, "checkpoints/step-60/checkpoint.json", "{}").await;
    let other = JobId::generate(JobKind::TrainingRun);
    put_checkpoint(&store, &other, 60).await;

    let all = training.checkpoints(&run).await.unwrap();
    let last = Checkpoint {
        best: false,
        ..last
    };
    assert_eq!(all, [first.clone(), last], "the first is the best of them");
    assert_eq!(training.checkpoint(&run, 20).await.unwrap(), Some(first));
    assert_eq!(training.checkpoint(&run, 40).await.unwrap(), None);
    assert_eq!(training.checkpoint(&run, 60).await.unwrap(), None);
}

#[tokio::test]
async fn a_policy_is_chosen_and_put_back() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let training = store.training();
    assert_eq!(training.choice().await.unwrap(), None);
    training.clear_choice().await.unwrap();
    let choice = PolicyChoice {
        run: JobId::generate(JobKind::TrainingRun),
        step: 20,
    };
    training.set_choice(&choice).await.unwrap();
    assert!(servers.s3.has(POLICY_KEY));
    assert_eq!(training.choice().await.unwrap(), Some(choice));
    training.clear_choice().await.unwrap();
    assert_eq!(training.choice().await.unwrap(), None);
}

#[tokio::test]
async fn a_deleted_run_leaves_nothing_of_its_own() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let submit = async |kind| {
        let new = NewJob {
            kind,
            ..new_job("a run")
        };
        store.jobs().submit(new).await.unwrap().job.id
    };
    let run = submit(JobKind::TrainingRun).await;
    let other = submit(JobKind::TrainingRun).await;
    for run in [&run, &other] {
        put(&store, run, "metrics.jsonl", "{}").await;
        put(&store, run, &samples_file(10), "").await;
        put_checkpoint(&store, run, 20).await;
    }
    store.jobs().delete(&run).await.unwrap();
    let left = async |id: &JobId| {
        let keys = store.blobs().list_all(&run_key(id, "")).await.unwrap();
        keys.len()
    };
    assert_eq!((left(&run).await, left(&other).await), (0, 4));
    assert!(store.jobs().job(&run).await.is_err());
    assert!(store.jobs().job(&other).await.is_ok());
}
