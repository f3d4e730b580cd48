//! Makes the demo policy: corpus, tokenizer, training, evaluation; and the embedded
//! picture models.
#![allow(missing_docs)]

#[path = "demo_models/form.rs"]
mod form;
#[path = "demo_models/images.rs"]
mod images;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use illumine_models::generate::LanguageModel;
use illumine_models::{Qwen3Config, device};
use illumine_train::corpus::{self, Corpus, Stage};
use illumine_train::evaluate;
use illumine_train::sft::{Budget, CorpusSource, SftConfig, Trainer, checkpoint, metrics};
use illumine_train::tokenizer;

/// The corpus, the tokenizer and the policy share it.
const SEED: u64 = 7;
const VOCABULARY: usize = 640;
/// The chat template leaves it out; it is there for the layout's sake.
const SYSTEM_PROMPT: &str = "You write illustrated documents.\n";
const DEMO_POLICY: &str = "worker/models/demo-policy";
/// Text for the tokenizer's merges.
const TOKENIZER_EXAMPLES: u64 = 4000;

#[derive(Parser)]
#[command(name = "demo-models", about = "Makes the demo policy from nothing")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes examples as JSONL (`prompt`, `answer`).
    Corpus(CorpusArgs),
    /// Trains the tokenizer.
    Tokenizer {
        /// Folder for tokenizer.json and tokenizer_config.json.
        #[arg(long)]
        out: PathBuf,
    },
    /// Trains the policy.
    Train(TrainArgs),
    /// Teaches a policy to answer prompts of the datasets' kind, with pictures of any choice:
    /// where its reinforcement learning begins.
    Form(form::FormArgs),
    /// Measures a policy on 200 prompts whose topics training never used.
    Eval(EvalArgs),
    /// The picture models; without a stage, all of them.
    Images(images::ImagesArgs),
}

#[derive(Args)]
struct EvalArgs {
    /// The model folder.
    #[arg(long, default_value = DEMO_POLICY)]
    model: PathBuf,
    /// Where to compute.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Number of prompts.
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// Documents to print.
    #[arg(long, default_value_t = 3)]
    samples: usize,
    /// Prints every document that is wrong in some point, too.
    #[arg(long)]
    faults: bool,
    /// Exits with an error below the demo policy's targets.
    #[arg(long)]
    check: bool,
}

#[derive(Args)]
struct CorpusArgs {
    /// The file; standard output when absent.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Number of examples.
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// The evaluation prompts instead of training examples.
    #[arg(long)]
    held_out: bool,
}

#[derive(Args)]
struct TrainArgs {
    /// Folder of the run: tokenizer, metrics, checkpoints, and at the end the
    /// finished model folder `policy`.
    #[arg(long, default_value = "target/demo-models")]
    out: PathBuf,
    /// Updates.
    #[arg(long, default_value_t = 5000)]
    steps: u64,
    /// Minutes of training, in place of updates.
    #[arg(long, conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Goes on from the newest checkpoint in `--out`, if there is one.
    #[arg(long)]
    resume: bool,
    /// Where to compute: flex, libtorch, cuda:0.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Layers of the policy.
    #[arg(long, default_value_t = 5)]
    layers: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 3e-3)]
    lr: f64,
    /// Tokens per update.
    #[arg(long, default_value_t = 1600)]
    tokens: usize,
    /// Share of the run that learns the beginnings of documents only.
    #[arg(long, default_value_t = 0.4)]
    beginnings: f64,
}

fn main() -> Result<()> {
    // Before the first thread: all others inherit it.
    illumine_models::denormals::flush();
    match Cli::parse().command {
        Some(Command::Corpus(args)) => write_corpus(&args),
        Some(Command::Tokenizer { out }) => train_tokenizer(&out),
        Some(Command::Train(args)) => train(&args),
        Some(Command::Form(args)) => form::run(&args),
        Some(Command::Eval(args)) => eval(&args),
        Some(Command::Images(args)) => images::run(&args),
        None => everything(),
    }
}

/// Corpus, tokenizer, training, evaluation, with the defaults of each.
fn everything() -> Result<()> {
    let args = TrainArgs::parse_defaults()?;
    std::fs::create_dir_all(&args.out)?;
    write_corpus(&CorpusArgs {
        out: Some(args.out.join("corpus.jsonl")),
        count: 1000,
        held_out: false,
    })?;
    train(&args)?;
    let model = args.out.join("policy");
    eval(&EvalArgs {
        model,
        device: args.device,
        count: 200,
        samples: 3,
        faults: false,
        check: false,
    })
}

impl TrainArgs {
    fn parse_defaults() -> Result<Self> {
        match Cli::try_parse_from(["demo-models", "train", "--resume"])?.command {
            Some(Command::Train(args)) => Ok(args),
            _ => anyhow::bail!("`train` is a subcommand"),
        }
    }
}

