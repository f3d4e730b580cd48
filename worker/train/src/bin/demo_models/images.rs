//! The embedded picture models: stages that each skip what is there, so that the
//! command goes on where it was stopped.

mod grid;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::tensor::{DType, Device};
use clap::{Args, Subcommand};
use illumine_models::device;
use illumine_models::qwen_image::vae::QwenImageVae;
use illumine_models::save::WeightType;
use illumine_train::optim::{AdamWOptions, recover_folder};
use illumine_train::painter::{Painter, paint, to_image};
use illumine_train::picture_eval::{Classifier, ClassifierTraining, Pipelines, report, train};
use illumine_train::picture_model::batch::Prompts;
use illumine_train::picture_model::draw::Studio;
use illumine_train::picture_model::trainer::Material;
use illumine_train::picture_model::{
    LatentCache, PictureModel, PictureTrainer, PictureTraining, folders, vocabulary,
};
use illumine_train::picture_vae::{VaeTrainer, VaeTraining};

use self::grid::{sample_grid, save_grid};

/// Of the painter; pictures of training.
const PAINTER_SEED: u64 = 11;
const DEMO_IMAGE: &str = "worker/models/demo-image";
/// Pictures by which the latents' mean and spread are measured.
const MEASURED: u64 = 512;
/// Beyond every picture that training paints.
const BEYOND: u64 = 1 << 40;

#[derive(Args)]
pub struct ImagesArgs {
    #[command(subcommand)]
    stage: Option<Stage>,
    /// Folder of the run: each stage's results.
    #[arg(long, default_value = "target/demo-images", global = true)]
    out: PathBuf,
    /// Where to compute.
    #[arg(long, default_value = "flex", global = true)]
    device: String,
    /// Which pictures training paints.
    #[arg(long, default_value_t = PAINTER_SEED, global = true)]
    painter_seed: u64,
}

#[derive(Subcommand)]
enum Stage {
    /// Trains the autoencoder.
    Vae {
        /// Updates.
        #[arg(long, default_value_t = VaeTraining::default().steps)]
        steps: u64,
    },
    /// Paints and encodes what the transformer learns from.
    Latents(LatentArgs),
    /// Trains the transformer with its prompt encoder, and writes the folders.
    Transformer(TransformerArgs),
    /// Trains the classifier that judges pictures.
    Classifier {
        /// Updates.
        #[arg(long, default_value_t = ClassifierTraining::default().steps)]
        steps: u64,
    },
    /// Measures the finished folders on held-out captions and edits.
    Eval(EvalArgs),
}

#[derive(Args)]
struct LatentArgs {
    /// Pictures, and as many edits.
    #[arg(long, default_value_t = 16_384)]
    count: u64,
}

#[derive(Args)]
struct TransformerArgs {
    #[command(flatten)]
    latents: LatentArgs,
    /// Updates.
    #[arg(long, default_value_t = PictureTraining::default().steps)]
    steps: u64,
    /// Peak learning rate.
    #[arg(long, default_value_t = PictureTraining::default().learning_rate)]
    lr: f64,
    /// Begins with the weights of this finished folder, its autoencoder and its words.
    #[arg(long)]
    from: Option<PathBuf>,
    /// AdamW for every weight, where Muon is the default for hidden layers.
    #[arg(long)]
    adamw: bool,
    /// Updates that first teach the prompt's encoder alone.
    #[arg(long, default_value_t = 600)]
    teach_encoder: u64,
    /// How much more things weigh than what is around them.
    #[arg(long, default_value_t = PictureTraining::default().focus)]
    focus: f64,
    /// Pictures to generate in an update.
    #[arg(long, default_value_t = PictureTraining::default().generation_batch)]
    generation_batch: usize,
    /// Pictures to edit in an update.
    #[arg(long, default_value_t = PictureTraining::default().edit_batch)]
    edit_batch: usize,
    /// Minutes between grids of samples.
    #[arg(long, default_value_t = 5.0)]
    grid_minutes: f64,
}

#[derive(Args)]
struct EvalArgs {
    /// The folder of the models.
    #[arg(long, default_value = DEMO_IMAGE)]
    model: PathBuf,
    /// Captions, and as many edits.
    #[arg(long, default_value_t = 200)]
    count: u64,
    /// Exits with an error below the targets.
    #[arg(long)]
    check: bool,
}

pub fn run(args: &ImagesArgs) -> Result<()> {
    let run = Run {
        out: args.out.clone(),
        device: device::parse_device(&args.device)?,
        painter_seed: args.painter_seed,
    };
    std::fs::create_dir_all(&run.out).with_context(|| run.out.display().to_string())?;
    match &args.stage {
        Some(Stage::Vae { steps }) => run.vae(*steps).map(|_| ()),
        Some(Stage::Latents(args)) => run.latents(args).map(|_| ()),
        Some(Stage::Transformer(args)) => run.transformer(args),
        Some(Stage::Classifier { steps }) => run.classifier(*steps).map(|_| ()),
        Some(Stage::Eval(args)) => run.eval(args),
        None => {
            let defaults = PictureTraining::default();
            run.transformer(&TransformerArgs {
                latents: LatentArgs { count: 16_384 },
                steps: defaults.steps,
                from: None,
                lr: defaults.learning_rate,
                adamw: !defaults.optimizer.muon,
                focus: defaults.focus,
                teach_encoder: 600,
                generation_batch: defaults.generation_batch,
                edit_batch: defaults.edit_batch,
                grid_minutes: 5.0,
            })?;
            run.eval(&EvalArgs {
                model: run.out.join("demo-image"),
                count: 200,
                check: false,
            })
        }
    }
}

