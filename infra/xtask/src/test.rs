//! `cargo xtask test`: everything, stopping at the first failure.

use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::exec::{Program, cargo, find};
use crate::setup;
use crate::{paths, web};

#[derive(Args)]
pub struct Options {
    /// Only the tests, without format, lints and the portal's build
    #[arg(long)]
    quick: bool,
    /// Passed on to the test runner
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    step("set up", setup::for_test)?;
    if !options.quick {
        step("format", || cargo("fmt").args(["--all", "--check"]).run())?;
        step("lints", || {
            cargo("clippy")
                .args(["--workspace", "--all-targets", "--", "--deny", "warnings"])
                .run()
        })?;
        step("portal", || web::build(&paths::data_dir().join("web"), &[]))?;
        step("documentation examples", || {
            cargo("test")
                .args(["--workspace", "--doc", "--quiet"])
                .run()
        })?;
    }
    step("tests", || tests(&options.arguments))?;
    eprintln!(
        "all passed in {:.0} min",
        started.elapsed().as_secs_f64() / 60.0
    );
    Ok(())
}

fn tests(arguments: &[String]) -> Result<()> {
    let python = setup::python::folder().join("bin/python");
    let openai = setup::python::openai_folder().join("bin/python");
    let ray = setup::python::ray_folder().join("bin/python");
    let library = setup::library::folder();
    let portal = paths::data_dir().join("web");
    // The whole-system tests start these; a test build alone leaves out the
    // programs of crates that have no integration tests.
    cargo("build")
        .args([
            "--workspace",
            "--bin",
            "illumine",
            "--bin",
            "illumine-backend",
        ])
        .run()?;
    runner(&["--workspace"])
        .args(arguments)
        .env("ILLUMINE_PYTHON", python)
        .env("ILLUMINE_OPENAI_PYTHON", openai)
        .env("ILLUMINE_RAY_PYTHON", ray)
        .env("ILLUMINE_LIBRARY_DIR", library)
        .env("ILLUMINE_WEB_DIR", portal)
        .run()
}

/// `cargo xtask test-libtorch`: the parity suite on LibTorch's CPU.
pub fn run_on_libtorch(arguments: &[String]) -> Result<()> {
    step("set up LibTorch", setup::libtorch::ensure)?;
    step("parity on libtorch", || {
        let runner = runner(&["--package", "illumine-models", "--features", "tch"])
            .args(arguments)
            .env("ILLUMINE_PARITY_DEVICE", "libtorch");
        setup::libtorch::with_environment(runner).run()
    })
}

/// The test runner: nextest where it is installed.
fn runner(what: &[&str]) -> Program {
    if find("cargo-nextest").is_some() {
        cargo("nextest").args(["run"]).args(what)
    } else {
        cargo("test").args(what)
    }
}

fn step(name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    eprintln!("== {name}");
    work().context(name)?;
    eprintln!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}
