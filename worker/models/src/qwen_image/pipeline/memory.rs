//! What drawing takes beside the weights.

use super::super::request::DrawRequest;
use super::QwenImage;
use super::latents::PATCH;
use super::sizes::dimensions;
use crate::device::Device;

/// Vectors of the streams' width that are alive at once for a token within a block:
/// both residual streams, what is normalised, query, key and value before and after
/// they are turned, and the feed-forward's four.
const VECTORS_A_TOKEN: u64 = 16;
/// Tokens of a prompt's text, about its longest.
const TEXT_TOKENS: u64 = 600;
/// Bytes of a number within a step.
const NUMBER: u64 = 4;

/// Bytes, more often too many than too few.
pub(super) fn estimate(model: &QwenImage, batch: &[DrawRequest]) -> u64 {
    let side = (model.codec.scale() * PATCH) as u64;
    let tokens = |width: u64, height: u64| (width / side) * (height / side);
    let config = &model.transformer.config;
    let mut streams = 0;
    let mut scores = 0;
    let mut codec = 0_u64;
    for request in batch {
        let (width, height) = (u64::from(request.width), u64::from(request.height));
        let mut all = tokens(width, height) + TEXT_TOKENS;
        codec = codec.max(model.codec.memory(width, height));
        for picture in &request.pictures {
            let area = model.index.area();
            let [wide, high] = dimensions(area, picture.width(), picture.height());
            all += tokens(wide as u64, high as u64);
            codec = codec.max(model.codec.memory(wide as u64, high as u64));
        }
        streams += all * config.inner_dim() as u64 * VECTORS_A_TOKEN * NUMBER;
        // The pure-Rust CPU never holds all scores of a large picture.
        if model.device != Device::flex() {
            scores += all * all * config.num_attention_heads as u64 * NUMBER;
        }
    }
    (streams + scores).max(codec)
}
