//! From a configuration to a server that answers.

use std::net::SocketAddr;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::{Context, Result};
use illumine_config::Config;
use illumine_store::{Store, StoreConfig, Timings};
use std::time::Duration;

use crate::auth::admin_key;
use crate::state::State;
use crate::{routes, telemetry};

/// Seconds that open requests get when the server stops.
const SHUTDOWN_S: u64 = 20;

/// A client should hear of an outage before it gives up itself.
fn timings() -> Timings {
    Timings {
        s3_retry: Duration::from_secs(25),
        redis_retry: Duration::from_secs(10),
        ..Timings::default()
    }
}

/// Where the store is.
#[must_use]
pub fn store_config(config: &Config) -> StoreConfig {
    StoreConfig {
        redis_url: config.redis_url.clone(),
        s3_endpoint: config.s3.endpoint.clone(),
        s3_bucket: config.s3.bucket.clone(),
        s3_region: config.s3.region.clone(),
        s3_access_key: config.s3.access_key.expose().to_owned(),
        s3_secret_key: config.s3.secret_key.expose().to_owned(),
    }
}

/// A server that listens; it answers once `server` is awaited.
pub struct Listening {
    pub server: Server,
    pub address: SocketAddr,
    pub state: State,
}

/// Connects to the stores and opens the port.
///
/// # Errors
/// If a store is away, or the port is taken.
pub async fn start(config: &Config) -> Result<Listening> {
    let store = Store::connect_with(&store_config(config), timings())
        .await
        .context("the stores cannot be used")?;
    if config.auth
        && let Some(first) = admin_key::ensure(&config.data_dir, &store).await?
    {
        println!(
            "administrator's key: {} (kept in {})",
            first.secret,
            first.file.display()
        );
    }
    listen(config, State::new(config, store)?)
}

/// Opens the port.
///
/// # Errors
/// If the port is taken.
pub fn listen(config: &Config, state: State) -> Result<Listening> {
    let shared = web::Data::new(state.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .wrap(from_fn(telemetry::observe))
            .configure(routes::configure)
    })
    .bind(config.listen)
    .with_context(|| format!("cannot listen on {}", config.listen))?
    .client_request_timeout(Duration::from_secs(20))
    .shutdown_timeout(SHUTDOWN_S)
    .disable_signals();
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    Ok(Listening {
        server: server.run(),
        address,
        state,
    })
}

/// Runs until SIGTERM or Ctrl-C, then lets open requests end.
///
/// # Errors
/// If the server cannot start or breaks.
pub async fn run(config: &Config) -> Result<()> {
    let listening = start(config).await?;
    tracing::info!(address = %listening.address, auth = config.auth, "listening");
    println!("backend listens on http://{}", listening.address);
    let handle = listening.server.handle();
    let stopping = listening.state.stopping.clone();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("cannot watch SIGTERM")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
        stopping.cancel();
        handle.stop(true).await;
    });
    listening.server.await.context("the server broke")
}
