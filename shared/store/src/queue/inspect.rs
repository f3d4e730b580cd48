//! Looking at the queue and steering it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use illumine_types::capability::WorkerInfo;
use illumine_types::{JobId, JobKind, Priority, Problem};
use redis::streams::StreamRangeReply;

use crate::conn::LENGTHS;
use crate::events::EventId;
use crate::{Result, Store, StoreError};

/// Looking at the queue and steering it.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) store: Store,
}

/// How full one kind's queue is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QueueLength {
    pub kind: JobKind,
    /// Waiting, by priority.
    pub waiting: BTreeMap<&'static str, u64>,
    pub running: u64,
    /// Waiting for another attempt.
    pub delayed: u64,
    pub paused: bool,
}

impl QueueLength {
    /// Waiting in all priorities.
    #[must_use]
    pub fn waiting_total(&self) -> u64 {
        self.waiting.values().sum()
    }
}

/// A job that has failed for good.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeadLetter {
    pub id: JobId,
    pub attempts: u32,
    pub error: Problem,
    pub at: DateTime<Utc>,
}

impl Queue {
    /// One entry a kind.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn lengths(&self) -> Result<Vec<QueueLength>> {
        let mut script = LENGTHS.prepare_invoke();
        for kind in JobKind::ALL {
            script.arg(kind.as_str());
        }
        let rows: Vec<[u64; 6]> = self.store.redis().script(&script).await?;
        let lengths = JobKind::ALL.into_iter().zip(rows);
        Ok(lengths
            .map(|(kind, row)| QueueLength {
                kind,
                waiting: Priority::SERVED
                    .into_iter()
                    .zip(row)
                    .map(|(priority, waiting)| (priority.as_str(), waiting))
                    .collect(),
                running: row[3],
                delayed: row[4],
                paused: row[5] == 1,
            })
            .collect())
    }

    /// Stops handing out jobs of a kind; running ones go on.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn pause(&self, kind: JobKind) -> Result<()> {
        let mut command = redis::cmd("SADD");
        command.arg("il:paused").arg(kind.as_str());
        self.store.redis().command(&command).await
    }

    /// # Errors
    /// If Redis is away.
    pub async fn resume(&self, kind: JobKind) -> Result<()> {
        let mut pipe = redis::pipe();
        pipe.srem("il:paused", kind.as_str()).ignore();
        pipe.publish("il:wake", kind.as_str()).ignore();
        self.store.redis().pipeline(&pipe).await
    }

    /// Workers with a recent heartbeat.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        let now = Utc::now().timestamp_millis();
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg("il:workers").arg(now).arg("+inf");
        let ids: Vec<String> = self.store.redis().command(&command).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for id in &ids {
            pipe.hget(format!("il:worker:{id}"), "info");
        }
        let infos: Vec<Option<String>> = self.store.redis().pipeline(&pipe).await?;
        infos
            .into_iter()
            .flatten()
            .map(|json| {
                serde_json::from_str(&json).map_err(|e| StoreError::corrupt("il:worker", e))
            })
            .collect()
    }

    /// The newest failed jobs with their reasons.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let mut command = redis::cmd("XREVRANGE");
        command
            .arg("il:dead")
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(limit.max(1));
        let reply: StreamRangeReply = self.store.redis().command(&command).await?;
        reply
            .ids
            .into_iter()
            .map(|entry| {
                let corrupt = || StoreError::corrupt("il:dead", &entry.id);
                let field = |name| entry.get::<String>(name).ok_or_else(corrupt);
                Ok(DeadLetter {
                    id: JobId::parse(&field("id")?).map_err(|_| corrupt())?,
                    attempts: field("attempts")?.parse().map_err(|_| corrupt())?,
                    error: serde_json::from_str(&field("error")?).map_err(|_| corrupt())?,
                    at: EventId::parse(&entry.id)?.time(),
                })
            })
            .collect()
    }
}
