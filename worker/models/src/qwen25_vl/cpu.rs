//! A prompt with pictures, made ready for the CPU's own decoder.

use super::config::Qwen25VlConfig;
use super::processor::Patches;
use super::text::Positions;
use super::vision::VisionTower;
use crate::error::Result;
use crate::qwen3::cpu::PromptPictures;

/// Where the tokens of one prompt stand that has `patches` in the places of its
/// pictures.
///
/// # Errors
/// [`crate::ModelError::Request`] when patches do not fit their grids, or grids
/// their places.
pub fn prompt_positions(
    config: &Qwen25VlConfig,
    prompt: &[u32],
    patches: &Patches,
) -> Result<Positions> {
    patches.check(&config.vision)?;
    let ids: Vec<i64> = prompt.iter().map(|&id| i64::from(id)).collect();
    let (mask, grids) = (vec![1; ids.len()], &patches.image_grid_thw);
    Positions::new(config, &ids, &mask, ids.len(), grids)
}

/// The pictures of `prompt` as vectors, for a decoder that has read `from` of its
/// tokens; none where the prompt has none. The tower is spared when no picture's
/// place is left to be read.
///
/// # Errors
/// As [`prompt_positions`], and [`crate::ModelError::Device`].
pub fn prompt_pictures(
    config: &Qwen25VlConfig,
    tower: &VisionTower,
    prompt: &[u32],
    from: usize,
    patches: &Patches,
) -> Result<Option<PromptPictures>> {
    if patches.image_grid_thw.is_empty() {
        return Ok(None);
    }
    let is_picture = |id: &u32| *id == config.image_token_id;
    let mut next = 0..;
    let rows = prompt
        .iter()
        .map(|id| is_picture(id).then(|| next.next()).flatten());
    Ok(Some(PromptPictures {
        places: prompt_positions(config, prompt, patches)?.axes,
        rows: rows.collect(),
        vectors: match prompt[from..].iter().any(is_picture) {
            true => tower.look(patches)?,
            false => Vec::new(),
        },
    }))
}
