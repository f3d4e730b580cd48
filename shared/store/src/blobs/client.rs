//! The one place that knows the S3 client library.
//!
//! Every answer's status is checked here (the library answers `Ok` for a 404),
//! every request has a time limit, and passing failures are tried again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use s3::creds::Credentials;
use s3::error::S3Error;
use s3::{Bucket, BucketConfiguration, Region};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::{BlobInfo, BlobPage, BlobStream};
use crate::conn::jittered;
use crate::{Result, StoreConfig, StoreError, Timings};

/// From this size a transfer gets [`LONG_TRANSFER`].
const LARGE: usize = 4 << 20;
const LONG_TRANSFER: Duration = Duration::from_secs(900);
/// Requests of this process at once; the others wait their turn.
const AT_ONCE: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct S3 {
    bucket: Box<Bucket>,
    /// The same, with a time limit for large objects.
    patient: Box<Bucket>,
    retry: Duration,
    /// More at once would only wait in the server, against their time limit.
    slots: Arc<Semaphore>,
}

/// What one request came to.
enum Answer<T> {
    Done(T),
    /// Worth asking again.
    Passing(String),
}

impl S3 {
    pub(crate) async fn connect(config: &StoreConfig, timings: &Timings) -> Result<Self> {
        let unusable = |error: &dyn std::fmt::Display| StoreError::Config(format!("S3: {error}"));
        let region = Region::Custom {
            region: config.s3_region.clone(),
            endpoint: config.s3_endpoint.trim_end_matches('/').to_owned(),
        };
        let credentials = Credentials::new(
            Some(&config.s3_access_key),
            Some(&config.s3_secret_key),
            None,
            None,
            None,
        )
        .map_err(|e| unusable(&e))?;
        let bucket = Bucket::new(&config.s3_bucket, region.clone(), credentials.clone())
            .map_err(|e| unusable(&e))?
            .with_path_style();
        let s3 = Self {
            patient: bucket
                .with_request_timeout(LONG_TRANSFER)
                .map_err(|e| unusable(&e))?,
            bucket: bucket
                .with_request_timeout(timings.s3_request)
                .map_err(|e| unusable(&e))?,
            retry: timings.connect,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        };
        s3.make_bucket(&config.s3_bucket, region, credentials)
            .await?;
        Ok(Self {
            retry: timings.s3_retry,
            ..s3
        })
    }

