//! Step after step.

use std::time::{Duration, Instant};

use illumine_store::jobs::JobUpdate;
use illumine_store::queue::{JobContext, JobFailure};
use illumine_train::TrainError;
use illumine_train::rl::{Run, Surroundings};
use illumine_types::event::LogLevel;
use illumine_types::training::{METRICS_FILE, TrainingConfig};
use illumine_types::{EventKind, Problem};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::keep::Keeper;
use super::kept;
use super::mlflow::{MlFlow, Status};
use super::progress::{Progress, point};
use super::stall::Stall;

/// Waits after outages, seconds: a judge or a tool is given time to come back.
const PAUSES_S: [u64; 8] = [10, 20, 40, 80, 160, 300, 300, 300];
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// A run under way.
pub struct Work {
    job: JobContext,
    run: Run,
    keeper: Keeper,
    around: Surroundings,
    abandoned: CancellationToken,
    progress: Progress,
    stall: Stall,
    /// There is a checkpoint that the queue has not heard of.
    settled: bool,
    mlflow: Option<(MlFlow, TrainingConfig)>,
}

impl Work {
    pub fn new(
        job: JobContext,
        run: Run,
        keeper: Keeper,
        around: Surroundings,
        abandoned: CancellationToken,
    ) -> Self {
        let lines = std::fs::read_to_string(keeper.folder.join(METRICS_FILE));
        let progress = Progress::from_lines(&lines.unwrap_or_default(), run.steps_done());
        Self {
            job,
            run,
            keeper,
            around,
            abandoned,
            progress,
            stall: Stall::new(Instant::now()),
            settled: false,
            mlflow: None,
        }
    }

    /// Its figures also go to a server of MLflow.
    pub fn tracked(mut self, server: Option<MlFlow>, config: TrainingConfig) -> Self {
        self.mlflow = server.map(|server| (server, config));
        self
    }

    /// To the end, or until it is to stop.
    pub async fn run(mut self) -> Result<(), JobFailure> {
        let ended = self.steps().await;
        let status = match &ended {
            // Another worker goes on.
            Err(failure) if failure.is_released() => return ended,
            Err(_) => Status::Failed,
            Ok(()) if self.job.cancel.is_cancelled() => Status::Stopped,
            Ok(()) => Status::Finished,
        };
        if let Some((server, config)) = &mut self.mlflow
            && let Err(error) = server.end(config, status).await
        {
            self.log(LogLevel::Warning, error.to_string()).await;
        }
        ended
    }

    async fn steps(&mut self) -> Result<(), JobFailure> {
        let _watch = self.watch();
        let before = self.run.steps_done();
        if before > 0 {
            self.log(LogLevel::Info, format!("going on after step {before}"))
                .await;
        }
        for tool in &self.around.tools {
            let capability = tool.capability();
            if let (false, Some(reason)) = (capability.available, &capability.reason) {
                let words = format!(
                    "{} cannot run here ({reason}): answers that call it are left out",
                    capability.tool.as_str()
                );
                self.log(LogLevel::Warning, words).await;
            }
        }
        self.tell(None).await?;
        self.begin().await?;
        let mut outages = 0;
        loop {
            if let Some(reason) = self.run.end() {
                self.checkpoint().await?;
                self.log(LogLevel::Info, reason).await;
                return Ok(());
            }
            if self.is_to_stop() {
                self.checkpoint().await?;
                let step = self.run.steps_done();
                self.log(LogLevel::Info, format!("stopped after step {step}"))
                    .await;
                return match self.job.cancel.is_cancelled() {
                    true => Ok(()),
                    false => Err(JobFailure::released()),
                };
            }
            let folder = self.keeper.folder.clone();
            match self.run.step(&self.around, &folder).await {
                Ok(line) => {
                    outages = 0;
                    self.stall.ended(Instant::now());
                    if let Some(failure) = &line.validation_failure {
                        let words = format!("held-out prompts were not scored: {failure}");
                        self.log(LogLevel::Warning, words).await;
                    }
                    self.progress.take(line.step, line.metrics.reward);
                    self.metrics(point(&line)).await;
                    // First what there is to be looked at, then that it is there.
                    let best = *self.run.validations();
                    let kept_all = self.keeper.step(line.step, &best, false).await;
                    self.settled |= kept_all.map_err(kept)?;
                    self.tell(None).await?;
                }
                Err(error @ TrainError::Outage { .. }) => {
                    self.outage(&error, outages).await?;
                    outages += 1;
                }
                Err(error) => {
                    self.tell(Some(error.to_string())).await?;
                    return Err(failure(&error));
                }
            }
        }
    }

