//! A run's page, part by part.

mod charts;
mod checkpoints;
mod config;
mod header;
mod log;
mod session;
mod tabs;

pub use charts::Charts;
pub use header::Header;
pub use session::RunSession;
pub use tabs::Tabs;
