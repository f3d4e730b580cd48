//! The classifier and what is counted with it.

use burn::tensor::Device;
use illumine_train::painter::scene::{Medium, Setting, Tone};
use illumine_train::painter::{Painter, paint, to_image};
use illumine_train::picture_eval::report::{Shares, difference};
use illumine_train::picture_eval::{Classifier, ClassifierTraining, Head, Labels, train};
use image::{Rgb, RgbImage};

#[test]
fn labels_are_what_the_picture_tells() {
    let painter = Painter::training(3);
    for index in 0..300 {
        let scene = painter.example(index).scene;
        let labels = Labels::of(&scene);
        for head in Head::ALL {
            assert!(labels.get(head).is_none_or(|class| class < head.classes()));
        }
        assert_eq!(labels.get(Head::Medium), Some(scene.medium as usize));
        assert_eq!(labels.get(Head::Thing) == Some(0), scene.object.is_none());
        let colourful = scene.medium.has_colour() && scene.tone == Tone::Plain;
        assert_eq!(labels.get(Head::Colour).is_some(), colourful);
        if matches!(scene.setting, Setting::Pattern(_)) || scene.medium != Medium::Painting {
            assert_eq!(labels.get(Head::Time), None);
        }
    }
    let ends = Head::ALL.map(|head| head.offset() + head.classes());
    assert_eq!(ends[8], Head::total());
    assert!(
        Head::ALL[1..]
            .iter()
            .zip(ends)
            .all(|(next, end)| next.offset() == end)
    );
}

#[test]
fn the_classifier_learns_and_survives_its_file() {
    let device = Device::flex();
    let config = ClassifierTraining {
        steps: 30,
        batch: 8,
        ..ClassifierTraining::default()
    };
    let mut losses = Vec::new();
    let classifier = train(&config, &device, |_, loss| losses.push(loss)).unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(
        mean(&losses[25..]) < 0.85 * mean(&losses[..5]),
        "{losses:?}"
    );

    let painter = Painter::training(4);
    let pictures: Vec<RgbImage> = (0..3)
        .map(|index| to_image(&paint(&painter.example(index).scene).pixels))
        .collect();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("classifier.safetensors");
    classifier.save(&path).unwrap();
    let loaded = Classifier::load(&path, &device).unwrap();
    let seen = classifier.look(&pictures, &device).unwrap();
    assert_eq!(seen, loaded.look(&pictures, &device).unwrap());

    std::fs::write(&path, b"no weights").unwrap();
    let error = Classifier::load(&path, &device).unwrap_err();
    assert!(error.to_string().contains("classifier.safetensors"));
}

#[test]
fn differences_are_of_the_pixels_that_count() {
    let black = RgbImage::new(4, 2);
    let mut other = black.clone();
    other.put_pixel(1, 0, Rgb([255, 0, 0]));
    assert_eq!(difference(&black, &other, |pixel| pixel != 1), 0.0);
    assert!((difference(&black, &other, |pixel| pixel == 1) - 1.0 / 3.0).abs() < 1e-9);
    assert!((difference(&black, &other, |_| true) - 1.0 / 24.0).abs() < 1e-9);
}

#[test]
fn shares_are_of_what_was_asked() {
    let mut shares = Shares::default();
    for is_right in [true, true, false, true] {
        shares.add("colour", is_right);
    }
    assert_eq!(shares.share("colour"), 0.75);
    assert_eq!(shares.share("nothing"), 0.0);
    assert!(shares.to_string().contains("75.0 %  (3 of 4)"));
}
