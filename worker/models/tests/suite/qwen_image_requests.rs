//! What a Qwen-Image pipeline makes of requests: refusals, adjustments, batches,
//! seeds, cancelling and previews, on the parity tests' small weights.

use crate::support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use illumine_models::qwen_image::scheduler::SchedulerConfig;
use illumine_models::qwen_image::{
    DrawRequest, DrawWatch, ImageMode, ImagePipeline, LoadOptions, QwenImage,
};
use image::RgbImage;

use support::device;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen_image/pipeline")
}

fn folder(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for part in [
        "scheduler",
        "text_encoder",
        "tokenizer",
        "processor",
        "transformer",
        "vae",
    ] {
        let to = dir.path().join(part);
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(fixtures().join(part)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let index = fixtures().join(format!("{name}.json"));
    std::fs::copy(index, dir.path().join("model_index.json")).unwrap();
    dir
}

fn load(name: &str) -> QwenImage {
    QwenImage::load(folder(name).path(), &device(), DType::F32).unwrap()
}

fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 5) as u8, (y * 7) as u8, (x * y) as u8])
    })
}

fn request(prompt: &str, seed: u64) -> DrawRequest {
    DrawRequest {
        prompt: prompt.to_owned(),
        negative_prompt: " ".to_owned(),
        width: 48,
        height: 32,
        steps: 3,
        guidance: 3.0,
        seed,
        pictures: Vec::new(),
    }
}

/// Counts steps, takes previews, and cancels items after some steps.
#[derive(Default)]
struct Watch {
    cancel_after: BTreeMap<usize, usize>,
    steps: BTreeMap<usize, usize>,
    previews: Vec<RgbImage>,
}

impl DrawWatch for Watch {
    fn cancelled(&self, item: usize) -> bool {
        let done = self.steps.get(&item).copied().unwrap_or(0);
        let after = self.cancel_after.get(&item);
        after.is_some_and(|&after| done >= after)
    }

    fn stepped(
        &mut self,
        item: usize,
        step: usize,
        steps: usize,
        preview: &dyn Fn() -> Option<RgbImage>,
    ) {
        assert_eq!(step, self.steps.get(&item).copied().unwrap_or(0) + 1);
        assert!(step <= steps);
        self.steps.insert(item, step);
        if item == 0 {
            self.previews.push(preview().unwrap());
        }
    }
}

fn near(one: &RgbImage, other: &RgbImage) -> bool {
    let pairs = one.as_raw().iter().zip(other.as_raw());
    one.dimensions() == other.dimensions() && pairs.into_iter().all(|(a, b)| a.abs_diff(*b) <= 1)
}

#[test]
fn a_seed_is_a_picture_whoever_shares_its_batch() {
    let model = load("generation");
    let batch = [
        request("a red fox", 7),
        request("a much longer prompt than that of the fox", 8),
    ];
    let mut watch = Watch::default();
    let together = model.draw(&batch, &mut watch).unwrap();
    let together: Vec<RgbImage> = together.into_iter().map(Option::unwrap).collect();
    assert_eq!(watch.steps, BTreeMap::from([(0, 3), (1, 3)]));
    assert_eq!(together[0].dimensions(), (48, 32));
    for (request, picture) in batch.iter().zip(&together) {
        let draw = |request: &DrawRequest| {
            let drawn = model.draw(std::slice::from_ref(request), &mut Watch::default());
            drawn.unwrap().remove(0).unwrap()
        };
        let alone = draw(request);
        assert!(near(&alone, picture), "{}", request.prompt);
        assert_eq!(draw(request), alone, "the same request drawn again");
        let other_seed = DrawRequest {
            seed: request.seed + 1,
            ..request.clone()
        };
        assert!(!near(&draw(&other_seed), picture), "the seed does nothing");
    }
    assert!(!near(&together[0], &together[1]));
}

#[test]
fn previews_come_near_to_the_picture() {
    let model = load("generation");
    let mut watch = Watch::default();
    let picture = model.draw(&[request("a red fox", 7)], &mut watch).unwrap();
    assert_eq!(watch.previews.len(), 3);
    // Small enough to be decoded whole; after the last step nothing is left to do.
    assert!(near(&watch.previews[2], picture[0].as_ref().unwrap()));
    assert!(!near(&watch.previews[0], &watch.previews[2]));

    let large = DrawRequest {
        width: 544,
        height: 272,
        steps: 1,
        guidance: 1.0,
        ..request("a red fox", 7)
    };
    let mut watch = Watch::default();
    model.draw(&[large], &mut watch).unwrap();
    let (width, height) = watch.previews[0].dimensions();
    assert!(width <= 256 && height <= 136, "{width}×{height}");
}

