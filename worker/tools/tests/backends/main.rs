//! The tools against loopback servers that behave as the real services do,
//! faults included. Nothing outside this machine is asked.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod drawing;
mod editing;
mod finding;
mod library;
mod painting;
mod pool;
mod running;
mod servers;
mod world;
