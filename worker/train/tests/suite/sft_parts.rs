//! Batches, clipping, schedule, datasets: each on its own.

use crate::common::{examples, tiny_config, tiny_run};
use burn::tensor::Device;
use illumine_models::Qwen3;
use illumine_train::corpus::{Corpus, Stage};
use illumine_train::sft::batch::{self, MicroBatch};
use illumine_train::sft::loss::summed_cross_entropy;
use illumine_train::sft::optimizer::GradientSum;
use illumine_train::sft::schedule::learning_rate;
use illumine_train::sft::{Budget, ExampleSource, JsonlSource, Layout, SftConfig, Trainer};
use illumine_train::tokenizer;

fn batches(layout: Layout, tokens_per_micro_batch: usize) -> Vec<MicroBatch> {
    let config = SftConfig {
        layout,
        tokens_per_micro_batch,
        ..tiny_run()
    };
    batch::split(examples(5).0, &config)
}

fn loss_of(model: &Qwen3, batches: &[MicroBatch]) -> f32 {
    let device = Device::flex();
    let config = tiny_config();
    batches
        .iter()
        .map(|batch| {
            summed_cross_entropy(model, batch, config.vocab_size, &device).into_scalar::<f32>()
        })
        .sum()
}

#[test]
fn every_answer_token_is_learnt_once_and_no_prompt_token() {
    let expected: usize = examples(5)
        .0
        .iter()
        .map(|example| example.ids.len() - example.prompt_tokens)
        .sum();
    for layout in [Layout::Bucket, Layout::Pack] {
        for micro in [1, 20, 1000] {
            let batches = batches(layout, micro);
            let learnt: usize = batches.iter().map(|batch| batch.targets.len()).sum();
            assert_eq!(learnt, expected, "{layout:?} {micro}");
            for batch in &batches {
                assert_eq!(batch.ids.len(), batch.rows * batch.width);
                for (&place, &target) in batch.places.iter().zip(&batch.targets) {
                    assert_eq!(batch.ids[place as usize + 1], target);
                }
            }
        }
    }
}

#[test]
fn the_loss_does_not_depend_on_what_shares_a_row_or_a_batch() {
    let device = Device::flex();
    // Of the weights: in some models what leaks makes little difference.
    device.seed(5);
    let model = tiny_config().init(&device);
    // One example at a time: nothing to leak from.
    let alone = loss_of(&model, &batches(Layout::Bucket, 1));
    assert!(alone > 1.0);
    for (layout, micro) in [
        (Layout::Bucket, 1000),
        (Layout::Bucket, 20),
        (Layout::Pack, 1000),
        (Layout::Pack, 24),
    ] {
        let together = loss_of(&model, &batches(layout, micro));
        assert!((alone - together).abs() < 1e-3, "{layout:?} {micro}");
    }
    let packed = batches(Layout::Pack, 1000);
    assert!(
        packed.iter().any(|batch| batch.rows < 5),
        "nothing was packed"
    );
    let mut leaking = packed;
    for batch in &mut leaking {
        batch.packed = None;
    }
    assert!((alone - loss_of(&model, &leaking)).abs() > 1e-2);
}

#[test]
fn the_norm_is_clipped_over_all_parameters_together() {
    let device = Device::flex();
    device.seed(5);
    let config = tiny_config();
    let mut model = config.init(&device.clone().autodiff());
    let gradients = |model: &mut Qwen3| {
        let mut sum = GradientSum::default();
        for batch in batches(Layout::Bucket, 1000) {
            let device = device.clone().autodiff();
            let loss = summed_cross_entropy(model, &batch, config.vocab_size, &device);
            sum.add(model, loss.backward());
        }
        sum
    };
    let mut clipped = gradients(&mut model);
    let before = clipped.norm();
    assert!(before > 2.0);
    assert!((clipped.clip(0.5) - before).abs() < 1e-9);
    assert!((clipped.norm() - 0.5).abs() < 1e-4);
    let mut small = gradients(&mut model);
    small.clip(before * 2.0);
    assert!((small.norm() - before).abs() < 1e-6);
}

#[test]
fn the_rate_warms_up_then_falls_along_a_cosine() {
    let config = SftConfig {
        learning_rate: 1.0,
        warmup_steps: 4,
        final_lr_share: 0.2,
        ..SftConfig::default()
    };
    let rate = |step, progress| learning_rate(&config, step, progress);
    assert!((rate(0, 0.0) - 0.25).abs() < 1e-12);
    assert!((rate(3, 0.0) - 1.0).abs() < 1e-12);
    assert!((rate(100, 0.5) - 0.6).abs() < 1e-12);
    assert!((rate(100, 1.0) - 0.2).abs() < 1e-12);
}

