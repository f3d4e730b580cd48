//! The picture model's trainer: it learns, goes on from a checkpoint as if nothing had
//! been, and writes folders that the product's pipelines draw with.

use burn::tensor::{DType, Device};
use illumine_models::qwen_image::vae::{QwenImageVae, VaeConfig};
use illumine_models::qwen_image::{DrawRequest, DrawWatch, ImagePipeline, QwenImage};
use illumine_train::optim;
use illumine_train::painter::{Painter, paint, to_image};
use illumine_train::picture_eval::labels::{Head, Labels};
use illumine_train::picture_model::batch::{Batches, Kind, Prompts};
use illumine_train::picture_model::draw::{Request, Studio, draw};
use illumine_train::picture_model::trainer::Material;
use illumine_train::picture_model::{
    Focus, LatentCache, ModelSizes, PictureTrainer, PictureTraining, Progress, folders, vocabulary,
};
use image::RgbImage;

fn config(steps: u64) -> PictureTraining {
    PictureTraining {
        sizes: ModelSizes {
            width: 32,
            layers: 1,
            text_width: 32,
            text_layers: 1,
            vocabulary: 400,
        },
        generation_batch: 6,
        edit_batch: 4,
        steps,
        learning_rate: 3e-3,
        warmup: 5,
        checkpoint_every: 4,
        average_decay: 0.9,
        ..PictureTraining::default()
    }
}

/// An autoencoder of nothing yet, whose latents have spread all the same.
fn vae(device: &Device) -> QwenImageVae {
    let config = VaeConfig {
        base_dim: 4,
        z_dim: 4,
        dim_mult: vec![1, 1, 1, 1],
        num_res_blocks: 1,
        latents_mean: vec![0.0; 4],
        latents_std: vec![0.3; 4],
        ..VaeConfig::default()
    };
    device.seed(5);
    QwenImageVae::init(config, device).unwrap()
}

struct Workshop {
    painter: Painter,
    vae: QwenImageVae,
    cache: LatentCache,
    tokenizer: tokenizers::Tokenizer,
    prompts: Prompts,
}

fn workshop(device: &Device) -> Workshop {
    let painter = Painter::training(1);
    let vae = vae(device);
    let mut cache = LatentCache::make(&painter, &vae, 0..12, device).unwrap();
    cache.focus = Focus::make(&painter, 12, cache.tokens);
    let tokenizer = vocabulary::train(&painter, 400).unwrap();
    let prompts = Prompts::new(vocabulary::chat_tokenizer(tokenizer.clone()).unwrap()).unwrap();
    Workshop {
        painter,
        vae,
        cache,
        tokenizer,
        prompts,
    }
}

impl Workshop {
    fn material(&self) -> Material<'_> {
        Material {
            painter: &self.painter,
            cache: &self.cache,
            prompts: &self.prompts,
        }
    }
}

fn weights(trainer: &PictureTrainer) -> Vec<Vec<f32>> {
    let read = |tensor: burn::tensor::Tensor<1>| tensor.into_data().try_into_vec::<f32>().unwrap();
    optim::weights(&trainer.model)
        .into_iter()
        .map(read)
        .collect()
}