#[test]
fn a_cancelled_request_stops_and_the_others_do_not_notice() {
    let model = load("generation");
    let batch = [
        request("one", 1),
        request("two, which is cancelled", 2),
        request("three", 3),
    ];
    let whole = model.draw(&batch, &mut Watch::default()).unwrap();
    let mut watch = Watch {
        cancel_after: BTreeMap::from([(1, 1)]),
        ..Watch::default()
    };
    let drawn = model.draw(&batch, &mut watch).unwrap();
    assert_eq!(watch.steps, BTreeMap::from([(0, 3), (1, 1), (2, 3)]));
    assert!(drawn[1].is_none());
    for item in [0, 2] {
        let (ours, theirs) = (drawn[item].as_ref(), whole[item].as_ref());
        assert!(near(ours.unwrap(), theirs.unwrap()), "{item}");
    }

    let all = (0..3).map(|item| (item, 0)).collect();
    let mut watch = Watch {
        cancel_after: all,
        ..Watch::default()
    };
    let drawn = model.draw(&batch, &mut watch).unwrap();
    assert!(drawn.iter().all(Option::is_none) && watch.steps.is_empty());
}

#[test]
fn a_batch_of_edits_with_guidance_of_their_own() {
    let model = load("edit");
    let edit = |prompt: &str, guidance: f32, side: u32| DrawRequest {
        guidance,
        pictures: vec![photo(40, side)],
        ..request(prompt, 5)
    };
    let batch = [edit("snow", 1.5, 40), edit("make it night", 6.0, 40)];
    assert!(model.alike(&batch[0], &batch[1]));
    assert!(!model.alike(&batch[0], &edit("snow", 1.0, 40)));
    assert!(!model.alike(&batch[0], &edit("snow", 1.5, 41)));
    let together = model.draw(&batch, &mut Watch::default()).unwrap();
    for (request, picture) in batch.iter().zip(&together) {
        let alone = model.draw(std::slice::from_ref(request), &mut Watch::default());
        let alone = alone.unwrap().remove(0).unwrap();
        assert!(
            near(&alone, picture.as_ref().unwrap()),
            "{}",
            request.prompt
        );
    }
    // The picture matters: in latents, as these weights draw pale pictures.
    let mut other = batch[1].clone();
    image::imageops::invert(&mut other.pictures[0]);
    let latents = |request: &DrawRequest| -> Vec<f32> {
        let batch = std::slice::from_ref(request);
        let drawn = model.latents(batch, None, &mut Watch::default()).unwrap();
        let latents = drawn.into_iter().next().flatten().unwrap();
        latents.into_data().try_into_vec::<f32>().unwrap()
    };
    let moved = std::iter::zip(latents(&other), latents(&batch[1]))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(moved > 0.05, "{moved}");
}

#[test]
fn bad_requests_are_refused_by_field_and_remedy() {
    let (generation, edit, plus) = (load("generation"), load("edit"), load("edit_plus"));
    let fox = || request("a red fox", 1);
    let with = |pictures: Vec<RgbImage>| DrawRequest { pictures, ..fox() };
    let cases: Vec<(&QwenImage, DrawRequest, &str, &str)> = vec![
        (&generation, request(" \n", 1), "prompt", "empty"),
        (
            &generation,
            request("<|image_pad|> x", 1),
            "prompt",
            "take it out",
        ),
        (
            &generation,
            DrawRequest { steps: 0, ..fox() },
            "steps",
            "1 to 1000",
        ),
        (
            &generation,
            DrawRequest {
                steps: 1_000_000,
                ..fox()
            },
            "steps",
            "1 to 1000",
        ),
        (
            &generation,
            DrawRequest {
                guidance: f32::NAN,
                ..fox()
            },
            "guidance",
            "0 to 100",
        ),
        (
            &generation,
            DrawRequest {
                guidance: -1.0,
                ..fox()
            },
            "guidance",
            "0 to 100",
        ),
        (
            &generation,
            DrawRequest {
                width: 1_000_000,
                ..fox()
            },
            "width",
            "4096",
        ),
        (
            &generation,
            DrawRequest { height: 0, ..fox() },
            "height",
            "4096",
        ),
        (
            &generation,
            with(vec![photo(40, 40)]),
            "pictures",
            "words alone",
        ),
        (&edit, with(vec![]), "pictures", "give it a picture"),
        (
            &edit,
            with(vec![photo(9, 9), photo(9, 9)]),
            "pictures",
            "up to 1",
        ),
        (&plus, with(vec![photo(9, 9); 4]), "pictures", "up to 3"),
        (&edit, with(vec![photo(900, 9)]), "pictures", "crop"),
    ];
    for (model, request, field, remedy) in cases {
        let error = model.fit(request).unwrap_err();
        assert_eq!(error.code(), "model_request_invalid");
        let text = error.to_string();
        assert!(text.contains(&format!("`{field}`")), "{text}");
        assert!(text.contains(remedy), "{text}");
    }
}

