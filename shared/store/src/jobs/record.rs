//! Reading a job's record.

use chrono::{DateTime, Utc};
use illumine_types::{ApiKeyId, Job, JobId, JobState, Priority};

use super::Jobs;
use crate::conn::READ;
use crate::{Result, StoreError};

/// What is read of a record, in this order; `position` and `eta` follow.
const FIELDS: [&str; 15] = [
    "status",
    "sequence",
    "title",
    "owner",
    "priority",
    "attempt",
    "worker",
    "progress",
    "error",
    "thumbnail",
    "tools",
    "created",
    "started",
    "finished",
    "kind",
];

impl Jobs {
    /// Records in the order of the ids; `None` where there is none.
    pub(super) async fn read(&self, ids: &[JobId]) -> Result<Vec<Option<Job>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut script = READ.prepare_invoke();
        for field in FIELDS {
            script.arg(field);
        }
        script.arg("");
        for id in ids {
            script.arg(id.as_str());
        }
        let rows: Vec<Vec<String>> = self.store.redis().script(&script).await?;
        ids.iter()
            .zip(rows)
            .map(|(id, row)| {
                if row.is_empty() {
                    Ok(None)
                } else {
                    parse(id, &row).map(Some)
                }
            })
            .collect()
    }
}

fn parse(id: &JobId, row: &[String]) -> Result<Job> {
    let corrupt = |detail: &str| StoreError::corrupt(format!("il:job:{id}"), detail);
    let [
        status,
        sequence,
        title,
        owner,
        priority,
        attempt,
        worker,
        progress,
        error,
        thumbnail,
        tools,
        created,
        started,
        finished,
        _kind,
        position,
        eta,
    ] = row
    else {
        return Err(corrupt("the record has not the expected fields"));
    };
    let json = |name: &str, e: serde_json::Error| corrupt(&format!("{name}: {e}"));
    Ok(Job {
        id: id.clone(),
        kind: id.kind(),
        status: JobState::parse(status).ok_or_else(|| corrupt("status"))?,
        sequence: sequence.parse().map_err(|_| corrupt("sequence"))?,
        title: title.clone(),
        owner: present(owner).map(|owner| ApiKeyId(owner.to_owned())),
        priority: parse_priority(priority).ok_or_else(|| corrupt("priority"))?,
        attempt: attempt.parse().map_err(|_| corrupt("attempt"))?,
        position: present(position).and_then(|text| text.parse().ok()),
        eta_s: present(eta).and_then(|text| text.parse().ok()),
        worker: present(worker)
            .map(serde_json::from_str)
            .transpose()
            .map_err(|e| json("worker", e))?,
        progress: progress.parse().unwrap_or(0.0),
        error: present(error)
            .map(serde_json::from_str)
            .transpose()
            .map_err(|e| json("error", e))?,
        thumbnail: present(thumbnail).map(str::to_owned),
        tools_used: present(tools)
            .map(serde_json::from_str)
            .transpose()
            .map_err(|e| json("tools", e))?
            .unwrap_or_default(),
        created_at: time(created).ok_or_else(|| corrupt("created"))?,
        started_at: time(started),
        finished_at: time(finished),
    })
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn time(milliseconds: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(milliseconds.parse().ok()?)
}

pub(crate) fn parse_priority(word: &str) -> Option<Priority> {
    Priority::SERVED
        .into_iter()
        .find(|priority| priority.as_str() == word)
}
