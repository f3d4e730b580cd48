//! Logs go to standard error: standard output is for results.

use tracing_subscriber::EnvFilter;

/// `level` is that of our own logs where `RUST_LOG` does not choose.
pub fn start(json: bool, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new(format!(
            "warn,illumine={level},illumine_agent={level},illumine_store={level}"
        ))
    });
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json {
        logs.json().init()
    } else {
        logs.with_target(false).init()
    }
}
