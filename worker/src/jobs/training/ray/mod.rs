//! A run on a Ray cluster: submitted as a job through Ray's Jobs API with the recipes
//! of `infra/ray`, and followed.
//!
//! ```text
//! settings ─recipe─┐
//! prompts ─────────┴─package─▶ client ──▶ Ray ──▶ verl ──reward.py──▶ POST /api/v1/rewards
//!                                 ▲                 │ prints
//!                               follow ◀────log─────┘ ──▶ events, metrics.jsonl, summary
//! ```
//!
//! The job's id comes from the run's, so a worker that takes the run over finds it.
//! Its checkpoints stay on the cluster.

mod client;
mod follow;
mod kept;
mod log;
mod outage;
mod package;
mod points;
mod recipe;
mod why;

use std::time::Duration;

use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::api::Role;
use illumine_types::training::{METRICS_FILE, TrainingConfig};
use illumine_types::{Problem, ToolKind};

use self::client::{RayClient, RayFault, Submission};
use self::follow::Follower;
use self::kept::Kept;
use self::package::{ENTRYPOINT, Package, package};
use self::points::Points;
use super::keep::Keeper;
use super::material::{self, refused};
use super::{Workshop, kept as keep_failure, local};

/// A head that was just started takes a moment.
const TRIES: u32 = 3;
const BETWEEN: Duration = Duration::from_secs(2);

pub async fn run(
    workshop: &Workshop,
    job: &JobContext,
    config: &TrainingConfig,
) -> Result<(), JobFailure> {
    config
        .check_for_ray()
        .map_err(|error| refused(&error.field, error.reason))?;
    let target = workshop
        .config()
        .ray()
        .map_err(|unset| refused("engine", format!("set {unset}")))?;
    let callback = target.callback.clone();
    let client = RayClient::new(target).map_err(|fault| failed(&fault))?;

    let scratch = tempfile::Builder::new().prefix("illumine-run-").tempdir();
    let scratch = scratch.map_err(|error| local(&error))?;
    let folder = scratch.path().join("run");
    let most = config.settings.keep_checkpoints as usize;
    let mut keeper = Keeper::new(job.store.clone(), job.id.clone(), folder, most);
    keeper.fetch().await.map_err(keep_failure)?;
    let lines = tokio::fs::read_to_string(keeper.folder.join(METRICS_FILE)).await;
    let points = Points::from_lines(&lines.unwrap_or_default());

    let kept = Kept::load(&job.store, &job.id).await?.current();
    let mut follower = Follower::new(job.clone(), client, keeper, kept, points, config);
    if !follower.kept.submitted {
        let dataset = material::dataset(&job.store, config).await?;
        let template = workshop.settings().system_prompt.as_deref();
        let tools: Vec<ToolKind> = workshop
            .tools()
            .iter()
            .map(|tool| tool.capability())
            .filter(|capability| capability.available)
            .map(|capability| capability.tool)
            .collect();
        let package = package(config, &job.id, &dataset, template, &tools)
            .map_err(|(field, reason)| refused(field, reason))?;
        submit(&mut follower, package, &callback, config).await?;
    }
    follower.run().await
}

/// Sends the run to Ray, unless a worker that died did so before.
async fn submit(
    follower: &mut Follower,
    package: Package,
    callback: &str,
    config: &TrainingConfig,
) -> Result<(), JobFailure> {
    let version = reached(&follower.client).await?;
    let there = follower.client.job(&follower.id).await;
    if there.map_err(|fault| failed(&fault))?.is_none() {
        follower
            .info(format!("Ray {version} is asked to train"))
            .await;
        if package.left_out > 0 {
            let words = format!(
                "{} rows with pictures are left out: on Ray, prompts are in words",
                package.left_out
            );
            follower.warning(words).await;
        }
        let sent = send(follower, package, callback, config).await;
        if let Err(failure) = sent {
            follower.revoke().await?;
            return Err(failure);
        }
    }
    follower.kept.submitted = true;
    follower
        .kept
        .save(&follower.job.store, &follower.job.id)
        .await
}

async fn send(
    follower: &mut Follower,
    package: Package,
    callback: &str,
    config: &TrainingConfig,
) -> Result<(), JobFailure> {
    let Package { name, bytes, .. } = package;
    let uploaded = follower.client.upload(&name, bytes).await;
    let working_dir = uploaded.map_err(|fault| failed(&fault))?;
    // One that a worker left when it died just here; its job was never made.
    follower.revoke().await?;
    let (store, run) = (follower.job.store.clone(), follower.job.id.clone());
    // Ray shows a job's environment to whoever may see the job: the key is this job's
    // alone, may do the least there is, and ends with it.
    let key = store
        .keys()
        .create(&format!("{run} on Ray"), Role::Member)
        .await?;
    follower.kept.key = Some(key.key.id);
    follower.kept.save(&store, &run).await?;
    let environment = [
        ("ILLUMINE_URL", callback.to_owned()),
        ("ILLUMINE_API_KEY", key.secret),
        ("ILLUMINE_RUN", run.to_string()),
        (
            "ILLUMINE_REWARD_FACTORS",
            serde_json::to_string(&config.reward).unwrap_or_default(),
        ),
        (
            "ILLUMINE_TIME_LIMIT_S",
            config.settings.time_limit_s.to_string(),
        ),
    ];
    let submission = Submission {
        id: &follower.id,
        entrypoint: ENTRYPOINT,
        working_dir: &working_dir,
        environment: &environment,
        run: run.as_str(),
    };
    let Err(fault) = follower.client.submit(&submission).await else {
        return Ok(());
    };
    // The answer may have been lost on its way.
    match follower.client.job(&follower.id).await {
        Ok(Some(_)) => Ok(()),
        _ => Err(failed(&fault)),
    }
}

/// Ray's version, once it answers.
async fn reached(client: &RayClient) -> Result<String, JobFailure> {
    let mut tried = 1;
    loop {
        match client.version().await {
            Ok(version) => return Ok(version),
            Err(fault) if fault.is_passing() && tried < TRIES => {
                tried += 1;
                tokio::time::sleep(BETWEEN).await;
            }
            Err(fault) => return Err(failed(&fault)),
        }
    }
}

/// A person sees to it: the run is resumed when Ray is there.
fn failed(fault: &RayFault) -> JobFailure {
    let (code, title) = match fault {
        RayFault::Unreachable { .. } => ("ray_unreachable", "The Ray cluster is out of reach"),
        RayFault::NotRay { .. } => ("ray_unreachable", "There is no Ray cluster"),
        RayFault::Refused { .. } => ("ray_refused", "Ray refused the run"),
    };
    JobFailure::permanent(Problem::new(code, title, fault.to_string()))
}
