//! The crate's tests on files: one program, a subject a module.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod foreign_files;
mod generated;
mod lengths;
mod pictures;
mod round_trip;
mod splits;
mod summary;
mod support;
mod survey;
