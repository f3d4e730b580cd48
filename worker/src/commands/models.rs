//! `illumine models verify`: a model folder against reference outputs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Command {
    /// Run the model on the inputs in a file and compare with its outputs
    Verify {
        /// Hugging Face folder
        #[arg(long)]
        model: PathBuf,
        /// safetensors with `input_ids` (and `attention_mask`) and `logits`
        #[arg(long)]
        reference: PathBuf,
        #[arg(long, default_value = "flex")]
        device: String,
        /// Largest absolute difference that passes
        #[arg(long, default_value_t = 1e-4)]
        tolerance: f32,
        #[arg(long)]
        json: bool,
    },
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Verify {
        model,
        reference,
        device,
        tolerance,
        json,
    } = command;
    let device = illumine_models::device::parse_device(&device)?;
    let report = illumine_models::verify::verify(&model, &reference, &device, tolerance)?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        for check in &report.checks {
            println!(
                "{}: largest difference {:.3e} over {} numbers",
                check.name, check.max_abs_diff, check.compared
            );
        }
        let verdict = if report.passed { "passed" } else { "FAILED" };
        println!(
            "{verdict}: {:.3e} on {}, tolerance {:.1e}",
            report.max_abs_diff(),
            report.device,
            report.tolerance
        );
    }
    Ok(if report.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