struct Run {
    out: PathBuf,
    device: Device,
    painter_seed: u64,
}

impl Run {
    /// The trained autoencoder; trains it where it is missing.
    fn vae(&self, steps: u64) -> Result<QwenImageVae> {
        let folder = self.out.join("vae");
        if folder.join("config.json").is_file() {
            return Ok(QwenImageVae::load(&folder, &self.device, DType::F32)?);
        }
        let painter = Painter::training(self.painter_seed);
        let source = move |number: u64| {
            let scene = painter.example(BEYOND + number).scene;
            to_image(&paint(&scene).pixels)
        };
        let checkpoint = self.out.join("vae-checkpoint");
        let mut trainer = match recover_folder(&checkpoint)? {
            true => VaeTrainer::resume(&checkpoint, steps, &self.device)?,
            false => {
                let config = VaeTraining {
                    steps,
                    ..VaeTraining::default()
                };
                VaeTrainer::new(config, &self.device)?
            }
        };
        trainer.run(&source, &checkpoint, |progress| {
            if progress.step.is_multiple_of(20) {
                println!(
                    "vae {:6}  difference {:.4}  edges {:.4}  norm {:.2}  {:.1} pictures/s",
                    progress.step,
                    progress.absolute,
                    progress.edges,
                    progress.grad_norm,
                    progress.pictures_per_s,
                );
            }
        })?;
        let vae = trainer.finish(&source, BEYOND / 2, MEASURED)?;
        vae.save(&folder, WeightType::F32)?;
        Ok(vae)
    }

    fn latents(&self, args: &LatentArgs) -> Result<(QwenImageVae, LatentCache)> {
        let vae = self.vae(VaeTraining::default().steps)?;
        let begun = Instant::now();
        let cache = LatentCache::prepare(
            &self.out.join("latents"),
            &Painter::training(self.painter_seed),
            self.painter_seed,
            &vae,
            args.count,
            &self.device,
            |done| {
                let seconds = begun.elapsed().as_secs_f64();
                println!("latents {done} of {} ({seconds:.0} s)", args.count);
            },
        )?;
        Ok((vae, cache))
    }

    fn transformer(&self, args: &TransformerArgs) -> Result<()> {
        let finished = self.out.join("demo-image");
        if finished.join("model_index.json").is_file() {
            println!("{} is there; remove it to train again", finished.display());
            return Ok(());
        }
        if let Some(from) = &args.from {
            for part in ["vae", "tokenizer"] {
                let to = self.out.join(part);
                if !to.exists() {
                    super::copy_files(&from.join(part), &to)?;
                }
            }
        }
        let (vae, cache) = self.latents(&args.latents)?;
        let painter = Painter::training(self.painter_seed);
        let config = PictureTraining {
            steps: args.steps,
            learning_rate: args.lr,
            generation_batch: args.generation_batch,
            edit_batch: args.edit_batch,
            focus: args.focus,
            optimizer: AdamWOptions {
                muon: !args.adamw,
                ..AdamWOptions::default()
            },
            ..PictureTraining::default()
        };
        let folder = self.out.join("tokenizer");
        if !folder.join("tokenizer.json").is_file() {
            let tokenizer = vocabulary::train(&painter, config.sizes.vocabulary)?;
            vocabulary::save(&tokenizer, &folder)?;
        }
        let tokenizer = illumine_train::tokenizer::load(&folder)?;
        let prompts = Prompts::new(vocabulary::chat_tokenizer(tokenizer.clone())?)?;
        let run = self.out.join("transformer");
        let checkpoint = run.join("checkpoint");
        let mut trainer = match recover_folder(&checkpoint)? {
            true => PictureTrainer::resume(&checkpoint, config.clone(), &self.device)?,
            false => match &args.from {
                Some(from) => PictureTrainer::begin_from(from, config.clone(), &self.device)?,
                None => PictureTrainer::new(config.clone(), vae.config.z_dim, &self.device)?,
            },
        };
        std::fs::create_dir_all(&run)?;
        let encoder = config.sizes.prompt_encoder();
        let studio = |model: &PictureModel, name: &str| -> Result<()> {
            let studio = Studio {
                model,
                encoder: &encoder,
                prompts: &prompts,
                vae: &vae,
                device: &self.device,
                steps: folders::STEPS,
                guidance: folders::GUIDANCE,
            };
            sample_grid(&studio, &run.join(name))
        };
        let mut mean: Option<[f64; 2]> = None;
        let mut last_grid = Instant::now();
        let every = Duration::from_secs_f64(60.0 * args.grid_minutes);
        let material = Material {
            painter: &painter,
            cache: &cache,
            prompts: &prompts,
        };
        let taught = run.join("encoder-taught");
        if !taught.is_file() {
            let begun = Instant::now();
            let as_it_is = args.from.is_some();
            let updates = args.teach_encoder;
            trainer.teach_encoder(material, updates, 64, as_it_is, |step, losses| {
                if step.is_multiple_of(20) {
                    let seconds = begun.elapsed().as_secs_f64();
                    let [captions, edits] = losses;
                    println!(
                        "encoder {step:5}  captions {captions:.2} edits {edits:.2}  {seconds:.0} s"
                    );
                }
            })?;
            trainer.checkpoint(&checkpoint)?;
            std::fs::write(&taught, "")?;
        }
        trainer.run(material, &run, |trainer, progress| {
            let now = [progress.generation_loss, progress.edit_loss];
            let old = mean.unwrap_or(now);
            let smooth = [0, 1].map(|kind| 0.98 * old[kind] + 0.02 * now[kind]);
            mean = Some(smooth);
            if progress.step.is_multiple_of(20) {
                println!(
                    "transformer {:6} of {}  loss {:.4} edits {:.4}  asked {:.2}  norm {:.2}  lr {:.1e}  {:.1} pictures/s  {:.0} s",
                    progress.step,
                    trainer.config().steps,
                    smooth[0],
                    smooth[1],
                    progress.attribute_loss,
                    progress.grad_norm,
                    progress.learning_rate,
                    progress.pictures_per_s,
                    progress.seconds,
                );
            }
            if last_grid.elapsed() >= every {
                last_grid = Instant::now();
                let name = format!("grid-{:06}.png", progress.step);
                // A sample that fails is no reason to stop the run.
                if let Err(error) = studio(&trainer.averaged(), &name) {
                    eprintln!("{name}: {error:#}");
                }
            }
            Ok(())
        })?;
        let model = trainer.averaged();
        studio(&model, "grid-final.png")?;
        // The folder appears whole.
        let part = self.out.join("demo-image.part");
        if part.exists() {
            std::fs::remove_dir_all(&part)?;
        }
        folders::save(&part, &model, &config, &vae, &tokenizer)?;
        std::fs::rename(&part, &finished)?;
        println!("{}", finished.display());
        Ok(())
    }

