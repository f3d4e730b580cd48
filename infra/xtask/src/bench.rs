//! `cargo xtask bench`: benchmarks, each of which prints its figures.

use anyhow::Result;
use clap::Args;

use crate::exec::{cargo, program};
use crate::{paths, setup};

#[derive(Args)]
pub struct Options {
    /// Only those whose name contains this
    #[arg(default_value = "")]
    name: String,
}

/// Example, its arguments, and what it measures.
type Benchmark = (&'static str, &'static [&'static str], &'static str);

const BENCHMARKS: &[Benchmark] = &[
    (
        "bench_decode",
        &[
            "worker/models/demo-policy",
            "128",
            "512",
            "1",
            "exact",
            "int8",
        ],
        "tokens a second of the policy",
    ),
    ("bench_queue", &[], "push to start, jobs a second"),
    ("bench_code", &[], "a simple chart from a warm sandbox"),
    (
        "bench_document",
        &[],
        "a document with four tools against its critical path",
    ),
    ("bench_submissions", &[], "accepted submissions a second"),
];

pub fn run(options: &Options) -> Result<()> {
    setup::for_up()?;
    let chosen = || {
        let named = |(example, ..): &&Benchmark| example.contains(&options.name);
        BENCHMARKS.iter().filter(named)
    };
    // Of the workspace as a whole, so that dependencies are built once.
    let examples = chosen().flat_map(|(example, ..)| ["--example", example]);
    cargo("build")
        .args(["--release", "--workspace"])
        .args(examples)
        .run()?;
    for (example, arguments, measures) in chosen() {
        eprintln!("== {example}: {measures}");
        let built = paths::target_dir().join("release/examples").join(example);
        program(built)
            .args(*arguments)
            .env(
                "ILLUMINE_PYTHON",
                setup::python::folder().join("bin/python"),
            )
            .run()?;
    }
    Ok(())
}
