//! The whole system as programs: real Redis, real S3, the backend and workers
//! as processes that can be killed, a policy whose words the test chooses, and
//! a headless browser.
//!
//! The programs must be built: `cargo xtask test` builds and finds them, and a
//! single test runs with `cargo xtask test --quick -- -E 'package(illumine-e2e)'`.

pub mod browser;
pub mod policy;
pub mod ray;
pub mod rewards;
pub mod system;

pub use browser::Browser;
pub use policy::{Policy, Script};
pub use ray::RayHead;
pub use rewards::Rewards;
pub use system::{System, Worker};
