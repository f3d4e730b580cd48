//! The portal: compose, watch, find and trace illustrated documents.
//!
//! A client-side Leptos application compiled to WebAssembly. [`state`] holds
//! pure logic (a reducer from events to a live document, the compose form,
//! time in words), [`api`] speaks to `/api/v1`, [`markdown`] turns a model's
//! untrusted text into safe HTML, [`components`] and [`pages`] show it all.
//! Pure parts are tested on the host: `cargo nextest run -p illumine-frontend`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
// Leptos components are functions that take their properties by value.
#![allow(clippy::needless_pass_by_value, clippy::must_use_candidate)]
// Every component macro makes a type without `Debug`.
#![allow(missing_debug_implementations)]

mod api;
mod app;
mod browser;
mod components;
mod highlight;
mod markdown;
mod pages;
mod state;

fn main() {
    browser::report_panics();
    browser::mount(app::App);
}
