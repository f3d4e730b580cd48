//! All of this crate's integration tests in one binary: each binary more would
//! link the whole crate once more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod datasets;
mod documents;
mod faults;
mod ray;
mod rewards;
mod training;