fn eval(args: &EvalArgs) -> Result<()> {
    let policy = LanguageModel::load(&args.model, &device::parse_device(&args.device)?)?;
    let set = corpus::heldout(args.count);
    let mut printed = 0;
    let begun = std::time::Instant::now();
    let summary = evaluate::evaluate(&policy, &set, |item, text, judgement| {
        let right = judgement.pictures_right && judgement.topic_verbatim && judgement.ended;
        if printed < args.samples || (args.faults && !right) {
            printed += 1;
            println!("--- {}\n{text}\n{judgement:?}\n", item.example.prompt);
        }
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    print!("{summary}");
    println!("{} tokens in {seconds:.0} s", summary.tokens);
    let share = |count: usize| count as f64 / summary.documents.max(1) as f64;
    let reached = share(summary.tags_valid) >= 0.95
        && share(summary.pictures_right) >= 0.90
        && share(summary.topic_in_title) >= 0.90;
    if args.check && !reached {
        anyhow::bail!("below the targets: 95 % valid tags, 90 % pictures, 90 % titles");
    }
    Ok(())
}

fn write_corpus(args: &CorpusArgs) -> Result<()> {
    let mut out: Box<dyn Write> = match &args.out {
        Some(path) => {
            Box::new(std::fs::File::create(path).with_context(|| path.display().to_string())?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let generator = Corpus::new(SEED);
    if args.held_out {
        for item in corpus::heldout(args.count as usize) {
            writeln!(out, "{}", serde_json::to_string(&item.example)?)?;
        }
        return Ok(());
    }
    for index in 0..args.count {
        let example = generator.example(index, Stage::Full);
        writeln!(out, "{}", serde_json::to_string(&example)?)?;
    }
    Ok(())
}

/// Copies the files of `from` into `to`, which is made.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn train_tokenizer(out: &Path) -> Result<()> {
    let generator = Corpus::new(SEED);
    let texts = (0..TOKENIZER_EXAMPLES).map(|index| {
        let example = generator.example(index, Stage::Full);
        format!(" {} {}", example.prompt, example.answer)
    });
    let tokenizer = tokenizer::train(texts, VOCABULARY)?;
    tokenizer::save(&tokenizer, out)?;
    Ok(())
}

fn model_config(layers: usize) -> Qwen3Config {
    Qwen3Config {
        vocab_size: VOCABULARY,
        hidden_size: 192,
        intermediate_size: 512,
        num_hidden_layers: layers,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 32,
        tie_word_embeddings: true,
        max_position_embeddings: 2048,
        // `<|end|>` and `<|pad|>`.
        eos_token_id: vec![0],
        pad_token_id: Some(3),
        ..Qwen3Config::default()
    }
}

fn train(args: &TrainArgs) -> Result<()> {
    let folder = args.out.join("tokenizer");
    if !folder.join("tokenizer.json").is_file() {
        train_tokenizer(&folder)?;
    }
    let source = CorpusSource {
        corpus: Corpus::new(SEED),
        tokenizer: tokenizer::load(&folder)?,
        beginnings_share: args.beginnings,
    };
    let config = SftConfig {
        learning_rate: args.lr,
        tokens_per_step: args.tokens,
        seed: SEED,
        budget: args
            .minutes
            .map_or(Budget::Steps(args.steps), Budget::Minutes),
        ..SftConfig::default()
    };
    let device = device::parse_device(&args.device)?;
    let found = args.resume.then(|| checkpoint::latest(&args.out)).flatten();
    let mut trainer = match found {
        Some(folder) => Trainer::resume(config, source, &folder, &device)?,
        None => Trainer::new(config, model_config(args.layers), None, source, &device)?,
    };
    let last = trainer.run(&args.out, |metrics| {
        println!(
            "step {:6}  {:5.1} %  loss {:.4}  norm {:.2}  lr {:.2e}  {:.0} tokens/s",
            metrics.step,
            100.0 * metrics.progress,
            metrics.loss,
            metrics.grad_norm,
            metrics.lr,
            metrics.tokens_per_s,
        );
    })?;
    let policy = args.out.join("policy");
    std::fs::create_dir_all(&policy)?;
    for (from, names) in [
        (&last, ["config.json", "model.safetensors"]),
        (&folder, ["tokenizer.json", "tokenizer_config.json"]),
    ] {
        for name in names {
            std::fs::copy(from.join(name), policy.join(name)).with_context(|| name.to_owned())?;
        }
    }
    let curve = metrics::curve(&args.out.join("metrics.jsonl"), 150)?;
    std::fs::write(policy.join("curve.csv"), curve)?;
    std::fs::write(policy.join("system_prompt.md"), SYSTEM_PROMPT)?;
    println!("{}", policy.display());
    Ok(())
}