#[test]
fn training_learns_what_can_be_learnt() {
    let config = SftConfig {
        budget: Budget::Steps(60),
        ..tiny_run()
    };
    let device = Device::flex();
    let mut trainer = Trainer::new(config, tiny_config(), None, examples(5), &device).unwrap();
    let first = trainer.step().unwrap().loss;
    let mut last = first;
    while trainer.progress() < 1.0 {
        last = trainer.step().unwrap().loss;
    }
    assert!(first > 2.0, "{first}");
    assert!(last < first / 4.0, "{first} to {last}");
}

#[test]
fn bad_hyper_parameters_are_refused_by_name() {
    let cases = [
        (
            "learning_rate",
            SftConfig {
                learning_rate: 0.0,
                ..tiny_run()
            },
        ),
        (
            "max_grad_norm",
            SftConfig {
                max_grad_norm: f64::NAN,
                ..tiny_run()
            },
        ),
        (
            "beta_2",
            SftConfig {
                beta_2: 1.5,
                ..tiny_run()
            },
        ),
        (
            "budget",
            SftConfig {
                budget: Budget::Steps(0),
                ..tiny_run()
            },
        ),
    ];
    for (field, config) in cases {
        let error = Trainer::new(config, tiny_config(), None, examples(1), &Device::flex())
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.code(), "train_config_invalid");
        assert!(error.to_string().contains(field), "{error}");
    }
}

fn small_tokenizer() -> tokenizers::Tokenizer {
    let corpus = Corpus::new(1);
    let texts = (0..50).map(|index| corpus.example(index, Stage::Full).answer);
    tokenizer::train(texts.collect::<Vec<_>>().into_iter(), 300).unwrap()
}

fn open(text: &str) -> Result<JsonlSource, illumine_train::TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    std::fs::write(&path, text).unwrap();
    JsonlSource::open(&path, &small_tokenizer(), 1)
}

#[test]
fn both_shapes_of_a_jsonl_line_are_the_same_example() {
    let source = open(concat!(
        r##"{"prompt": "tea", "answer": "# Tea"}"##,
        "\n\n",
        r##"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "tea"}, {"role": "assistant", "content": "# Tea"}]}"##,
        "\n",
    ))
    .unwrap();
    assert_eq!(source.len(), 2);
    assert_eq!(
        source.example(0, 0.0).unwrap(),
        source.example(1, 0.0).unwrap()
    );
}

#[test]
fn each_epoch_has_every_example_in_an_order_of_its_own() {
    let lines: String = (0..20)
        .map(|n| format!("{{\"prompt\": \"p{n}\", \"answer\": \"a{n}\"}}\n"))
        .collect();
    let source = open(&lines).unwrap();
    let epoch = |number: u64| -> Vec<Vec<u32>> {
        (number * 20..number * 20 + 20)
            .map(|index| source.example(index, 0.0).unwrap().ids)
            .collect()
    };
    let (first, second) = (epoch(0), epoch(1));
    assert_ne!(first, second);
    let sorted = |mut ids: Vec<Vec<u32>>| {
        ids.sort();
        ids.dedup();
        ids
    };
    assert_eq!(sorted(first).len(), 20);
    assert_eq!(sorted(epoch(0)), sorted(second));
}

#[test]
fn a_bad_line_is_named_with_its_field() {
    let good = r#"{"prompt": "p", "answer": "a"}"#;
    let cases = [
        ("{", ":2:", ""),
        (r#"{"prompt": "p"}"#, ":2:", "`answer`: is missing"),
        (
            r#"{"prompt": 3, "answer": "a"}"#,
            ":2:",
            "`prompt`: is not a string",
        ),
        (
            r#"{"prompt": " ", "answer": "a"}"#,
            ":2:",
            "`prompt`: is empty",
        ),
        (r#"{"messages": 3}"#, ":2:", "`messages`: is not a list"),
        (
            r#"{"messages": [{"role": "assistant", "content": "a"}]}"#,
            ":2:",
            "`messages`: must be one user turn and one assistant turn",
        ),
    ];
    for (bad, place, reason) in cases {
        let error = open(&format!("{good}\n{bad}\n")).unwrap_err();
        assert_eq!(error.code(), "train_dataset_line");
        let text = error.to_string();
        assert!(text.contains(place) && text.contains(reason), "{text}");
    }
    assert_eq!(open("\n").unwrap_err().code(), "train_dataset_empty");
}
