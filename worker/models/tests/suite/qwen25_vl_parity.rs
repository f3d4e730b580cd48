//! Qwen2.5-VL against `transformers` on random small weights; the fixtures are
//! made by `infra/parity/qwen25_vl.py`.

use crate::support;

use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use illumine_models::load::SafetensorsFile;
use illumine_models::qwen3::KvCache;
use illumine_models::qwen25_vl::text::Positions;
use illumine_models::qwen25_vl::weights::load_qwen25_vl;
use illumine_models::qwen25_vl::{Grid, Inputs, Patches, Qwen25Vl, Qwen25VlConfig};

use support::device;

const TOLERANCE: f32 = 1e-4;

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen25_vl");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 5, "fixtures are missing: {folders:?}");
    folders
}

fn fixture(name: &str) -> PathBuf {
    let folders = fixtures();
    folders.into_iter().find(|f| f.ends_with(name)).unwrap()
}

fn config(folder: &Path) -> Qwen25VlConfig {
    serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap()
}

fn load(folder: &Path) -> Qwen25Vl {
    let mut weights = illumine_models::load::Weights::open(folder).unwrap();
    load_qwen25_vl(&config(folder), &mut weights, &device()).unwrap()
}

struct Reference {
    inputs: Inputs,
    logits: Vec<f32>,
    generated: Vec<i64>,
}

fn reference(folder: &Path) -> Reference {
    let mut file = SafetensorsFile::open(&folder.join("reference.safetensors")).unwrap();
    let (shape, input_ids) = file.read_ints("input_ids").unwrap();
    let mut patches = Patches::default();
    if file.shape("pixel_values").is_some() {
        patches.pixel_values = file.read("pixel_values").unwrap().1;
        let grids = file.read_ints("image_grid_thw").unwrap().1;
        let grid = |g: &[i64]| Grid {
            t: g[0] as usize,
            h: g[1] as usize,
            w: g[2] as usize,
        };
        patches.image_grid_thw = grids.chunks(3).map(grid).collect();
    }
    Reference {
        inputs: Inputs {
            input_ids,
            attention_mask: file.read_ints("attention_mask").unwrap().1,
            tokens: shape[1],
            patches,
        },
        logits: file.read("logits").unwrap().1,
        generated: file.read_ints("generated_ids").unwrap().1,
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn logits_of_the_whole_batch() {
    for folder in fixtures() {
        let what = folder.display();
        let reference = reference(&folder);
        let model = load(&folder);
        let ours = floats(model.forward(&reference.inputs, &device()).unwrap());
        assert_eq!(ours.len(), reference.logits.len(), "{what}");
        let vocab = model.config.text.vocab_size;
        let rows = ours.chunks(vocab).zip(reference.logits.chunks(vocab));
        let (mut largest, mut difference) = (0.0_f32, 0.0_f32);
        for ((ours, theirs), _) in rows
            .zip(&reference.inputs.attention_mask)
            .filter(|r| *r.1 == 1)
        {
            for (a, b) in ours.iter().zip(theirs) {
                largest = largest.max(b.abs());
                difference = difference.max((a - b).abs());
            }
        }
        println!("{what}: {difference:e}");
        assert!(largest > 1.0, "{what}: the reference's logits are flat");
        assert!(difference <= TOLERANCE, "{what}: {difference:e}");
    }
}

#[test]
fn pictures_change_the_logits() {
    let folder = fixture("several_pictures");
    let model = load(&folder);
    let mut inputs = reference(&folder).inputs;
    let before = floats(model.forward(&inputs, &device()).unwrap());
    for value in inputs.patches.pixel_values.iter_mut().take(24) {
        *value += 1.0;
    }
    let after = floats(model.forward(&inputs, &device()).unwrap());
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(a, b)| (*a - *b).abs() > 1e-3);
    assert!(moved.count() > 64);
}

/// The first row of a fixture, alone, and as many pictures as it has.
fn first_row(folder: &Path, reference: &Reference) -> Inputs {
    let merge = config(folder).vision.spatial_merge_size;
    let image = i64::from(config(folder).image_token_id);
    let tokens = reference.inputs.tokens;
    let input_ids = reference.inputs.input_ids[..tokens].to_vec();
    let mut places = input_ids.iter().filter(|id| **id == image).count();
    let all = &reference.inputs.patches;
    let mut patches = Patches::default();
    for grid in &all.image_grid_thw {
        if places == 0 {
            break;
        }
        places -= grid.merged(merge);
        patches.image_grid_thw.push(*grid);
    }
    let count: usize = patches.image_grid_thw.iter().map(Grid::patches).sum();
    let width = config(folder).vision.patch_width();
    patches.pixel_values = all.pixel_values[..count * width].to_vec();
    Inputs {
        attention_mask: vec![1; tokens],
        input_ids,
        tokens,
        patches,
    }
}

#[test]
fn greedy_decoding_with_the_cache() {
    let device = device();
    for folder in fixtures() {
        let what = folder.display();
        let reference = reference(&folder);
        let model = load(&folder);
        let inputs = first_row(&folder, &reference);
        let positions = model.positions(&inputs).unwrap();
        let mut cache = KvCache::new(model.language_model.layers.len());
        let x = model.embed(&inputs, &device).unwrap();
        let mut hidden = model.forward_cached(x, &positions, None, &mut cache);
        let mut written = Vec::new();
        for next in (positions.next[0]..).take(reference.generated.len()) {
            let last = hidden.dims()[1] - 1;
            let logits = floats(model.language_model.logits(hidden.narrow(1, last, 1)));
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            written.push(best.unwrap() as i64);
            let one = Inputs {
                input_ids: vec![written[written.len() - 1]],
                attention_mask: vec![1],
                tokens: 1,
                patches: Patches::default(),
            };
            let x = model.embed(&one, &device).unwrap();
            hidden = model.forward_cached(x, &Positions::of_rows(&[next]), None, &mut cache);
        }
        assert_eq!(written, reference.generated, "{what}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let folder = fixture("several_pictures");
    let model = load(&folder);
    let good = reference(&folder).inputs;
    let refused = |change: &dyn Fn(&mut Inputs), word: &str| {
        let mut inputs = good.clone();
        change(&mut inputs);
        let error = model.forward(&inputs, &device()).unwrap_err();
        assert_eq!(error.code(), "model_request_invalid");
        assert!(error.to_string().contains(word), "{error}");
    };
    let huge = Grid {
        t: usize::MAX,
        h: 2,
        w: 2,
    };
    refused(&|i| i.input_ids[40] = 40, "vocabulary");
    refused(&|i| i.input_ids[0] = 37, "video");
    refused(&|i| i.patches.pixel_values.truncate(9), "pixel_values");
    refused(&|i| i.patches.image_grid_thw[0].h = 3, "squares");
    refused(&|i| i.patches.image_grid_thw[0] = huge, "grid");
    refused(&|i| i.patches.image_grid_thw.swap(0, 1), "places");
    refused(&|i| i.input_ids[4] = 1, "places");
    refused(&|i| i.patches = Patches::default(), "more pictures");
    refused(&|i| i.input_ids[..30].fill(1), "places");
}
