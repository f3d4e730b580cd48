//! `cargo xtask demo-rl`: teaches the demo policy by reinforcement learning on this
//! machine, and measures what that was good for on held-out prompts.
//!
//! First the policy learns by example how prompts of this kind are answered, with pictures of
//! any choice; then, by rewards alone, which choice a prompt wants. The gain is that of the
//! second part.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::exec::{cargo, program};
use crate::{paths, setup};

/// The run; `infra` is where recipes are.
const RECIPE: &str = "infra/rl/demo.toml";
/// The least that the mean reward on held-out prompts is to rise by.
const LEAST_GAIN: f64 = 0.15;

#[derive(Args)]
pub struct Options {
    /// Folder of the run; one that is there is gone on with
    #[arg(long)]
    out: Option<PathBuf>,
    /// End in an error when the reward on held-out prompts rises by less than 0.15
    #[arg(long)]
    check: bool,
}

pub fn run(options: &Options) -> Result<()> {
    setup::for_up()?;
    // Of the workspace as a whole, so that dependencies are built once.
    cargo("build")
        .args(["--release", "--workspace", "--bin", "illumine"])
        .args(["--bin", "demo-models"])
        .run()?;
    let release = paths::target_dir().join("release");
    let out = options.out.clone();
    let out = out.unwrap_or_else(|| paths::target_dir().join("demo-rl"));
    let begun = Instant::now();
    let start = out.join("start");
    if !start.join("config.json").is_file() {
        program(release.join("demo-models"))
            .args(["form", "--out"])
            .args([&start])
            .run()?;
    }
    program(release.join("illumine"))
        .args(["train", "--config", RECIPE, "--model"])
        .args([&start])
        .args(["--out"])
        .args([&out])
        .env(
            "ILLUMINE_PYTHON",
            paths::data_dir().join("python/bin/python"),
        )
        .env("ILLUMINE_LIBRARY_DIR", paths::data_dir().join("library"))
        .run()?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let path = out.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let validations = validations(&text);
    let (Some(first), Some(last)) = (validations.first(), validations.last()) else {
        anyhow::bail!("{}: no validation in it", path.display());
    };
    println!("held-out prompts, mean reward by step:");
    for (step, reward) in &validations {
        println!("{step:5}  {reward:.3}");
    }
    let gain = last.1 - first.1;
    println!("{gain:+.3} in {minutes:.0} minutes");
    ensure!(
        !options.check || gain >= LEAST_GAIN,
        "the reward rose by {gain:.3}; at least {LEAST_GAIN} is expected"
    );
    Ok(())
}

/// Steps with the mean reward on held-out prompts after them.
fn validations(metrics: &str) -> Vec<(u64, f64)> {
    metrics
        .lines()
        .filter_map(|line| {
            let reward = number(line, "validation_reward")?;
            Some((number(line, "step")? as u64, reward))
        })
        .collect()
}

/// A number of a flat JSON object that `illumine train` wrote: no library is worth
/// compiling for it before anything else.
fn number(line: &str, name: &str) -> Option<f64> {
    let key = format!("\"{name}\":");
    let value = &line[line.find(&key)? + key.len()..];
    let end = value.find([',', '}'])?;
    value[..end].trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::validations;

    #[test]
    fn steps_without_a_validation_are_left_out() {
        let metrics = "{\"step\":0,\"validation_reward\":0.25}\n{\"step\":1,\"reward\":0.3}\n\
                       {\"step\":2,\"reward\":0.3,\"validation_reward\":0.5}\n";
        assert_eq!(validations(metrics), [(0, 0.25), (2, 0.5)]);
    }
}
