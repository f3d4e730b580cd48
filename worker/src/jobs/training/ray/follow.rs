//! Follows a job on Ray to its end: its state, the new lines of its log, its figures.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use illumine_store::StoreError;
use illumine_store::jobs::JobUpdate;
use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::event::LogLevel;
use illumine_types::training::{METRICS_FILE, TrainingConfig};
use illumine_types::{EventKind, Problem};

use super::super::keep::{KeepError, Keeper};
use super::super::stall::Stall;
use super::client::{JobInfo, RayClient, RayFault, Status};
use super::kept::Kept;
use super::log::{self, Line};
use super::outage::{Next, Outage};
use super::points::Points;
use super::why::why;
use super::{failed, keep_failure};

const POLL: Duration = Duration::from_secs(1);
/// A log comes whole each time: long ones are asked for less often, so that reading
/// them takes a twentieth of the time at most.
const LOG_SHARE: u32 = 20;
const LONGEST_LOG_PAUSE: Duration = Duration::from_secs(60);
/// A cluster may be out of reach for so long before its run fails.
const OUTAGE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A job that was told to stop has so long.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Lines of a log told at a time; Ray keeps them all.
const LINES: usize = 200;
/// Lines that tell why a job failed.
const TAIL: usize = 20;

/// One job and what is told of it.
pub struct Follower {
    pub job: JobContext,
    pub client: RayClient,
    pub kept: Kept,
    /// The job's on Ray.
    pub id: String,
    keeper: Keeper,
    points: Points,
    steps: u64,
    stall: Stall,
    outage: Outage,
    alarm: Option<String>,
    status: Option<Status>,
    log_at: Instant,
    /// There are steps that the queue has not heard of.
    moved: bool,
    tail: VecDeque<String>,
}

/// Whether events reached whoever watches.
enum Told {
    /// Or Redis is away: the run does not depend on it.
    Yes,
    /// The run is another worker's by now.
    NotOurs,
}

impl Follower {
    pub fn new(
        job: JobContext,
        client: RayClient,
        keeper: Keeper,
        kept: Kept,
        points: Points,
        config: &TrainingConfig,
    ) -> Self {
        let now = Instant::now();
        Self {
            id: kept.id(&job.id),
            job,
            client,
            kept,
            keeper,
            points,
            steps: config.settings.steps,
            stall: Stall::new(now),
            outage: Outage::new(OUTAGE_LIMIT),
            alarm: None,
            status: None,
            log_at: now,
            moved: false,
            tail: VecDeque::new(),
        }
    }

