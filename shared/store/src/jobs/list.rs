//! Lists of jobs, newest first.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use illumine_types::api::Page;
use illumine_types::{Job, JobId};

use super::{JobFilter, Jobs};
use crate::{Result, StoreError};

/// Jobs looked at for one page; a rare word is found over several pages.
const SCAN_LIMIT: usize = 2_000;
const BATCH: usize = 100;
const PAGE: usize = 200;

impl Jobs {
    /// Newest first. A page may hold fewer than `limit` jobs (1..=200) although
    /// more follow: a search looks at a bounded number of jobs at a time.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`].
    pub async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Job>> {
        let limit = limit.clamp(1, PAGE);
        let mut after = cursor.map(decode).transpose()?;
        let index = self.smallest_index(filter).await?;
        let oldest = filter.since.map_or_else(|| "-".to_owned(), oldest_member);
        let needles = words(filter.search.as_deref().unwrap_or_default());
        let mut items = Vec::new();
        for _ in 0..SCAN_LIMIT / BATCH {
            let members: Vec<String> = self
                .store
                .redis()
                .command(
                    redis::cmd("ZRANGE")
                        .arg(&index)
                        .arg(
                            after
                                .as_ref()
                                .map_or("+".to_owned(), |after| format!("({after}")),
                        )
                        .arg(&oldest)
                        .arg("BYLEX")
                        .arg("REV")
                        .arg("LIMIT")
                        .arg(0)
                        .arg(BATCH),
                )
                .await?;
            let ids = members
                .iter()
                .map(|member| id_of(member).ok_or_else(|| StoreError::corrupt(&index, member)))
                .collect::<Result<Vec<_>>>()?;
            for (member, job) in members.iter().zip(self.read(&ids).await?) {
                after = Some(member.clone());
                let Some(job) = job.filter(|job| matches(filter, &needles, job)) else {
                    continue;
                };
                items.push(job);
                if items.len() == limit {
                    let next_cursor = Some(encode(member));
                    return Ok(Page { items, next_cursor });
                }
            }
            if members.len() < BATCH {
                return Ok(Page {
                    items,
                    next_cursor: None,
                });
            }
        }
        Ok(Page {
            items,
            next_cursor: after.as_deref().map(encode),
        })
    }

    /// Of the indexes that hold all that is asked for, the shortest.
    async fn smallest_index(&self, filter: &JobFilter) -> Result<String> {
        let mut names = vec!["il:index:all".to_owned()];
        names.extend(
            filter
                .kind
                .map(|kind| format!("il:index:kind:{}", kind.as_str())),
        );
        names.extend(
            filter
                .status
                .map(|status| format!("il:index:status:{}", status.as_str())),
        );
        names.extend(
            filter
                .owner
                .as_ref()
                .map(|owner| format!("il:index:owner:{owner}")),
        );
        let mut pipe = redis::pipe();
        for name in &names {
            pipe.zcard(name);
        }
        let counts: Vec<u64> = self.store.redis().pipeline(&pipe).await?;
        let smallest = counts
            .into_iter()
            .zip(names)
            .min_by_key(|(count, _)| *count);
        Ok(smallest.map_or_else(|| "il:index:all".into(), |(_, name)| name))
    }
}

fn matches(filter: &JobFilter, needles: &[String], job: &Job) -> bool {
    filter.kind.is_none_or(|kind| job.kind == kind)
        && filter.status.is_none_or(|status| job.status == status)
        && filter.owner.is_none() | (job.owner == filter.owner)
        && filter.since.is_none_or(|since| job.created_at >= since)
        && filter
            .tool
            .is_none_or(|tool| job.tools_used.contains(&tool))
        && {
            let title = job.title.to_lowercase();
            needles.iter().all(|needle| title.contains(needle))
        }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_lowercase).collect()
}

/// `01J…:gen` back to `gen_01J…`.
fn id_of(member: &str) -> Option<JobId> {
    let (ulid, prefix) = member.split_once(':')?;
    JobId::parse(&format!("{prefix}_{ulid}")).ok()
}

fn encode(member: &str) -> String {
    URL_SAFE_NO_PAD.encode(member)
}

fn decode(cursor: &str) -> Result<String> {
    let bytes = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| StoreError::BadCursor)?;
    let member = String::from_utf8(bytes).map_err(|_| StoreError::BadCursor)?;
    id_of(&member).map(|_| member).ok_or(StoreError::BadCursor)
}

/// The smallest member of that millisecond: a ULID begins with its time.
fn oldest_member(since: chrono::DateTime<chrono::Utc>) -> String {
    let milliseconds = u64::try_from(since.timestamp_millis()).unwrap_or(0);
    format!("[{}", ulid::Ulid::from_parts(milliseconds, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_cursors_are_read() {
        let member = "01J9ZD1N7H0000000000000000:gen";
        assert_eq!(decode(&encode(member)).unwrap(), member);
        for bad in [
            "",
            "%%",
            "abc",
            &encode("01J9:gen"),
            &encode("+"),
            &encode("01J9ZD1N7H0000000000000000:foo"),
        ] {
            assert!(matches!(decode(bad), Err(StoreError::BadCursor)), "{bad}");
        }
    }
}
