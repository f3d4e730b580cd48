//! `illumine models verify`: a model folder against reference outputs.
//! `illumine models precision`: what rounded weights do to its logits.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use illumine_models::verify;

#[derive(Subcommand)]
pub enum Command {
    /// Run the model on the inputs in a file and compare with its outputs
    Verify {
        /// Hugging Face folder
        #[arg(long)]
        model: PathBuf,
        /// safetensors with `input_ids` (and `attention_mask`; `pixel_values` and
        /// `image_grid_thw` for a model that looks at pictures) and `logits`
        #[arg(long)]
        reference: PathBuf,
        /// Folder of a LoRA adapter that the outputs were computed with
        #[arg(long, value_name = "DIR")]
        lora: Option<PathBuf>,
        #[arg(long, default_value = "flex")]
        device: String,
        /// Largest absolute difference that passes
        #[arg(long, default_value_t = 1e-4)]
        tolerance: f32,
        #[arg(long)]
        json: bool,
    },
    /// Read a text with exact, bf16 and int8 weights and compare the logits
    Precision {
        /// Hugging Face folder
        #[arg(long)]
        model: PathBuf,
        /// A text file; a short built-in text when absent
        #[arg(long)]
        text: Option<PathBuf>,
        /// Most tokens to read
        #[arg(long, default_value_t = 256)]
        tokens: usize,
        #[arg(long)]
        json: bool,
    },
}

/// What `precision` reads when it is given nothing.
const SAMPLE_TEXT: &str = "\
A lighthouse stands on a rock where two currents meet. Its keeper writes down the \
wind, the height of the waves and the ships that pass, every hour, in a book with \
ruled pages. In 1912 a storm took the lantern's glass; for nine nights a fire burned \
on the gallery in its place. The chart below shows the number of wrecks in each \
decade: 31, 27, 12, 4 and 0. Today the light turns without anyone, and the book is \
kept in the town's museum, open at the page of the storm.";

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify {
            model,
            reference,
            lora,
            device,
            tolerance,
            json,
        } => verify(
            &model,
            lora.as_deref(),
            &reference,
            &device,
            tolerance,
            json,
        ),
        Command::Precision {
            model,
            text,
            tokens,
            json,
        } => precision(&model, text.as_deref(), tokens, json),
    }
}

fn precision(
    model: &Path,
    text: Option<&Path>,
    tokens: usize,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let text = match text {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("the text {} cannot be read", path.display()))?,
        None => SAMPLE_TEXT.to_owned(),
    };
    let report = illumine_models::precision::measure(model, &text, tokens)?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} tokens; exact weights {:.1} MB a step, logits spread {:.3}",
        report.tokens,
        report.exact_weight_bytes as f64 / 1e6,
        report.spread
    );
    for kind in &report.kinds {
        println!(
            "{}: {:.1} MB a step; logits differ by {:.2e} at most, {:.2e} on average, \
             {:.3} % of the spread; same likeliest token at {:.1} % of places",
            kind.weights,
            kind.weight_bytes as f64 / 1e6,
            kind.max_abs_diff,
            kind.mean_abs_diff,
            kind.relative * 100.0,
            kind.top1_agreement * 100.0
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(
    model: &Path,
    lora: Option<&Path>,
    reference: &Path,
    device: &str,
    tolerance: f32,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let device = illumine_models::device::parse_device(device)?;
    let report = match lora {
        Some(lora) => verify::verify_adapted(model, lora, reference, &device, tolerance)?,
        None => verify::verify(model, reference, &device, tolerance)?,
    };
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
