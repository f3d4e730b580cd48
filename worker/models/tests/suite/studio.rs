//! The studio, with a pipeline that draws plain pictures and says what it was asked.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use illumine_models::qwen_image::studio::{Studio, StudioConfig, StudioEvent};
use illumine_models::qwen_image::{
    DrawRequest, DrawWatch, ImageMode, ImageModelInfo, ImagePipeline,
};
use illumine_models::{ModelError, Result};
use image::{Rgb, RgbImage};

/// Draws the seed's colour, a step in `delay`.
struct Plain {
    info: ImageModelInfo,
    delay: Duration,
    /// The seeds of each batch.
    batches: Arc<Mutex<Vec<Vec<u64>>>>,
    previews: Arc<AtomicUsize>,
}

impl ImagePipeline for Plain {
    fn info(&self) -> &ImageModelInfo {
        &self.info
    }

    fn fit(&self, request: DrawRequest) -> Result<(DrawRequest, Vec<String>)> {
        if request.prompt.is_empty() {
            return Err(ModelError::Request {
                field: "prompt",
                reason: "is empty".to_owned(),
            });
        }
        Ok((request, vec!["as it is".to_owned()]))
    }

    fn memory(&self, batch: &[DrawRequest]) -> u64 {
        let pixels = |one: &DrawRequest| u64::from(one.width) * u64::from(one.height);
        batch.iter().map(pixels).sum()
    }

    fn draw(
        &self,
        batch: &[DrawRequest],
        watch: &mut dyn DrawWatch,
    ) -> Result<Vec<Option<RgbImage>>> {
        let seeds = batch.iter().map(|one| one.seed).collect();
        self.batches.lock().unwrap().push(seeds);
        match batch[0].prompt.as_str() {
            "panic" => panic!("the brush broke"),
            "fail" => return Err(ModelError::Engine("out of paint".to_owned())),
            "refuse" => {
                return Err(ModelError::Request {
                    field: "prompt",
                    reason: "has no words that can be drawn".to_owned(),
                });
            }
            _ => {}
        }
        let steps = batch[0].steps;
        let mut alive = vec![true; batch.len()];
        for step in 1..=steps {
            for (item, alive) in alive.iter_mut().enumerate() {
                *alive &= !watch.cancelled(item);
            }
            if !alive.contains(&true) {
                break;
            }
            std::thread::sleep(self.delay);
            for item in (0..batch.len()).filter(|&item| alive[item]) {
                let preview = || {
                    self.previews.fetch_add(1, Ordering::Relaxed);
                    Some(RgbImage::new(1, 1))
                };
                watch.stepped(item, step, steps, &preview);
            }
        }
        let draw = |(one, alive): (&DrawRequest, &bool)| {
            let colour = Rgb([one.seed as u8, 0, 0]);
            alive.then(|| RgbImage::from_pixel(one.width, one.height, colour))
        };
        Ok(batch.iter().zip(&alive).map(draw).collect())
    }
}

struct World {
    studio: Studio,
    batches: Arc<Mutex<Vec<Vec<u64>>>>,
    previews: Arc<AtomicUsize>,
}

fn world(delay_ms: u64, config: StudioConfig) -> World {
    let (batches, previews) = (Arc::default(), Arc::default());
    let open = {
        let (batches, previews) = (Arc::clone(&batches), Arc::clone(&previews));
        move || {
            Ok(Arc::new(Plain {
                info: ImageModelInfo {
                    name: "plain".to_owned(),
                    mode: ImageMode::Generation,
                    most_pictures: 0,
                    width: 8,
                    height: 8,
                    steps: 4,
                    guidance: 1.0,
                    side_multiple: 1,
                    device: "cpu".to_owned(),
                    weights: 1,
                },
                delay: Duration::from_millis(delay_ms),
                batches: Arc::clone(&batches),
                previews: Arc::clone(&previews),
            }) as Arc<dyn ImagePipeline>)
        }
    };
    World {
        studio: Studio::start(Box::new(open), config).unwrap(),
        batches,
        previews,
    }
}