#[test]
fn its_loss_falls_for_pictures_and_for_edits() {
    let device = Device::flex();
    let workshop = workshop(&device);
    let run = tempfile::tempdir().unwrap();
    let mut trainer = PictureTrainer::new(config(120), 4, &device).unwrap();
    let mut losses: Vec<[f64; 2]> = Vec::new();
    trainer
        .run(workshop.material(), run.path(), |_, progress| {
            losses.push([progress.generation_loss, progress.edit_loss]);
            Ok(())
        })
        .unwrap();
    for kind in 0..2 {
        let mean = |losses: &[[f64; 2]]| {
            losses.iter().map(|loss| loss[kind]).sum::<f64>() / losses.len() as f64
        };
        let (first, last) = (mean(&losses[..10]), mean(&losses[100..]));
        assert!(last < 0.8 * first, "kind {kind}: {first} then {last}");
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_weights() {
    let device = Device::flex();
    let workshop = workshop(&device);
    let mut seen: Vec<Progress> = Vec::new();
    let whole = tempfile::tempdir().unwrap();
    let mut trainer = PictureTrainer::new(config(10), 4, &device).unwrap();
    // What a run draws of the device's seed is in its checkpoint.
    let start = whole.path().join("start");
    trainer.checkpoint(&start).unwrap();
    trainer
        .run(workshop.material(), whole.path(), |_, progress| {
            seen.push(*progress);
            Ok(())
        })
        .unwrap();

    let cut = tempfile::tempdir().unwrap();
    let mut first = PictureTrainer::resume(&start, config(10), &device).unwrap();
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let report = |_: &PictureTrainer, progress: &Progress| {
            assert!(progress.step < 6, "killed");
            Ok(())
        };
        first.run(workshop.material(), cut.path(), report)
    }));
    assert!(stopped.is_err());
    let checkpoint = cut.path().join("checkpoint");
    let mut second = PictureTrainer::resume(&checkpoint, config(10), &device).unwrap();
    assert_eq!(second.step_number(), 4);
    let mut again: Vec<Progress> = Vec::new();
    second
        .run(workshop.material(), cut.path(), |_, progress| {
            again.push(*progress);
            Ok(())
        })
        .unwrap();
    let told = |progress: &Progress| {
        let Progress {
            step,
            generation_loss,
            edit_loss,
            grad_norm,
            ..
        } = *progress;
        (step, generation_loss, edit_loss, grad_norm)
    };
    let expected: Vec<_> = seen[4..].iter().map(told).collect();
    assert_eq!(again.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(weights(&second), weights(&trainer));
    let averages = |trainer: &PictureTrainer| {
        let model = trainer.averaged();
        model.transformer.img_in.weight.val().into_data()
    };
    assert_eq!(averages(&second), averages(&trainer));
}

struct Unwatched;

impl DrawWatch for Unwatched {
    fn cancelled(&self, _item: usize) -> bool {
        false
    }
    fn stepped(&mut self, _: usize, _: usize, _: usize, _: &dyn Fn() -> Option<RgbImage>) {}
}

/// Folders in bf16 draw what the trainer's own sampler draws, up to rounding; noise is
/// the pipelines' own, so the two are compared from one step of nearly no noise.
#[test]
fn the_products_pipelines_load_the_folders_and_follow_the_prompt() {
    let device = Device::flex();
    let workshop = workshop(&device);
    let run = tempfile::tempdir().unwrap();
    let mut trainer = PictureTrainer::new(config(40), 4, &device).unwrap();
    trainer
        .run(workshop.material(), run.path(), |_, _| Ok(()))
        .unwrap();
    let model = trainer.averaged();
    let folder = run.path().join("demo-image");
    folders::save(
        &folder,
        &model,
        trainer.config(),
        &workshop.vae,
        &workshop.tokenizer,
    )
    .unwrap();

    let source = to_image(&paint(&workshop.painter.example(0).scene).pixels);
    for (dir, pictures) in [
        (folder.clone(), vec![]),
        (folder.join("edit"), vec![source]),
    ] {
        let pipeline = QwenImage::load(&dir, &device, DType::F32).unwrap();
        let request = |prompt: &str| DrawRequest {
            prompt: prompt.to_owned(),
            negative_prompt: " ".to_owned(),
            width: 0,
            height: 0,
            steps: 2,
            guidance: 2.0,
            seed: 1,
            pictures: pictures.clone(),
        };
        let draw = |prompt: &str| {
            let (request, notes) = pipeline.fit(request(prompt)).unwrap();
            assert!(notes.is_empty(), "{notes:?}");
            let drawn = pipeline.draw(&[request], &mut Unwatched).unwrap();
            drawn.into_iter().next().flatten().unwrap()
        };
        let picture = draw("a red boat on a lake");
        assert_eq!(picture.dimensions(), (128, 128));
        assert_ne!(picture, draw("a city at night"));
    }

    let encoder = trainer.config().sizes.prompt_encoder();
    let studio = Studio {
        model: &model,
        encoder: &encoder,
        prompts: &workshop.prompts,
        vae: &workshop.vae,
        device: &device,
        steps: 2,
        guidance: 2.0,
    };
    let request = |prompt: &str, seed| Request {
        prompt: prompt.to_owned(),
        source: None,
        seed,
    };
    let requests = [
        request("a red boat", 1),
        request("a red boat", 1),
        request("a red boat", 2),
    ];
    let drawn = draw(&studio, &requests).unwrap();
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[0], drawn[2]);
}

