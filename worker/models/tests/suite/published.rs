//! The settings of the models that people have on disk, as they were published or saved by
//! releases of `transformers` and `diffusers` that the parity fixtures are not made with;
//! written down from public sources.

use std::path::{Path, PathBuf};

use illumine_models::load::ModelFolder;
use illumine_models::qwen_image::ModelIndex;
use illumine_models::qwen_image::pipeline::index::PipelineClass;
use illumine_models::qwen_image::scheduler::SchedulerConfig;
use illumine_models::qwen_image::transformer::TransformerConfig;
use illumine_models::qwen_image::vae::VaeConfig;

fn published(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/published")
        .join(name)
}

fn open(name: &str) -> ModelFolder {
    ModelFolder::open(&published(name)).unwrap()
}

#[test]
fn language_models() {
    let small = open("qwen3_4b_instruct_2507");
    assert_eq!(small.config.num_parameters(), 4_022_468_096);
    assert_eq!(small.eos_token_ids, [151_645, 151_643]);
    assert_eq!(small.config.rope_theta, 5e6);
    let suggested = small.suggested_sampling;
    assert_eq!(
        (suggested.temperature, suggested.top_p),
        (Some(0.7), Some(0.8))
    );
    assert_eq!(suggested.top_k, Some(20));
    let large = open("qwen3_30b_a3b_instruct_2507");
    assert_eq!(large.config.num_parameters(), 30_532_122_624);
    let experts = large.config.moe.unwrap();
    assert_eq!((experts.num_experts, experts.num_experts_per_tok), (128, 8));
}

#[test]
fn a_vision_model_as_published_and_as_saved_later() {
    let published = open("qwen25_vl_7b_instruct");
    // With old and new names for one thing, and the decoder's settings twice.
    let saved = open("qwen_image/text_encoder");
    assert_eq!(published.config, saved.config);
    let (one, other) = (published.vision.unwrap(), saved.vision.unwrap());
    assert_eq!(one.config.mrope_section, other.config.mrope_section);
    assert_eq!(one.config.image_token_id, other.config.image_token_id);
    assert_eq!(one.config.vision.out_hidden_size, 3584);
    assert_eq!(other.config.vision.out_hidden_size, 3584);
    assert_eq!(one.processor, other.processor);
    assert_eq!(one.processor.max_pixels, 12_845_056);
}

#[test]
fn an_image_model() {
    let index = ModelIndex::read(&published("qwen_image")).unwrap();
    assert_eq!(index.class, PipelineClass::Generation);
    // Their defaults are those of the released model.
    let mut transformer = TransformerConfig::read(&published("qwen_image/transformer")).unwrap();
    transformer.other.clear();
    assert_eq!(transformer, TransformerConfig::default());
    let mut vae = VaeConfig::read(&published("qwen_image/vae")).unwrap();
    vae.other.clear();
    assert_eq!(vae, VaeConfig::default());
    let scheduler = SchedulerConfig::read(&published("qwen_image/scheduler")).unwrap();
    assert_eq!(
        (scheduler.max_shift, scheduler.shift_terminal),
        (0.9, Some(0.02))
    );
}
