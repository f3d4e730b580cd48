//! `illumine-backend`: everything is configured by `illumine.toml` and the
//! environment (`illumine config check` lists what is set).

use anyhow::Result;

#[tokio::main]
async fn main() -> Result<()> {
    let loaded = illumine_config::load(&illumine_config::Sources::from_process())?;
    illumine_backend::telemetry::init(loaded.config.log_json);
    illumine_backend::server::run(&loaded.config).await
}
