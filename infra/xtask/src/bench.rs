//! `cargo xtask bench`: benchmarks, each of which prints its figures.

use anyhow::Result;
use clap::Args;

use crate::exec::cargo;
use crate::setup;

#[derive(Args)]
pub struct Options {
    /// Only those whose name contains this
    #[arg(default_value = "")]
    name: String,
}

/// Package, example and what it measures.
const BENCHMARKS: &[(&str, &str, &str)] = &[
    (
        "illumine-models",
        "bench_decode",
        "tokens a second of the policy",
    ),
    (
        "illumine-store",
        "bench_queue",
        "push to start, jobs a second",
    ),
    (
        "illumine-tools",
        "bench_code",
        "a simple chart from a warm sandbox",
    ),
    (
        "illumine-agent",
        "bench_document",
        "a document with four tools against its critical path",
    ),
    (
        "illumine-backend",
        "bench_submissions",
        "accepted submissions a second",
    ),
];

pub fn run(options: &Options) -> Result<()> {
    setup::for_up()?;
    for (package, example, measures) in BENCHMARKS {
        if !example.contains(&options.name) {
            continue;
        }
        eprintln!("== {example}: {measures}");
        cargo("run")
            .args([
                "--quiet",
                "--release",
                "--package",
                package,
                "--example",
                example,
            ])
            .env(
                "ILLUMINE_PYTHON",
                setup::python::folder().join("bin/python"),
            )
            .run()?;
    }
    Ok(())
}