    fn classifier(&self, steps: u64) -> Result<Classifier> {
        let path = self.out.join("classifier.safetensors");
        if path.is_file() {
            return Ok(Classifier::load(&path, &self.device)?);
        }
        let config = ClassifierTraining {
            steps,
            ..ClassifierTraining::default()
        };
        let begun = Instant::now();
        let classifier = train(&config, &self.device, |step, loss| {
            if step.is_multiple_of(50) {
                let seconds = begun.elapsed().as_secs_f64();
                println!("classifier {step:5} of {steps}  loss {loss:.3}  {seconds:.0} s");
            }
        })?;
        classifier.save(&path)?;
        Ok(classifier)
    }

    fn eval(&self, args: &EvalArgs) -> Result<()> {
        let classifier = self.classifier(ClassifierTraining::default().steps)?;
        let truth = report::on_true_pictures(&classifier, args.count, &self.device)?;
        println!("the classifier on true pictures of the held-out side\n{truth}");
        let pipelines = Pipelines::load(&args.model, &self.device)?;
        let mut cells = Vec::new();
        let begun = Instant::now();
        let captions = report::on_captions(
            &pipelines,
            &classifier,
            args.count,
            &self.device,
            |caption, picture| {
                if cells.len() < 48 {
                    println!("{:2}: {caption}", cells.len());
                    cells.push(picture.clone());
                }
            },
        )?;
        let seconds = begun.elapsed().as_secs_f64() / args.count as f64;
        save_grid(&cells, &self.out.join("eval-captions.png"))?;
        println!("held-out captions ({seconds:.2} s a picture)\n{captions}");
        let mut cells = Vec::new();
        let begun = Instant::now();
        let edits = report::on_edits(
            &pipelines,
            &classifier,
            args.count,
            &self.device,
            |instruction, before, after| {
                if cells.len() < 48 {
                    println!("{:2}: {instruction}", cells.len() / 2);
                    cells.extend([before.clone(), after.clone()]);
                }
            },
        )?;
        let seconds = begun.elapsed().as_secs_f64() / args.count as f64;
        save_grid(&cells, &self.out.join("eval-edits.png"))?;
        println!(
            "held-out edits ({seconds:.2} s a picture); kept: below {} outside of a local \
             change, below {} from the painter's own otherwise\n{edits}",
            report::KEPT,
            report::KEPT_WHOLE
        );
        let questions = ["subject", "colour", "time of day"];
        let reached = questions
            .iter()
            .all(|name| captions.questions.share(name) >= 0.85)
            && edits.both.share("all edits") >= 0.80;
        if args.check && !reached {
            anyhow::bail!("below the targets: 85 % subject, colour, time of day; 80 % of edits");
        }
        Ok(())
    }
}