    /// To the job's end, or until the run is to stop.
    pub async fn run(mut self) -> Result<(), JobFailure> {
        self.info(format!("following job {} on Ray", self.id)).await;
        self.tell().await?;
        loop {
            let pause = match self.poll().await? {
                Some(info) if info.status.is_final() => return self.ended(&info, false).await,
                Some(_) => POLL,
                None => match self.wait() {
                    Some(pause) => pause,
                    None => return self.lost().await,
                },
            };
            tokio::select! {
                () = self.job.cancel.cancelled() => return self.stop().await,
                // The job goes on; the next worker follows it.
                () = self.job.draining.cancelled() => return Err(JobFailure::released()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look at state and log; `None` while Ray is out of reach.
    async fn poll(&mut self) -> Result<Option<JobInfo>, JobFailure> {
        let info = match self.client.job(&self.id).await {
            Ok(Some(info)) => info,
            Ok(None) => return self.gone().await,
            Err(fault) => return self.out_of_reach(&fault).await,
        };
        let is_final = info.status.is_final();
        if is_final || Instant::now() >= self.log_at {
            let asked = Instant::now();
            match self.client.log(&self.id).await {
                Ok(log) => {
                    let pause = (asked.elapsed() * LOG_SHARE).clamp(POLL, LONGEST_LOG_PAUSE);
                    self.log_at = Instant::now() + pause;
                    self.take(&log, is_final).await?;
                }
                Err(fault) => return self.out_of_reach(&fault).await,
            }
        }
        if self.outage.answered() {
            self.alarm = None;
            self.info("Ray answers again".into()).await;
            self.tell().await?;
        }
        if self.status != Some(info.status) {
            self.status = Some(info.status);
            // Its other lines repeat the log.
            let words = info.message.as_deref().and_then(|said| said.lines().next());
            let words =
                words.map_or_else(String::new, |said| format!(": {}", log::without_keys(said)));
            self.info(format!("the job on Ray is {}{words}", info.status.as_str()))
                .await;
        }
        if let Some(message) = self.stall.alarm(Instant::now()) {
            self.warning(message).await;
        }
        Ok(Some(info))
    }

    /// New lines of the log.
    async fn take(&mut self, log: &str, all: bool) -> Result<(), JobFailure> {
        let (lines, at) = log::new_lines(log, self.kept.log_bytes, all);
        if at == self.kept.log_bytes {
            return Ok(());
        }
        let mut events = Vec::new();
        let mut words = VecDeque::new();
        let (mut left_out, mut has_figures) = (0_usize, false);
        for line in lines.into_iter().filter_map(log::read) {
            match line {
                Line::Step { step, values } => {
                    has_figures = true;
                    if step > self.kept.step {
                        self.stall.ended(Instant::now());
                    }
                    self.kept.step = step;
                    let values = self.points.take(step, values);
                    events.push(EventKind::Metrics { values });
                }
                Line::Words(line) => {
                    self.tail.push_back(line.clone());
                    words.push_back(line);
                    if words.len() > LINES {
                        words.pop_front();
                        left_out += 1;
                    }
                    if self.tail.len() > TAIL {
                        self.tail.pop_front();
                    }
                }
            }
        }
        if left_out > 0 {
            let message = format!("{left_out} lines are left out here; Ray has them all");
            events.push(said(LogLevel::Info, message));
        }
        events.extend(words.into_iter().map(|line| said(LogLevel::Info, line)));
        // First what there is to be looked at, then that it is there; last how far the
        // log was read, so that nothing is left out if this worker dies in between.
        if has_figures {
            let path = self.keeper.folder.join(METRICS_FILE);
            let written = tokio::fs::write(&path, self.points.lines()).await;
            written.map_err(|source| keep_failure(KeepError::Io { path, source }))?;
            let (_, best) = self.points.progress();
            let kept = self.keeper.step(self.kept.step, &best, true).await;
            kept.map_err(keep_failure)?;
        }
        self.publish(&events).await;
        if has_figures {
            self.moved = true;
            self.tell().await?;
        }
        self.kept.log_bytes = at;
        self.kept.save(&self.job.store, &self.job.id).await
    }

    /// The job's end, `asked` for by us or not.
    async fn ended(mut self, info: &JobInfo, asked: bool) -> Result<(), JobFailure> {
        // A success is told again if this worker dies before it is known; all else is
        // over, and Resume submits another job.
        self.kept.ended = info.status != Status::Succeeded;
        self.revoke().await?;
        let problem = match info.status {
            Status::Succeeded => {
                self.info(format!(
                    "the job on Ray ended after step {}",
                    self.kept.step
                ))
                .await;
                return self.tell().await;
            }
            Status::Stopped if asked => {
                self.info(format!("stopped after step {}", self.kept.step))
                    .await;
                return self.tell().await;
            }
            Status::Stopped => Problem::new(
                "ray_job_stopped",
                "The job was stopped on Ray",
                "somebody did so; Resume goes on from verl's last checkpoint",
            ),
            Status::Failed | Status::Pending | Status::Running => Problem::new(
                "ray_job_failed",
                "The job failed on Ray",
                why(info.message.as_deref(), self.tail.make_contiguous()),
            ),
        };
        self.alarm = Some(problem.title.clone());
        self.tell().await?;
        Err(JobFailure::permanent(problem))
    }

    /// Ray has no such job any more: its head lost what it knew.
    async fn gone(&mut self) -> Result<Option<JobInfo>, JobFailure> {
        self.kept.ended = true;
        self.revoke().await?;
        let detail = format!(
            "Ray knows no job {}: its head was started anew. Resume submits another, which \
             goes on from verl's last checkpoint.",
            self.id
        );
        self.alarm = Some(detail.clone());
        self.tell().await?;
        Err(JobFailure::permanent(Problem::new(
            "ray_job_lost",
            "The job is no longer there",
            detail,
        )))
    }

    async fn out_of_reach(&mut self, fault: &RayFault) -> Result<Option<JobInfo>, JobFailure> {
        if !fault.is_passing() {
            return Err(failed(fault));
        }
        if self.alarm.is_none() {
            let words = format!("{fault}; trying again");
            self.error(words.clone()).await;
            self.alarm = Some(words);
            self.tell().await?;
        }
        Ok(None)
    }

    /// How long to wait for Ray; `None` once it has been too long.
    fn wait(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.stall.paused(now);
        match self.outage.failed(now) {
            Next::Wait(pause) => Some(pause),
            Next::GiveUp => None,
        }
    }

    /// Given up; the job may well go on.
    async fn lost(self) -> Result<(), JobFailure> {
        let detail = format!(
            "{}. Its job {} may still run; Resume follows it again.",
            self.alarm.as_deref().unwrap_or("Ray does not answer"),
            self.id
        );
        let title = "The Ray cluster is out of reach";
        Err(JobFailure::permanent(Problem::new(
            "ray_unreachable",
            title,
            detail,
        )))
    }

    /// Ends the job on Ray, and waits until it has ended.
    async fn stop(mut self) -> Result<(), JobFailure> {
        let asked = said(LogLevel::Info, "stopping the job on Ray".into());
        if let Told::NotOurs = self.publish(&[asked]).await {
            // Another worker follows the job now.
            return Err(JobFailure::released());
        }
        let until = Instant::now() + STOP_LIMIT;
        let mut fault = None;
        while Instant::now() < until {
            let info = match self.client.stop(&self.id).await {
                Ok(()) => self.client.job(&self.id).await,
                Err(fault) => Err(fault),
            };
            match info {
                Ok(Some(info)) if info.status.is_final() => {
                    if let Ok(log) = self.client.log(&self.id).await {
                        self.take(&log, true).await?;
                    }
                    return self.ended(&info, true).await;
                }
                Ok(Some(_)) => {}
                Ok(None) => return self.gone().await.map(|_| ()),
                Err(found) => fault = Some(found),
            }
            tokio::time::sleep(POLL).await;
        }
        let reason = fault.map_or_else(
            || format!("it still runs after {} s", STOP_LIMIT.as_secs()),
            |fault| fault.to_string(),
        );
        let words = format!(
            "the job {} could not be stopped on Ray: {reason}. Stop it there: `ray job stop {}`",
            self.id, self.id
        );
        self.error(words.clone()).await;
        self.alarm = Some(words);
        self.tell().await
    }

    /// The job's key is of no use any more.
    pub async fn revoke(&mut self) -> Result<(), JobFailure> {
        if let Some(key) = &self.kept.key {
            match self.job.store.keys().revoke(key).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => self.kept.key = None,
                Err(error) => return Err(error.into()),
            }
        }
        self.kept.save(&self.job.store, &self.job.id).await
    }

    /// Where the run stands, for lists.
    async fn tell(&mut self) -> Result<(), JobFailure> {
        let (progress, best) = self.points.progress();
        let step = self.kept.step;
        let summary = progress.summary(step, &best, self.alarm.clone());
        self.keeper.summary(&summary).await.map_err(keep_failure)?;
        let update = JobUpdate {
            progress: Some((step as f64 / self.steps.max(1) as f64).min(1.0) as f32),
            settled: self.moved,
            ..JobUpdate::default()
        };
        let (id, attempt) = (&self.job.id, self.job.attempt);
        match self.job.store.jobs().update(id, attempt, update).await {
            Ok(()) => self.moved = false,
            Err(error) => tracing::warn!(job = %id, %error, "progress not noted"),
        }
        Ok(())
    }

    pub async fn info(&self, message: String) {
        self.publish(&[said(LogLevel::Info, message)]).await;
    }

    pub async fn warning(&self, message: String) {
        self.publish(&[said(LogLevel::Warning, message)]).await;
    }

    async fn error(&self, message: String) {
        self.publish(&[said(LogLevel::Error, message)]).await;
    }

    async fn publish(&self, events: &[EventKind]) -> Told {
        let (id, attempt) = (&self.job.id, self.job.attempt);
        let stream = self.job.store.events();
        match stream.publish_all(id, attempt, events).await {
            Ok(_) => Told::Yes,
            Err(StoreError::StaleAttempt { .. }) => Told::NotOurs,
            Err(error) => {
                tracing::warn!(job = %id, %error, "events not published");
                Told::Yes
            }
        }
    }
}

fn said(level: LogLevel, message: String) -> EventKind {
    EventKind::Log { level, message }
}
