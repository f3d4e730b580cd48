//! The code tool, with the real sandbox: what it draws, what it says when a
//! program fails, and every attack that a program may try.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod attacks;
mod charts;
mod escapes;
mod failures;
mod harness;
mod lifecycle;
