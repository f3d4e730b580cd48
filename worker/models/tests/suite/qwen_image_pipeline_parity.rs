//! Qwen-Image's prompt encoder and whole pipelines against `diffusers` on random
//! small weights and fixed noise; the fixtures are made by
//! `infra/parity/qwen_image.py`.

use crate::support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Tensor, TensorData};
use illumine_models::load::SafetensorsFile;
use illumine_models::qwen_image::pipeline::LatentCodec;
use illumine_models::qwen_image::pipeline::sizes::resized;
use illumine_models::qwen_image::prompt::{PromptEncoder, Template};
use illumine_models::qwen_image::{DrawRequest, DrawWatch, ImagePipeline, LoadOptions, QwenImage};
use illumine_models::qwen25_vl::Picture;
use image::RgbImage;
use serde::Deserialize;

use support::device;

const TOLERANCE: f32 = 1e-3;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen_image/pipeline")
}

/// A pipeline's folder with the parts that all share.
fn folder(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let parts = [
        "scheduler",
        "text_encoder",
        "tokenizer",
        "processor",
        "transformer",
        "vae",
    ];
    for part in parts {
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

/// The latents that the reference's VAE made of pictures, by their levels.
#[derive(Debug, Default)]
struct Recorded {
    sources: Vec<(Vec<f32>, Tensor<4>)>,
}

impl Recorded {
    fn read(name: &str) -> Self {
        let mut file = reference(name);
        let names = file.names();
        let latents = names
            .iter()
            .filter(|name| name.contains(".source_latents."));
        let source = |name: &String| {
            let (_, levels) = file.read(&name.replace("_latents", "")).unwrap();
            let (shape, values) = file.read(name).unwrap();
            let shape: [usize; 4] = shape.try_into().unwrap();
            let data = TensorData::new(values, shape);
            (levels, Tensor::from_data(data, &device()))
        };
        Self {
            sources: latents.map(source).collect(),
        }
    }
}

impl LatentCodec for Recorded {
    fn channels(&self) -> usize {
        4
    }

    fn scale(&self) -> usize {
        8
    }

    fn num_parameters(&self) -> usize {
        0
    }

    fn memory(&self, width: u64, height: u64) -> u64 {
        width * height
    }

    /// Of a picture that is, level by level, what the reference's VAE was given.
    fn encode(&self, picture: Tensor<4>) -> illumine_models::Result<Tensor<4>> {
        let level = |value: f32| ((value / 2.0 + 0.5) * 255.0).round();
        let ours: Vec<f32> = floats(picture).into_iter().map(level).collect();
        let found = self.sources.iter().find(|(levels, _)| *levels == ours);
        Ok(found.expect("resized as by the reference").1.clone())
    }

    /// Never asked: latents are compared.
    fn decode(&self, _latents: Tensor<4>) -> illumine_models::Result<Tensor<4>> {
        let reason = "only latents are recorded".to_owned();
        Err(illumine_models::ModelError::Engine(reason))
    }
}

fn load(name: &str) -> QwenImage {
    let codec = Box::new(Recorded::read(name));
    let options = LoadOptions::default();
    QwenImage::load_beside(codec, folder(name).path(), &device(), DType::F32, &options).unwrap()
}

fn photo(number: usize) -> RgbImage {
    let path = fixtures().join(format!("photo_{number}.png"));
    image::open(path).unwrap().into_rgb8()
}

fn reference(name: &str) -> SafetensorsFile {
    SafetensorsFile::open(&fixtures().join(format!("{name}.safetensors"))).unwrap()
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().all(|value| value.is_finite()));
    let pairs = ours.iter().zip(theirs);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[derive(Deserialize)]
struct Case {
    prompt: Vec<String>,
    negative: Option<Vec<String>>,
    #[serde(default)]
    pictures: Vec<usize>,
    width: u32,
    height: u32,
    steps: usize,
    guidance: f32,
}

impl Case {
    fn requests(&self) -> Vec<DrawRequest> {
        let negatives = self.negative.clone().unwrap_or_default();
        let request = |(row, prompt): (usize, &String)| DrawRequest {
            prompt: prompt.clone(),
            negative_prompt: negatives.get(row).cloned().unwrap_or_default(),
            width: self.width,
            height: self.height,
            steps: self.steps,
            guidance: self.guidance,
            seed: row as u64,
            pictures: self.pictures.iter().map(|&number| photo(number)).collect(),
        };
        self.prompt.iter().enumerate().map(request).collect()
    }
}

fn cases(name: &str) -> Vec<Case> {
    let text = std::fs::read(fixtures().join("runs.json")).unwrap();
    let mut all: BTreeMap<String, Vec<Case>> = serde_json::from_slice(&text).unwrap();
    all.remove(name).unwrap()
}

struct Unwatched;

impl DrawWatch for Unwatched {
    fn cancelled(&self, _item: usize) -> bool {
        false
    }

    fn stepped(
        &mut self,
        _item: usize,
        _step: usize,
        _steps: usize,
        _preview: &dyn Fn() -> Option<RgbImage>,
    ) {
    }
}

fn whole_runs(name: &str) {
    let model = load(name);
    let whole = QwenImage::load(folder(name).path(), &device(), DType::F32).unwrap();
    let mut file = reference(name);
    for (number, case) in cases(name).iter().enumerate() {
        let mut read = |what: &str| file.read(&format!("{number}.{what}")).unwrap().1;
        let (noise, theirs) = (read("noise"), read("latents"));
        let picture = read("decoded");
        let requests = case.requests();
        let rows = requests.len();
        let noise: Vec<Vec<f32>> = noise
            .chunks(noise.len() / rows)
            .map(<[f32]>::to_vec)
            .collect();
        for request in &requests {
            let (fitted, notes) = model.fit(request.clone()).unwrap();
            assert_eq!((&fitted, notes.len()), (request, 0));
        }
        let draw = |model: &QwenImage| -> Vec<Tensor<3>> {
            let drawn = model.latents(&requests, Some(&noise), &mut Unwatched);
            drawn.unwrap().into_iter().map(Option::unwrap).collect()
        };
        let all = |drawn: Vec<Tensor<3>>| -> Vec<f32> {
            let values = drawn.into_iter().map(floats);
            values.flatten().collect()
        };
        // With the reference's own latents of the pictures to edit, and with ours.
        let beside = difference(&all(draw(&model)), &theirs);
        let drawn = draw(&whole);
        let level = |value: f32| (value / 2.0 + 0.5).clamp(0.0, 1.0);
        let decode = |latents: &Tensor<3>| {
            let size = [case.width, case.height];
            floats(whole.decode(latents.clone(), size).unwrap())
        };
        let decoded: Vec<f32> = drawn.iter().flat_map(decode).map(level).collect();
        let of_picture = difference(&decoded, &picture);
        let ours = all(drawn);
        let moved = difference(&noise.concat(), &theirs);
        let difference = difference(&ours, &theirs);
        println!("{name} {number}: {beside:e}, {difference:e}, picture {of_picture:e}");
        assert!(moved > 0.5, "the reference hardly moved");
        let flat = picture.iter().filter(|level| (0.01..0.99).contains(*level));
        assert!(
            flat.count() * 4 > picture.len(),
            "the reference is black or white"
        );
        assert!(beside <= 1e-4, "{name} {number}: {beside:e}");
        assert!(of_picture <= TOLERANCE, "{name} {number}: {of_picture:e}");
        assert!(difference <= TOLERANCE, "{name} {number}: {difference:e}");
    }
}

#[test]
fn generation() {
    whole_runs("generation");
}

#[test]
fn edit() {
    whole_runs("edit");
}

#[test]
fn edit_plus() {
    whole_runs("edit_plus");
}

#[test]
fn prompts_with_and_without_pictures() {
    let seen = |number: usize, size| {
        let rgb = resized(&photo(number), size);
        Picture::from_rgb("photo", size[0], size[1], rgb).unwrap()
    };
    let whole = |number: usize| {
        let picture = photo(number);
        let (width, height) = picture.dimensions();
        let rgb = picture.into_raw();
        Picture::from_rgb("photo", width as usize, height as usize, rgb).unwrap()
    };
    let long = "word ".repeat(700);
    let pipelines = [
        ("generation", Template::Generation, vec![]),
        ("edit", Template::Edit, vec![seen(0, [80, 48])]),
        ("edit_plus", Template::EditPlus, vec![whole(0), whole(1)]),
    ];
    for (name, template, pictures) in pipelines {
        let dir = folder(name);
        let encoder =
            PromptEncoder::load(dir.path(), template, None, &device(), DType::F32).unwrap();
        let mut file = reference(name);
        let length = if pictures.is_empty() { long.len() } else { 400 };
        for (number, prompt) in ["", "a red fox", &long[..length]].iter().enumerate() {
            let (shape, theirs) = file.read(&format!("prompt.{number}")).unwrap();
            let ours = encoder.encode(prompt, &pictures).unwrap();
            assert_eq!(ours.dims().to_vec(), shape, "{name} {number}");
            let difference = difference(&floats(ours), &theirs);
            println!("{name} {number}: {difference:e}");
            assert!(difference <= 1e-4, "{name} {number}: {difference:e}");
        }
    }
}

#[test]
fn a_tokenizer_without_tokenizer_json() {
    #[derive(Deserialize)]
    struct Text {
        text: String,
        ids: Vec<u32>,
    }
    let folder = fixtures().with_file_name("old_tokenizer");
    let tokenizer = illumine_models::tokenizer::ChatTokenizer::from_folder(&folder).unwrap();
    let texts = std::fs::read(folder.join("ids.json")).unwrap();
    let texts: Vec<Text> = serde_json::from_slice(&texts).unwrap();
    assert!(texts.len() >= 5);
    for Text { text, ids } in texts {
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{text}");
    }
}
