//! One sequence of a model that looks at pictures, on a device other than the CPU.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::request::CancelFlag;
use super::session::{PREFILL_CHUNK, other_network};
use super::vision::{VisionAdapted, VisionLanguageModel, VisionNetwork};
use super::writer::Steps;
use crate::device::read_f32;
use crate::error::Result;
use crate::lora::Loaded;
use crate::qwen3::KvCache;
use crate::qwen25_vl::cpu::prompt_positions;
use crate::qwen25_vl::text::Positions;
use crate::qwen25_vl::{Inputs, Patches, Qwen25Vl};

/// Reads a prompt with pictures into a cache.
#[derive(Debug, Default)]
pub(crate) struct PromptReader {
    /// While some of it is still to be read.
    unread: Option<Unread>,
}

#[derive(Debug)]
struct Unread {
    /// `[1, tokens - start, hidden]`, of the tokens from number `start` on.
    embeddings: Tensor<3>,
    start: usize,
    /// Of all tokens.
    positions: Positions,
}

impl PromptReader {
    /// Reads up to `tokens` more of `prompt`, which has `patches` in the places of its
    /// pictures, behind what `cache` holds of it; the first time, looks at those pictures
    /// of which some place is left to be read.
    ///
    /// # Errors
    /// [`crate::ModelError::Request`] when the pictures do not fit their places.
    pub(crate) fn read(
        &mut self,
        module: &Qwen25Vl,
        prompt: &[u32],
        patches: &Patches,
        tokens: usize,
        cache: &mut KvCache,
    ) -> Result<()> {
        let from = cache.len();
        let count = tokens.min(prompt.len().saturating_sub(from));
        if count == 0 {
            return Ok(());
        }
        let unread = match self.unread.take() {
            Some(unread) => unread,
            None => Unread::look(module, prompt, patches, from)?,
        };
        let embeddings = unread.embeddings.clone();
        let x = embeddings.narrow(1, from - unread.start, count);
        let chunk = Positions {
            axes: unread.positions.axes[from..from + count].to_vec(),
            next: Vec::new(),
            tokens: count,
        };
        module.forward_cached(x, &chunk, None, cache);
        if from + count < prompt.len() {
            self.unread = Some(unread);
        }
        Ok(())
    }
}

impl Unread {
    /// What of `prompt` is read from token `from` on, its pictures as vectors.
    fn look(module: &Qwen25Vl, prompt: &[u32], patches: &Patches, from: usize) -> Result<Self> {
        let positions = prompt_positions(&module.config, prompt, patches)?;
        let (start, seen) = unread_pictures(module, prompt, patches, from);
        let rest = &prompt[start..];
        let inputs = Inputs {
            input_ids: rest.iter().map(|&id| i64::from(id)).collect(),
            attention_mask: vec![1; rest.len()],
            tokens: rest.len(),
            patches: patches.without_first(seen, &module.config.vision),
        };
        Ok(Self {
            embeddings: module.embed(&inputs, &module.device())?,
            start,
            positions,
        })
    }
}

/// Where a prompt must be seen from when its tokens up to `from` were read: there, or where
/// the picture begins in which that is; and the number of pictures before it. The pictures
/// have their places.
fn unread_pictures(
    module: &Qwen25Vl,
    prompt: &[u32],
    patches: &Patches,
    from: usize,
) -> (usize, usize) {
    let merge = module.config.vision.spatial_merge_size;
    let mut place = 0;
    for (seen, grid) in patches.image_grid_thw.iter().enumerate() {
        let is_picture = |id: &u32| *id == module.config.image_token_id;
        let begins = place
            + prompt[place..]
                .iter()
                .take_while(|id| !is_picture(id))
                .count();
        place = begins + grid.merged(merge);
        if place > from {
            return (begins.min(from), seen);
        }
    }
    (from, patches.image_grid_thw.len())
}

/// The module, with its adapter where there is one.
///
/// # Errors
/// [`crate::ModelError::Engine`] where the CPU's own code runs the model.
pub(crate) fn vision_module<'m>(
    model: &'m VisionLanguageModel,
    adapter: Option<&'m Loaded<VisionAdapted>>,
) -> Result<&'m Qwen25Vl> {
    match (adapter.map(|adapter| &adapter.model), model.network()) {
        (Some(VisionAdapted::Module(module)), _) | (None, VisionNetwork::Module(module)) => {
            Ok(module)
        }
        _ => Err(other_network()),
    }
}

