//! The image processor against `transformers`; the fixtures are made by
//! `infra/parity/qwen25_vl_processor.py`.

use std::path::{Path, PathBuf};

use illumine_models::load::SafetensorsFile;
use illumine_models::qwen25_vl::processor_config::ProcessorConfig;
use illumine_models::qwen25_vl::{Grid, ImageProcessor, Patches, Picture};

const TOLERANCE: f32 = 1e-5;

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen25_vl_processor");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 15, "fixtures are missing: {folders:?}");
    folders
}

fn processor(folder: &Path) -> ImageProcessor {
    ImageProcessor::new(ProcessorConfig::from_folder(folder).unwrap().unwrap()).unwrap()
}

fn picture(folder: &Path) -> Picture {
    Picture::open(&folder.join("picture.png")).unwrap()
}

fn assert_same(ours: &Patches, theirs: &[f32], what: &str) {
    assert_eq!(ours.pixel_values.len(), theirs.len(), "{what}");
    let pairs = ours.pixel_values.iter().zip(theirs);
    let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(
        largest <= TOLERANCE,
        "{what}: largest difference {largest:e}"
    );
}

#[test]
fn pixel_values_and_grid_are_the_references() {
    for folder in fixtures() {
        let mut file = SafetensorsFile::open(&folder.join("reference.safetensors")).unwrap();
        let (shape, theirs) = file.read("pixel_values").unwrap();
        let (_, grid) = file.read_ints("image_grid_thw").unwrap();
        let processor = processor(&folder);
        let ours = processor.process(&[picture(&folder)]).unwrap();
        let what = folder.display().to_string();
        let [Grid { t, h, w }] = ours.image_grid_thw[..] else {
            panic!("{what}: one picture, one grid");
        };
        assert_eq!([t as i64, h as i64, w as i64], grid[..], "{what}");
        assert_eq!(
            shape,
            [t * h * w, processor.config().patch_width()],
            "{what}"
        );
        assert_same(&ours, &theirs, &what);
    }
}

#[test]
fn several_pictures_are_laid_end_to_end() {
    let folders = fixtures();
    let with_same_settings: Vec<&PathBuf> = folders
        .iter()
        .filter(|folder| processor(folder).config() == processor(&folders[0]).config())
        .collect();
    assert!(with_same_settings.len() >= 3);
    let pictures: Vec<Picture> = with_same_settings.iter().map(|f| picture(f)).collect();
    let processor = processor(&folders[0]);
    let together = processor.process(&pictures).unwrap();
    let mut apart = Patches::default();
    for picture in &pictures {
        let one = processor.process(std::slice::from_ref(picture)).unwrap();
        apart.pixel_values.extend(one.pixel_values);
        apart.image_grid_thw.extend(one.image_grid_thw);
    }
    assert_eq!(together, apart);
}
