//! The store, as the configuration says.

use std::time::Duration;

use illumine_config::Config;
use illumine_store::{Store, StoreConfig, Timings};

/// Heartbeats in one lease: one may be lost on the way without harm.
const HEARTBEATS: f64 = 4.0;

pub async fn connect(config: &Config) -> anyhow::Result<Store> {
    let settings = StoreConfig {
        redis_url: config.redis_url.clone(),
        s3_endpoint: config.s3.endpoint.clone(),
        s3_bucket: config.s3.bucket.clone(),
        s3_region: config.s3.region.clone(),
        s3_access_key: config.s3.access_key.expose().to_owned(),
        s3_secret_key: config.s3.secret_key.expose().to_owned(),
    };
    let lease = Duration::from_secs(config.worker.lease_s.max(1));
    let timings = Timings {
        lease,
        heartbeat: lease.div_f64(HEARTBEATS),
        ..Timings::default()
    };
    Ok(Store::connect_with(&settings, timings).await?)
}