    /// The validation before the first step.
    async fn begin(&mut self) -> Result<(), JobFailure> {
        let folder = self.keeper.folder.clone();
        match self.run.begin(&self.around, &folder).await {
            Ok(None) => Ok(()),
            Ok(Some(validation)) => {
                let values = json!({"step": 0, "validation_reward": validation.reward});
                if let Value::Object(values) = values {
                    self.metrics(values).await;
                }
                self.tell(None).await
            }
            Err(error @ TrainError::Outage { .. }) => {
                let words = format!("held-out prompts were not scored: {error}");
                self.log(LogLevel::Warning, words).await;
                Ok(())
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Waits; what was learnt so far is kept first.
    async fn outage(&mut self, error: &TrainError, before: usize) -> Result<(), JobFailure> {
        self.checkpoint().await?;
        let Some(pause) = PAUSES_S.get(before).copied() else {
            self.tell(Some(error.to_string())).await?;
            return Err(failure(error));
        };
        let words = format!("{error}; trying again in {pause} s");
        self.log(LogLevel::Error, words.clone()).await;
        self.tell(Some(words)).await?;
        let until = Instant::now() + Duration::from_secs(pause);
        while Instant::now() < until && !self.is_to_stop() {
            self.stall.paused(Instant::now());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    fn is_to_stop(&self) -> bool {
        self.job.cancel.is_cancelled()
            || self.job.draining.is_cancelled()
            || self.abandoned.is_cancelled()
    }

    /// A checkpoint of now, kept with all else.
    async fn checkpoint(&mut self) -> Result<(), JobFailure> {
        let step = self.run.steps_done();
        if step == 0 {
            return Ok(());
        }
        self.run
            .checkpoint(&self.keeper.folder)
            .map_err(|error| failure(&error))?;
        let best = *self.run.validations();
        self.settled |= self.keeper.step(step, &best, true).await.map_err(kept)?;
        Ok(())
    }

    /// Where the run stands, for lists.
    async fn tell(&mut self, alarm: Option<String>) -> Result<(), JobFailure> {
        let step = self.run.steps_done();
        let summary = self.progress.summary(step, self.run.validations(), alarm);
        self.keeper.summary(&summary).await.map_err(kept)?;
        let update = JobUpdate {
            progress: Some(self.run.progress()),
            settled: self.settled,
            ..JobUpdate::default()
        };
        let (id, attempt) = (&self.job.id, self.job.attempt);
        match self.job.store.jobs().update(id, attempt, update).await {
            Ok(()) => self.settled = false,
            Err(error) => tracing::warn!(job = %id, %error, "progress not noted"),
        }
        Ok(())
    }

    async fn metrics(&mut self, values: Map<String, Value>) {
        if let Some((server, config)) = &mut self.mlflow
            && let Some(words) = server.log(config, &values).await
        {
            self.log(LogLevel::Warning, words).await;
        }
        self.emit(EventKind::Metrics { values }).await;
    }

    async fn log(&self, level: LogLevel, message: String) {
        self.emit(EventKind::Log { level, message }).await;
    }

    async fn emit(&self, event: EventKind) {
        publish(&self.job, event).await;
    }

    /// Watches for steps that do not end, from another task, as long as the value lives.
    fn watch(&self) -> tokio_util::sync::DropGuard {
        let ended = CancellationToken::new();
        let (job, stall, until) = (self.job.clone(), self.stall.clone(), ended.clone());
        tokio::spawn(async move {
            while !until.is_cancelled() {
                tokio::time::sleep(WATCH_EVERY).await;
                if let Some(message) = stall.alarm(Instant::now()) {
                    raise(&job, message.clone()).await;
                    let level = LogLevel::Warning;
                    publish(&job, EventKind::Log { level, message }).await;
                }
            }
        });
        ended.drop_guard()
    }
}

/// Shows an alarm with the run until its next step ends.
async fn raise(job: &JobContext, alarm: String) {
    let training = job.store.training();
    let raised = async {
        let mut summary = training.summary(&job.id).await?;
        summary.alarm = Some(alarm);
        training.put_summary(&job.id, &summary).await
    };
    if let Err(error) = raised.await {
        tracing::warn!(job = %job.id, %error, "alarm not noted");
    }
}

async fn publish(job: &JobContext, event: EventKind) {
    // The run does not depend on who watches it.
    let published = job
        .store
        .events()
        .publish(&job.id, job.attempt, event)
        .await;
    if let Err(error) = published {
        tracing::warn!(job = %job.id, %error, "event not published");
    }
}

/// An outage or a full disk passes; all else comes again with the same run.
pub fn failure(error: &TrainError) -> JobFailure {
    let (code, title) = match error {
        TrainError::Outage { .. } => ("outage", "A judge or a tool is out of order"),
        TrainError::Diverged { .. } => ("diverged", "The run diverged"),
        TrainError::Config { .. } => ("invalid_value", "The run cannot start"),
        _ => ("training_failed", "The run broke off"),
    };
    let problem = Problem::new(code, title, error.to_string());
    match error {
        TrainError::Io { .. } => JobFailure::transient(problem),
        _ => JobFailure::permanent(problem),
    }
}
