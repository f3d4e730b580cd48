//! `cargo xtask`: sets up, runs, tests and measures Illumine.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod bench;
mod demo_rl;
mod exec;
mod paths;
mod setup;
mod test;
mod up;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Sets up, runs, tests and measures Illumine",
    arg_required_else_help = true
)]
struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what is missing, build, and run everything until Ctrl-C
    Up(up::Options),
    /// Install what is missing and pass every test
    Test(test::Options),
    /// Only install what the two commands above need
    Setup,
    /// Install LibTorch, and print what a build with `--features tch` needs
    SetupLibtorch,
    /// Build the models with LibTorch and compare them with the references on it
    TestLibtorch {
        /// Passed on to the test runner
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the portal for the browser
    Web {
        /// Folder for the result
        #[arg(long)]
        out: Option<std::path::PathBuf>,
    },
    /// Train the embedded demo policy, or with --images the picture models; `demo-models eval`
    /// and `demo-models --images eval` measure them
    DemoModels {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Teach the demo policy by reinforcement learning here, and measure what it gained
    DemoRl(demo_rl::Options),
    /// Run the benchmarks and print their figures
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = match Options::parse().verb {
        Verb::Up(options) => up::run(&options),
        Verb::Test(options) => test::run(&options),
        Verb::Setup => setup::all(),
        Verb::SetupLibtorch => setup_libtorch(),
        Verb::TestLibtorch { arguments } => test::run_on_libtorch(&arguments),
        Verb::Web { out } => web::build(
            &out.unwrap_or_else(|| paths::data_dir().join("web")),
            &["--release"],
        ),
        Verb::DemoModels { arguments } => demo_models(&arguments),
        Verb::DemoRl(options) => demo_rl::run(&options),
        Verb::Bench(options) => bench::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn setup_libtorch() -> anyhow::Result<()> {
    setup::libtorch::ensure()?;
    println!("{}", setup::libtorch::instructions());
    Ok(())
}

fn demo_models(arguments: &[String]) -> anyhow::Result<()> {
    exec::cargo("run")
        .args([
            "--release",
            "--package",
            "illumine-train",
            "--bin",
            "demo-models",
            "--",
        ])
        .args(arguments.iter().map(|argument| match argument.as_str() {
            "--images" => "images",
            other => other,
        }))
        .run()
}