fn request(seed: u64) -> DrawRequest {
    DrawRequest {
        prompt: "a tree".to_owned(),
        negative_prompt: " ".to_owned(),
        width: 8,
        height: 8,
        steps: 4,
        guidance: 1.0,
        seed,
        pictures: Vec::new(),
    }
}

/// Submits, and collects what is heard.
fn ask(studio: &Studio, request: DrawRequest, previews: bool) -> mpsc::Receiver<StudioEvent> {
    let (sender, heard) = mpsc::channel();
    let sink = move |event| match sender.send(event) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    studio.submit(request, previews, Box::new(sink)).unwrap();
    heard
}

fn last(heard: &mpsc::Receiver<StudioEvent>) -> StudioEvent {
    heard.iter().last().unwrap()
}

fn finished(heard: &mpsc::Receiver<StudioEvent>) -> RgbImage {
    match last(heard) {
        StudioEvent::Finished(picture) => *picture,
        other => panic!("{other:?}"),
    }
}

#[test]
fn those_that_are_alike_are_drawn_together_and_the_first_is_never_passed_over() {
    let World {
        studio, batches, ..
    } = world(10, StudioConfig::default());
    let first = ask(&studio, request(1), false);
    // The first is being drawn while these come.
    std::thread::sleep(Duration::from_millis(15));
    let other = DrawRequest {
        width: 16,
        ..request(2)
    };
    let all: Vec<_> = [
        other,
        request(3),
        request(4),
        request(5),
        request(6),
        request(7),
    ]
    .into_iter()
    .map(|request| ask(&studio, request, false))
    .collect();
    assert_eq!(finished(&first).get_pixel(0, 0).0[0], 1);
    for (heard, seed) in all.iter().zip(2..) {
        assert_eq!(finished(heard).get_pixel(0, 0).0[0], seed);
    }
    let batches = batches.lock().unwrap();
    assert_eq!(*batches, [vec![1], vec![2], vec![3, 4, 5, 6], vec![7]]);
    let metrics = studio.metrics();
    assert_eq!((metrics.requests_total, metrics.drawn_total), (7, 7));
    assert!(metrics.seconds_a_step > 0.0 && metrics.loaded);
}

#[test]
fn memory_splits_batches_and_refuses_what_never_fits() {
    let config = StudioConfig {
        memory: Some(130),
        ..StudioConfig::default()
    };
    let World {
        studio, batches, ..
    } = world(5, config);
    let first = ask(&studio, request(0), false);
    std::thread::sleep(Duration::from_millis(8));
    let all: Vec<_> = (1..=3)
        .map(|seed| ask(&studio, request(seed), false))
        .collect();
    finished(&first);
    all.iter().for_each(|heard| drop(finished(heard)));
    assert_eq!(*batches.lock().unwrap(), [vec![0], vec![1, 2], vec![3]]);
    let large = DrawRequest {
        width: 4096,
        height: 4096,
        ..request(9)
    };
    let error = studio.submit(large, false, Box::new(|_| ControlFlow::Continue(())));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("4096×4096") && error.contains("16 MiB"),
        "{error}"
    );
}

#[test]
fn cancelling_takes_effect_between_steps_and_in_the_queue() {
    let World { studio, .. } = world(20, StudioConfig::default());
    let (sender, heard) = mpsc::channel();
    let sink = move |event| {
        let _ = sender.send(event);
        ControlFlow::Continue(())
    };
    let slow = DrawRequest {
        steps: 500,
        ..request(1)
    };
    let accepted = studio.submit(slow, false, Box::new(sink)).unwrap();
    assert_eq!(accepted.notes, ["as it is"]);
    let (sender, waiting) = mpsc::channel();
    let sink = move |event| {
        let _ = sender.send(event);
        ControlFlow::Continue(())
    };
    let other = DrawRequest {
        width: 16,
        ..request(2)
    };
    let queued = studio.submit(other, false, Box::new(sink)).unwrap();
    queued.cancel.cancel();
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    accepted.cancel.cancel();
    // A listener that is gone cancels too.
    assert!(matches!(last(&heard), StudioEvent::Cancelled));
    assert!(matches!(last(&waiting), StudioEvent::Cancelled));
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "all 500 steps were drawn"
    );
    drop(ask(
        &studio,
        DrawRequest {
            steps: 500,
            ..request(3)
        },
        false,
    ));
    let begun = Instant::now();
    while studio.metrics().cancelled_total < 3 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn steps_and_previews_are_heard_by_those_who_asked() {
    let config = StudioConfig {
        preview_every: Duration::from_millis(0),
        ..StudioConfig::default()
    };
    let World {
        studio, previews, ..
    } = world(1, config);
    let heard = ask(&studio, request(1), false);
    let steps = heard
        .iter()
        .filter(|event| matches!(event, StudioEvent::Step { .. }));
    assert_eq!(steps.count(), 4);
    assert_eq!(previews.load(Ordering::Relaxed), 0);
    let heard = ask(&studio, request(2), true);
    let shown = heard.iter().filter(|event| {
        matches!(
            event,
            StudioEvent::Step {
                preview: Some(_),
                ..
            }
        )
    });
    assert_eq!(shown.count(), 3, "the last step's picture follows");
}

