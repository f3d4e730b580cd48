//! The demo policy taught to answer prompts of the datasets' kind, with pictures of any choice:
//! where its reinforcement learning begins.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use illumine_models::device;
use illumine_models::load::ModelFolder;
use illumine_train::sft::{Budget, FormSource, SftConfig, Trainer};
use illumine_train::tokenizer;

/// Of prompts and answers.
const SEED: u64 = 41;

#[derive(Args)]
pub struct FormArgs {
    /// The policy to begin with.
    #[arg(long, default_value = super::DEMO_POLICY)]
    model: PathBuf,
    /// The finished model's folder.
    #[arg(long, default_value = "target/demo-form")]
    out: PathBuf,
    /// Updates.
    #[arg(long, default_value_t = 140)]
    steps: u64,
    /// Peak learning rate.
    #[arg(long, default_value_t = 1.5e-3)]
    lr: f64,
    /// Tokens per update.
    #[arg(long, default_value_t = 1600)]
    tokens: usize,
    /// Where to compute: flex, libtorch, cuda:0.
    #[arg(long, default_value = "flex")]
    device: String,
}

pub fn run(args: &FormArgs) -> Result<()> {
    let device = device::parse_device(&args.device)?;
    let folder = ModelFolder::open(&args.model)?;
    let model = folder.load_model(&device.clone().autodiff())?;
    let source = FormSource {
        seed: SEED,
        tokenizer: tokenizer::load(&args.model)?,
    };
    let config = SftConfig {
        learning_rate: args.lr,
        warmup_steps: 30,
        tokens_per_step: args.tokens,
        tokens_per_micro_batch: args.tokens,
        seed: SEED,
        budget: Budget::Steps(args.steps),
        checkpoint_every: args.steps,
        ..SftConfig::default()
    };
    let mut trainer = Trainer::new(config, folder.config, Some(model), source, &device)?;
    let run = args.out.with_extension("run");
    let last = trainer.run(&run, |metrics| {
        println!(
            "form {:5} of {}  loss {:.4}  {:.0} tokens/s  {:.0} s",
            metrics.step, args.steps, metrics.loss, metrics.tokens_per_s, metrics.seconds,
        );
    })?;
    // The folder appears whole.
    let part = args.out.with_extension("part");
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    super::copy_files(&args.model, &part)?;
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(last.join(name), part.join(name)).with_context(|| name.to_owned())?;
    }
    if args.out.exists() {
        std::fs::remove_dir_all(&args.out)?;
    }
    std::fs::rename(&part, &args.out)?;
    std::fs::remove_dir_all(&run)?;
    println!("{}", args.out.display());
    Ok(())
}