#[test]
fn sizes_that_no_model_has_are_refused_by_name() {
    type Change = fn(&mut PictureTraining);
    let changes: [(Change, &str); 4] = [
        (|config| config.sizes.width = 33, "width"),
        (|config| config.sizes.vocabulary = 100, "vocabulary"),
        (|config| config.edit_batch = 0, "edit_batch"),
        (|config| config.learning_rate = f64::NAN, "learning_rate"),
    ];
    for (change, field) in changes {
        let mut config = config(1);
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

/// In bf16, as folders are kept: eight bits after the first.
#[test]
fn a_run_begins_with_the_weights_of_a_finished_model_and_goes_on_learning() {
    let device = Device::flex();
    let workshop = workshop(&device);
    let run = tempfile::tempdir().unwrap();
    let mut first = PictureTrainer::new(config(30), 4, &device).unwrap();
    first
        .run(workshop.material(), run.path(), |_, _| Ok(()))
        .unwrap();
    let model = first.averaged();
    let folder = run.path().join("demo-image");
    let (vae, tokenizer) = (&workshop.vae, &workshop.tokenizer);
    folders::save(&folder, &model, first.config(), vae, tokenizer).unwrap();

    let mut second = PictureTrainer::begin_from(&folder, config(40), &device).unwrap();
    assert_eq!(second.step_number(), 0);
    let finished: Vec<Vec<f32>> = optim::weights(&model)
        .into_iter()
        .map(|weight| weight.into_data().try_into_vec().unwrap())
        .collect();
    let begun = weights(&second);
    assert_eq!(begun.len(), finished.len());
    for (begun, finished) in begun.iter().zip(&finished) {
        for (begun, finished) in begun.iter().zip(finished) {
            assert!((begun - finished).abs() <= finished.abs() / 256.0);
        }
    }

    // Only the layer above the encoder learns where it is to stay as it is.
    second
        .teach_encoder(workshop.material(), 3, 4, true, |_, _| {})
        .unwrap();
    assert_eq!(weights(&second), begun);
    let mut losses = Vec::new();
    let again = run.path().join("again");
    second
        .run(workshop.material(), &again, |_, progress| {
            losses.push(progress.generation_loss);
            Ok(())
        })
        .unwrap();
    assert_ne!(weights(&second), begun);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let fresh = PictureTrainer::new(config(40), 4, &device).unwrap();
    let mut of_fresh = Vec::new();
    let mut fresh = fresh;
    fresh
        .run(
            workshop.material(),
            &run.path().join("fresh"),
            |_, progress| {
                of_fresh.push(progress.generation_loss);
                Ok(())
            },
        )
        .unwrap();
    assert!(mean(&losses[..10]) < mean(&of_fresh[..10]));

    let mut other = config(1);
    other.sizes.layers = 2;
    let error = PictureTrainer::begin_from(&folder, other, &device).unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("sizes") && words.contains("demo-image"),
        "{words}"
    );
}

#[test]
fn examples_without_a_thing_give_their_place_to_others() {
    let device = Device::flex();
    let workshop = workshop(&device);
    let scenes = (0..).map(|index| workshop.painter.example(index).scene);
    let bare = scenes.into_iter().find(|scene| scene.object.is_none());
    let none = Labels::of(&bare.unwrap()).get(Head::Thing);
    let things = |hard_examples: usize| {
        let config = PictureTraining {
            hard_examples,
            dropped_prompts: 0,
            ..config(1)
        };
        let (painter, cache, prompts) = (&workshop.painter, &workshop.cache, &workshop.prompts);
        let mut batches = Batches::new(&config, painter, cache, prompts, Kind::Generation);
        (0..40)
            .flat_map(|step| batches.batch(step, &device).unwrap().labels)
            .filter(|labels| labels.get(Head::Thing) != none)
            .count()
    };
    let (as_they_come, preferred) = (things(0), things(100));
    assert!(preferred > as_they_come, "{preferred} and {as_they_come}");
}