#[test]
fn a_failure_is_of_its_batch_alone() {
    let World { studio, .. } = world(1, StudioConfig::default());
    let prompt = |prompt: &str| DrawRequest {
        prompt: prompt.to_owned(),
        ..request(1)
    };
    for (words, says) in [("panic", "the brush broke"), ("fail", "out of paint")] {
        let heard = ask(&studio, prompt(words), false);
        let StudioEvent::Failed(error) = last(&heard) else {
            panic!("{words}");
        };
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(
        finished(&ask(&studio, request(7), false)).get_pixel(0, 0).0[0],
        7
    );
    let metrics = studio.metrics();
    assert_eq!(metrics.failed_total, 2);
    assert_eq!(metrics.loads_total, 2, "one that panicked draws no more");
    let heard = ask(&studio, prompt("refuse"), false);
    let StudioEvent::Failed(error) = last(&heard) else {
        panic!("drawn");
    };
    assert_eq!(error.code(), "model_request_invalid");
    let error = studio.submit(prompt(""), false, Box::new(|_| ControlFlow::Continue(())));
    assert_eq!(error.unwrap_err().code(), "model_request_invalid");
}

#[test]
fn pictures_that_wait_take_so_much_memory_and_no_more() {
    let config = StudioConfig {
        batch: 1,
        picture_bytes: 1000,
        ..StudioConfig::default()
    };
    let World { studio, .. } = world(20, config);
    let with = |side: u32| DrawRequest {
        pictures: vec![RgbImage::new(side, side)],
        ..request(1)
    };
    let first = ask(&studio, request(1), false);
    while studio.metrics().drawing == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // 1,200 bytes: alone it may wait, however large.
    let second = ask(&studio, with(20), false);
    let sink = || Box::new(|_| ControlFlow::Continue(()));
    let refused = studio.submit(with(1), false, sink());
    let Err(ModelError::PicturesBusy { bytes, limit }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((bytes, limit), (1200, 1000));
    let plain = ask(&studio, request(2), false);
    for heard in [&first, &second, &plain] {
        finished(heard);
    }
}

#[test]
fn a_full_queue_is_busy_and_says_for_how_long() {
    let config = StudioConfig {
        queue: 2,
        batch: 1,
        ..StudioConfig::default()
    };
    let World { studio, .. } = world(20, config);
    let first = ask(&studio, request(1), false);
    while studio.metrics().drawing == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let waiting: Vec<_> = (2..=3)
        .map(|seed| ask(&studio, request(seed), false))
        .collect();
    let error = studio.submit(request(4), false, Box::new(|_| ControlFlow::Continue(())));
    assert!(matches!(
        error,
        Err(ModelError::Busy {
            pending: 2,
            limit: 2
        })
    ));
    assert!(studio.retry_after() >= Duration::from_secs(1));
    finished(&first);
    waiting.iter().for_each(|heard| drop(finished(heard)));
    assert_eq!(studio.metrics().refused_total, 1);
}

#[test]
fn those_that_gave_up_make_room() {
    let config = StudioConfig {
        queue: 2,
        batch: 1,
        ..StudioConfig::default()
    };
    let World { studio, .. } = world(20, config);
    let first = ask(&studio, request(1), false);
    while studio.metrics().drawing == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let silent = || Box::new(|_| ControlFlow::Continue(()));
    for seed in 2..=3 {
        let accepted = studio.submit(request(seed), false, silent()).unwrap();
        accepted.cancel.cancel();
    }
    let last = ask(&studio, request(4), false);
    finished(&first);
    assert_eq!(finished(&last).get_pixel(0, 0).0[0], 4);
    let metrics = studio.metrics();
    assert_eq!((metrics.cancelled_total, metrics.refused_total), (2, 0));
}

#[test]
fn the_wait_of_a_busy_studio_grows_with_the_steps_before_it() {
    let config = StudioConfig {
        batch: 1,
        ..StudioConfig::default()
    };
    let World { studio, .. } = world(20, config);
    finished(&ask(&studio, request(1), false));
    let long = |steps| DrawRequest {
        steps,
        ..request(2)
    };
    let under_way = ask(&studio, long(100), false);
    while studio.metrics().drawing == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let alone = studio.retry_after();
    let waiting = ask(&studio, long(400), false);
    let behind = studio.retry_after();
    // A step takes 20 ms or, on a busy machine, more.
    assert!(alone >= Duration::from_secs(2) && alone <= Duration::from_secs(60));
    assert!(behind >= 4 * alone, "{alone:?}, {behind:?}");
    drop((under_way, waiting));
}

#[test]
fn a_model_that_panics_while_it_is_loaded_is_an_error_of_those_that_asked() {
    let loads = Arc::new(AtomicUsize::new(0));
    let World { studio, .. } = world(1, StudioConfig::default());
    let open = {
        let loads = Arc::clone(&loads);
        move || match loads.fetch_add(1, Ordering::SeqCst) {
            1 => panic!("the canvas tore"),
            _ => Ok(Arc::new(Lent(studio.clone())) as Arc<dyn ImagePipeline>),
        }
    };
    let studio = Studio::start(Box::new(open), StudioConfig::default()).unwrap();
    assert!(studio.unload());
    let silent = || Box::new(|_| ControlFlow::Continue(()));
    let error = studio.submit(request(1), false, silent()).unwrap_err();
    assert!(error.to_string().contains("the canvas tore"), "{error}");
    finished(&ask(&studio, request(1), false));
}

/// Another studio's model, drawn plainly.
struct Lent(Studio);

impl ImagePipeline for Lent {
    fn info(&self) -> &ImageModelInfo {
        self.0.info()
    }

    fn fit(&self, request: DrawRequest) -> Result<(DrawRequest, Vec<String>)> {
        Ok((request, Vec::new()))
    }

    fn memory(&self, _: &[DrawRequest]) -> u64 {
        0
    }

    fn draw(&self, batch: &[DrawRequest], _: &mut dyn DrawWatch) -> Result<Vec<Option<RgbImage>>> {
        let plain = |one: &DrawRequest| Some(RgbImage::new(one.width, one.height));
        Ok(batch.iter().map(plain).collect())
    }
}

#[test]
fn an_idle_model_is_put_away_and_loaded_again() {
    let config = StudioConfig {
        idle: Some(Duration::from_millis(30)),
        ..StudioConfig::default()
    };
    let World { studio, .. } = world(1, config);
    finished(&ask(&studio, request(1), false));
    let begun = Instant::now();
    while studio.metrics().loaded {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    finished(&ask(&studio, request(2), false));
    assert_eq!(studio.metrics().loads_total, 2);

    let World { studio, .. } = world(20, StudioConfig::default());
    let heard = ask(&studio, request(1), false);
    while studio.metrics().drawing == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!studio.unload(), "it draws");
    finished(&heard);
    let begun = Instant::now();
    while !studio.unload() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert!(!studio.metrics().loaded);
}

#[test]
fn those_that_wait_hear_when_the_studio_closes() {
    let config = StudioConfig {
        batch: 1,
        ..StudioConfig::default()
    };
    let World { studio, .. } = world(10, config);
    let first = ask(&studio, request(1), false);
    let second = ask(&studio, request(2), false);
    drop(studio);
    drop(last(&first));
    assert!(matches!(last(&second), StudioEvent::Failed(_)));
}
