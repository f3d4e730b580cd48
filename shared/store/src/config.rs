//! Where the two stores are, and the queue's timings.

use std::fmt;
use std::time::Duration;

/// Connection settings. Its `Debug` masks secrets.
#[derive(Clone)]
pub struct StoreConfig {
    /// `redis://[:password@]host:port/db` or `redis+unix:///path`.
    pub redis_url: String,
    /// `http(s)://host:port`.
    pub s3_endpoint: String,
    /// Three characters or more; made if it is missing.
    pub s3_bucket: String,
    pub s3_region: String,
    pub s3_access_key: String,
    pub s3_secret_key: String,
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("redis_url", &masked_url(&self.redis_url))
            .field("s3_endpoint", &masked_url(&self.s3_endpoint))
            .field("s3_bucket", &self.s3_bucket)
            .field("s3_region", &self.s3_region)
            .field("s3_access_key", &"***")
            .field("s3_secret_key", &"***")
            .finish()
    }
}

/// The URL without what stands between `//` and `@`, nor its query.
fn masked_url(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => url.to_owned(),
    }
}

/// Time limits of the stores and of the queue. The defaults serve production;
/// tests shorten them.
#[derive(Clone, Debug)]
pub struct Timings {
    /// How long [`crate::Store::connect`] waits for servers that start up.
    pub connect: Duration,
    /// One S3 request.
    pub s3_request: Duration,
    /// How long a failing S3 request is tried again.
    pub s3_retry: Duration,
    /// How long a failing Redis command is tried again where that is safe.
    pub redis_retry: Duration,
    /// Between two heartbeats of a worker.
    pub heartbeat: Duration,
    /// Without a heartbeat for so long, a running job is another worker's.
    pub lease: Duration,
    /// Longest wait before an idle worker looks again (it is woken earlier).
    pub idle_poll: Duration,
    /// First wait before a failed attempt is repeated; doubles each time.
    pub backoff: Duration,
    /// Longest such wait.
    pub backoff_limit: Duration,
    /// How long a handler may go on after its job was cancelled.
    pub cancel_grace: Duration,
    /// The same for a training run, which ends its step first.
    pub training_grace: Duration,
    /// How long events are kept after a job has ended.
    pub event_retention: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            s3_request: Duration::from_secs(30),
            s3_retry: Duration::from_secs(90),
            redis_retry: Duration::from_secs(30),
            heartbeat: Duration::from_secs(2),
            lease: Duration::from_secs(8),
            idle_poll: Duration::from_secs(1),
            backoff: Duration::from_secs(1),
            backoff_limit: Duration::from_secs(60),
            cancel_grace: Duration::from_secs(20),
            training_grace: Duration::from_secs(3600),
            event_retention: Duration::from_secs(24 * 3600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_masks_secrets() {
        let config = StoreConfig {
            redis_url: "redis://:hunter2@db:6379/0".into(),
            s3_endpoint: "http://u:hunter2@s3:9000".into(),
            s3_bucket: "illumine".into(),
            s3_region: "local".into(),
            s3_access_key: "hunter2".into(),
            s3_secret_key: "hunter2".into(),
        };
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("db:6379"), "{shown}");
    }
}