/// One sequence being decoded.
pub(super) struct ModuleSession<'m> {
    of: &'m VisionLanguageModel,
    adapter: Option<Arc<Loaded<VisionAdapted>>>,
    cache: KvCache,
    /// What the next token's position is above its number.
    rope_offset: i64,
    logits: Vec<f32>,
}

impl<'m> ModuleSession<'m> {
    /// Reads `prompt`, behind which positions are `rope_offset` above the tokens' numbers.
    /// None when cancelled meanwhile.
    pub(super) fn start(
        of: &'m VisionLanguageModel,
        adapter: Option<Arc<Loaded<VisionAdapted>>>,
        (prompt, patches): (&[u32], &Patches),
        rope_offset: i64,
        cancel: &CancelFlag,
    ) -> Result<Option<Self>> {
        let module = vision_module(of, adapter.as_deref())?;
        let mut reader = PromptReader::default();
        let mut cache = KvCache::new(of.config().text.num_hidden_layers);
        while cache.len() < prompt.len() {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            reader.read(module, prompt, patches, PREFILL_CHUNK, &mut cache)?;
        }
        Ok(Some(Self {
            of,
            adapter,
            cache,
            rope_offset,
            logits: Vec::new(),
        }))
    }
}

impl Steps for ModuleSession<'_> {
    fn step(&mut self, token: u32) -> Result<&[f32]> {
        let module = vision_module(self.of, self.adapter.as_deref())?;
        let position = self.cache.len() as i64 + self.rope_offset;
        self.logits = read_f32(module.step(&[token], &[position], None, &mut self.cache))?;
        Ok(&self.logits)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::device::Device;
    use crate::load::ModelFolder;
    use crate::qwen25_vl::Grid;

    /// Two pictures, of 2×1 and 1×3 places, among words.
    const PICTURES: [Grid; 2] = [Grid { t: 1, h: 4, w: 2 }, Grid { t: 1, h: 2, w: 6 }];

    fn prompt(image: u32) -> Vec<u32> {
        vec![4, 5, 6, image, image, 7, image, image, image, 8, 9]
    }

    fn patches(module: &Qwen25Vl) -> Patches {
        let patches: usize = PICTURES.iter().map(|grid| grid.t * grid.h * grid.w).sum();
        let numbers = patches * module.config.vision.patch_width();
        Patches {
            pixel_values: (0..numbers)
                .map(|i| (i * 37 % 19) as f32 / 9.0 - 1.0)
                .collect(),
            image_grid_thw: PICTURES.to_vec(),
        }
    }

    fn keys(cache: &KvCache) -> Vec<f32> {
        let columns = cache.columns(0, cache.len());
        let numbers = columns.into_iter().map(|(keys, _)| read_f32(keys).unwrap());
        numbers.flatten().collect()
    }

    #[test]
    fn who_begins_anywhere_looks_at_what_is_left() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen25_vl/text_only");
        let folder = ModelFolder::open(&folder).unwrap();
        let module = folder.load_vision_model(&Device::flex()).unwrap();
        let (prompt, patches) = (prompt(module.config.image_token_id), patches(&module));
        let read = |until: usize, from: KvCache| {
            let mut cache = from;
            let count = until - cache.len();
            let mut reader = PromptReader::default();
            let read = reader.read(&module, &prompt, &patches, count, &mut cache);
            read.unwrap();
            assert_eq!(cache.len(), until);
            cache
        };
        let nothing = || KvCache::new(module.config.text.num_hidden_layers);
        let whole = keys(&read(prompt.len(), nothing()));
        let seen: Vec<(usize, usize)> = (0..prompt.len())
            .map(|from| unread_pictures(&module, &prompt, &patches, from))
            .collect();
        // Within a picture all of it is seen again; behind it, not any more.
        let expected = [0, 1, 2, 3, 3, 5, 6, 6, 6, 9, 10];
        let skipped = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2];
        assert_eq!(seen, expected.into_iter().zip(skipped).collect::<Vec<_>>());
        for from in 1..prompt.len() {
            let first = read(from, nothing());
            let parts = keys(&read(prompt.len(), first));
            for (a, b) in parts.iter().zip(&whole) {
                assert!((a - b).abs() < 1e-5, "from {from}: {a} {b}");
            }
        }
    }
}