#[test]
fn what_is_adjusted_is_said() {
    let model = load("generation");
    let odd = DrawRequest {
        width: 57,
        height: 3,
        ..request("a red fox", 1)
    };
    let (fitted, notes) = model.fit(odd).unwrap();
    assert_eq!((fitted.width, fitted.height), (48, 16));
    assert_eq!(notes.len(), 2, "{notes:?}");

    let long = "five thousand words ".repeat(1700);
    let (fitted, notes) = model.fit(request(&long, 1)).unwrap();
    assert!(fitted.prompt.len() < 5000 && long.starts_with(&fitted.prompt));
    assert!(notes[0].contains("left out"), "{notes:?}");
    let (again, notes) = model.fit(fitted.clone()).unwrap();
    assert_eq!((again, notes.len()), (fitted.clone(), 0));
    assert!(model.draw(&[fitted], &mut Watch::default()).unwrap()[0].is_some());
}

#[test]
fn without_a_size_the_model_chooses() {
    let free = |pictures: Vec<RgbImage>| DrawRequest {
        width: 0,
        height: 0,
        pictures,
        ..request("snow", 1)
    };
    let sizes = |name: &str, pictures: Vec<RgbImage>| {
        let (fitted, notes) = load(name).fit(free(pictures)).unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        (fitted.width, fitted.height)
    };
    assert_eq!(sizes("generation", vec![]), (64, 64));
    assert_eq!(sizes("edit", vec![photo(200, 50)]), (128, 32));
    let two = vec![photo(200, 50), photo(30, 60)];
    assert_eq!(sizes("edit_plus", two), (32, 96));
}

#[test]
fn the_folder_tells_what_the_model_is() {
    let model = load("edit_plus");
    let info = model.info();
    assert_eq!(info.mode, ImageMode::Edit);
    assert_eq!((info.most_pictures, info.side_multiple), (3, 16));
    assert_eq!((info.width, info.height, info.steps), (64, 64, 4));
    assert!((info.guidance - 4.0).abs() < 1e-6);
    let file = |name: &str| std::fs::metadata(fixtures().join(name)).unwrap().len();
    let transformer = file("transformer/diffusion_pytorch_model.safetensors");
    assert!(info.weights > transformer, "{}", info.weights);

    let (small, large) = (
        request("x", 1),
        DrawRequest {
            width: 1024,
            height: 1024,
            ..request("x", 1)
        },
    );
    let of = |batch: &[DrawRequest]| model.memory(batch);
    assert!(of(std::slice::from_ref(&large)) > of(std::slice::from_ref(&small)));
    assert!(of(&[small.clone(), small.clone()]) >= of(&[small]));
}

#[test]
fn adapters_and_schedules_can_be_chosen_at_loading() {
    let dir = folder("generation");
    let options = LoadOptions {
        scheduler: Some(SchedulerConfig::lightning()),
        steps: Some(4),
        guidance: Some(1.0),
        loras: Vec::new(),
    };
    let mut fast = QwenImage::load_with(dir.path(), &device(), DType::F32, &options).unwrap();
    assert_eq!((fast.info().steps, fast.info().guidance), (4, 1.0));
    let mut usual = load("generation");
    let draw = |model: &mut QwenImage| {
        let drawn = model.draw(&[request("x", 1)], &mut Watch::default());
        drawn.unwrap().remove(0).unwrap()
    };
    assert!(!near(&draw(&mut fast), &draw(&mut usual)));

    let lora = fixtures().with_file_name("lora/lightning.safetensors");
    let options = LoadOptions {
        loras: vec![(lora, 1.0)],
        ..LoadOptions::default()
    };
    let mut adapted = QwenImage::load_with(dir.path(), &device(), DType::F32, &options).unwrap();
    assert!(!near(&draw(&mut adapted), &draw(&mut usual)));
    let error = QwenImage::load(dir.path(), &device(), DType::F64).unwrap_err();
    assert!(error.to_string().contains("dtype"), "{error}");
}

#[test]
fn bf16_weights_draw_too() {
    let mut exact = load("edit");
    let mut rounded = QwenImage::load(folder("edit").path(), &device(), DType::BF16).unwrap();
    assert!(rounded.info().weights < exact.info().weights);
    let request = DrawRequest {
        pictures: vec![photo(50, 40)],
        ..request("snow", 1)
    };
    let draw = |model: &mut QwenImage| {
        let drawn = model.draw(std::slice::from_ref(&request), &mut Watch::default());
        drawn.unwrap().remove(0).unwrap()
    };
    let (one, other) = (draw(&mut exact), draw(&mut rounded));
    let distance: u64 = std::iter::zip(one.as_raw(), other.as_raw())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    let mean = distance as f64 / one.as_raw().len() as f64;
    assert!(mean < 12.0, "{mean}");
}