    async fn make_bucket(
        &self,
        name: &str,
        region: Region,
        credentials: Credentials,
    ) -> Result<()> {
        self.again("bucket", || async {
            let found = match self.bucket.head_object(".illumine").await {
                // A bucket that is there answers 404 for the object too, so ask
                // for the list, which a missing bucket has not.
                Ok((_, 404)) => self
                    .bucket
                    .list_page(".illumine".into(), None, None, None, Some(1))
                    .await
                    .is_ok(),
                Ok((_, 200)) => true,
                Ok((_, status)) => return check(status, "bucket", "").map(|()| Answer::Done(())),
                Err(error) => return passing(error),
            };
            if found {
                return Ok(Answer::Done(()));
            }
            let made = Bucket::create_with_path_style(
                name,
                region.clone(),
                credentials.clone(),
                BucketConfiguration::default(),
            )
            .await;
            match made {
                // 409: another process made it a moment ago.
                Ok(made) if made.response_code == 200 || made.response_code == 409 => {
                    Ok(Answer::Done(()))
                }
                Ok(made) => judge(made.response_code, name, made.response_text.as_bytes()),
                Err(error) => passing(error),
            }
        })
        .await
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8], mime: &str) -> Result<()> {
        let bucket = if bytes.len() < LARGE {
            &self.bucket
        } else {
            &self.patient
        };
        self.again(key, || async {
            match bucket.put_object_with_content_type(key, bytes, mime).await {
                Ok(answer) if answer.status_code() / 100 == 2 => Ok(Answer::Done(())),
                // Not the key is missing, but the bucket.
                Ok(answer) if answer.status_code() == 404 => Err(StoreError::S3Refused {
                    key: key.to_owned(),
                    status: 404,
                    detail: "there is no such bucket".into(),
                }),
                Ok(answer) => judge(answer.status_code(), key, answer.as_slice()),
                Err(error) => passing(error),
            }
        })
        .await
    }

    /// A file of this machine, in parts if it is large.
    pub(crate) async fn put_file(&self, key: &str, path: &Path) -> Result<()> {
        let disk = |error: std::io::Error| StoreError::Disk(format!("{}: {error}", path.display()));
        self.again(key, || async move {
            let mut file = tokio::fs::File::open(path).await.map_err(disk)?;
            match self.patient.put_object_stream(&mut file, key).await {
                Ok(_) => Ok(Answer::Done(())),
                Err(S3Error::HttpFailWithBody(status, body)) => judge(status, key, body.as_bytes()),
                Err(S3Error::Io(error)) => Err(disk(error)),
                Err(error) => passing(error),
            }
        })
        .await
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Bytes> {
        self.again(key, || async {
            match self.patient.get_object(key).await {
                Ok(answer) if answer.status_code() == 200 => {
                    Ok(Answer::Done(answer.bytes().clone()))
                }
                Ok(answer) => judge(answer.status_code(), key, answer.as_slice()),
                Err(error) => passing(error),
            }
        })
        .await
    }

    pub(crate) async fn get_stream(&self, key: &str) -> Result<BlobStream> {
        let info = self.head(key).await?.ok_or_else(|| missing(key))?;
        let body = self
            .again(key, || async {
                match self.patient.get_object_stream(key).await {
                    Ok(answer) if answer.status_code == 200 => Ok(Answer::Done(answer.bytes)),
                    Ok(answer) => judge(answer.status_code, key, b""),
                    Err(error) => passing(error),
                }
            })
            .await?;
        Ok(BlobStream {
            bytes: Some(info.bytes),
            mime: info.mime,
            body: body
                .map_err(|error| StoreError::S3Unavailable(error.to_string()))
                .boxed(),
        })
    }

    pub(crate) async fn head(&self, key: &str) -> Result<Option<BlobInfo>> {
        self.again(key, || async {
            match self.bucket.head_object(key).await {
                Ok((_, 404)) => Ok(Answer::Done(None)),
                Ok((head, 200)) => Ok(Answer::Done(Some(BlobInfo {
                    key: key.to_owned(),
                    bytes: head.content_length.unwrap_or(0).try_into().unwrap_or(0),
                    mime: head.content_type,
                    etag: head.e_tag,
                }))),
                Ok((_, status)) => judge(status, key, b""),
                Err(error) => passing(error),
            }
        })
        .await
    }

    pub(crate) async fn list(&self, prefix: &str, from: Option<String>) -> Result<BlobPage> {
        self.again(prefix, || async {
            let answer = self
                .bucket
                .list_page(prefix.to_owned(), None, None, from.clone(), Some(1000))
                .await;
            match answer {
                Ok((page, 200)) => {
                    let items: Vec<_> = page
                        .contents
                        .into_iter()
                        .map(|object| BlobInfo {
                            key: object.key,
                            bytes: object.size,
                            mime: None,
                            etag: object.e_tag,
                        })
                        .collect();
                    // The last key is a cursor (`start-after`) for every server.
                    let next = items
                        .last()
                        .filter(|_| page.is_truncated)
                        .map(|last| last.key.clone());
                    Ok(Answer::Done(BlobPage { items, next }))
                }
                Ok((_, status)) => judge(status, prefix, b""),
                Err(error) => passing(error),
            }
        })
        .await
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        self.again(key, || async {
            match self.bucket.delete_object(key).await {
                Ok(answer) if matches!(answer.status_code(), 200 | 204 | 404) => {
                    Ok(Answer::Done(()))
                }
                Ok(answer) => judge(answer.status_code(), key, answer.as_slice()),
                Err(error) => passing(error),
            }
        })
        .await
    }

    /// One small request without retries, for health.
    pub(crate) async fn ping(&self) -> Result<()> {
        match self.bucket.head_object(".illumine").await {
            Ok((_, 200 | 404)) => Ok(()),
            Ok((_, status)) => check(status, "health", ""),
            Err(error) => Err(StoreError::S3Unavailable(error.to_string())),
        }
    }

    async fn again<T, F>(&self, key: &str, request: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<Answer<T>>>,
    {
        let mut until = None;
        let mut wait = Duration::from_millis(50);
        loop {
            let slot = self.slots.acquire().await;
            // Waiting for a turn is not waiting for the server.
            let until = *until.get_or_insert_with(|| Instant::now() + self.retry);
            let answer = request().await;
            drop(slot);
            let reason = match answer? {
                Answer::Done(value) => return Ok(value),
                Answer::Passing(reason) => reason,
            };
            if Instant::now() + wait >= until {
                return Err(StoreError::S3Unavailable(reason));
            }
            tracing::debug!(key, reason, "S3 request failed, trying again");
            sleep(jittered(wait)).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }
}

fn missing(key: &str) -> StoreError {
    StoreError::NotFound {
        what: "stored object",
        id: key.to_owned(),
    }
}

/// A status that is not success: for good, or worth asking again.
fn judge<T>(status: u16, key: &str, body: &[u8]) -> Result<Answer<T>> {
    match status {
        404 => Err(missing(key)),
        408 | 429 | 500.. => Ok(Answer::Passing(format!("status {status}"))),
        _ => Err(StoreError::S3Refused {
            key: key.to_owned(),
            status,
            detail: String::from_utf8_lossy(body).chars().take(200).collect(),
        }),
    }
}

fn check(status: u16, key: &str, detail: &str) -> Result<()> {
    match judge::<()>(status, key, detail.as_bytes())? {
        Answer::Done(()) => Ok(()),
        Answer::Passing(reason) => Err(StoreError::S3Unavailable(reason)),
    }
}

/// The library's errors are of the transport, or of an answer that is not S3's.
fn passing<T>(error: S3Error) -> Result<Answer<T>> {
    match error {
        S3Error::Credentials(_) | S3Error::Region(_) | S3Error::UrlParse(_) => {
            Err(StoreError::Config(format!("S3: {error}")))
        }
        error => Ok(Answer::Passing(chain(&error))),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
