//! Steps of a batch in kernels of our own, where a GPU's library holds the model.

use super::module::Module;
use super::module_lane::ModuleLane;
use super::together::Batch;
use crate::error::Result;
use crate::qwen3::gpu::difference;
use crate::qwen3::{KvCache, Qwen3, Qwen3Config};

/// How far the kernels' logits may be from the module's, see [`difference`]: both round to
/// bf16 in places of their own. What is wrong is off by about one.
const TOLERANCE: f64 = 0.1;

/// Kernels that take steps.
pub(super) trait Kernels: std::fmt::Debug + Send {
    /// Which of those that are compiled apart take a step of as many rows.
    fn variant(&self, rows: usize) -> usize;

    /// See [`ModuleSteps::step`](crate::qwen3::gpu::ModuleSteps::step).
    fn step(
        &mut self,
        rows: &[(u32, usize, usize)],
        cache: &mut KvCache,
    ) -> Result<Option<Vec<f32>>>;
}

/// The kernels of a model without an adapter, and what is known of them.
#[derive(Debug)]
pub(super) struct OwnSteps {
    config: Qwen3Config,
    kernels: Tried,
    /// Variants whose logits agreed with the module's.
    proved: Vec<usize>,
}

#[derive(Debug)]
enum Tried {
    NotYet,
    Serve(Box<dyn Kernels>),
    /// They do not serve, failed or differed.
    No,
}

impl OwnSteps {
    pub(super) fn new(config: Qwen3Config) -> Self {
        Self {
            config,
            kernels: Tried::NotYet,
            proved: Vec::new(),
        }
    }

    /// A step of `batch`, by the kernels where they serve. The first of each variant is
    /// compared with the module's: kernels that differ, or that the GPU refuses at any time,
    /// are not used again, and the log says why; the module takes the step.
    pub(super) fn step(
        &mut self,
        batch: &mut Batch,
        module: &Qwen3,
        lanes: &mut [&mut ModuleLane],
        tokens: &[u32],
    ) -> Result<Vec<f32>> {
        if matches!(self.kernels, Tried::NotYet) {
            self.kernels = kernels_of(module, &self.config);
        }
        let Tried::Serve(kernels) = &mut self.kernels else {
            return batch.step(Module::Text(module), lanes, tokens);
        };
        let rows: Vec<(u32, usize, usize)> = tokens
            .iter()
            .zip(&*lanes)
            .zip(&batch.rows)
            .map(|((&token, lane), &(_, start))| (token, lane.len(), start))
            .collect();
        let ours = match kernels.step(&rows, &mut batch.cache) {
            Ok(Some(ours)) => ours,
            Ok(None) => return batch.step(Module::Text(module), lanes, tokens),
            Err(error) => {
                tracing::warn!(%error, "the library decodes: kernels failed");
                self.kernels = Tried::No;
                return batch.step(Module::Text(module), lanes, tokens);
            }
        };
        let variant = kernels.variant(rows.len());
        if self.proved.contains(&variant) {
            batch.cache.grew();
            for lane in lanes {
                lane.grew();
            }
            return Ok(ours);
        }
        // Into the same column.
        let theirs = batch.step(Module::Text(module), lanes, tokens)?;
        let difference = difference(&ours, &theirs);
        if difference <= TOLERANCE {
            tracing::info!(difference, variant, "kernels of our own decode");
            self.proved.push(variant);
        } else {
            tracing::error!(difference, variant, "the library decodes: kernels differ");
            self.kernels = Tried::No;
        }
        Ok(theirs)
    }
}

#[cfg(feature = "tch")]
fn kernels_of(module: &Qwen3, config: &Qwen3Config) -> Tried {
    match crate::qwen3::gpu::ModuleSteps::new(module, config) {
        Ok(Some(steps)) => Tried::Serve(Box::new(steps)),
        Ok(None) => Tried::No,
        Err(error) => {
            tracing::warn!(%error, "the library decodes: kernels did not start");
            Tried::No
        }
    }
}

#[cfg(not(feature = "tch"))]
fn kernels_of(_module: &Qwen3, _config: &Qwen3Config) -> Tried {
    Tried::No
}

#[cfg(feature = "tch")]
impl Kernels for crate::qwen3::gpu::ModuleSteps {
    fn variant(&self, rows: usize) -> usize {
        Self::variant(rows)
    }

    fn step(
        &mut self,
        rows: &[(u32, usize, usize)],
        cache: &mut KvCache,
    ) -> Result<Option<Vec<f32>>> {
        Self::step(self, rows, cache)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn::tensor::Device;

    use super::*;
    use crate::device::read_f32;
    use crate::error::ModelError;
    use crate::qwen3::token_ids;

    /// Kernels that answer as the module does, but for steps of `wrong_rows`, and that the
    /// GPU refuses from the step `fails_at` on.
    #[derive(Debug)]
    struct Played {
        module: Qwen3,
        wrong_rows: usize,
        fails_at: usize,
        steps: Arc<AtomicUsize>,
    }

    impl Kernels for Played {
        fn variant(&self, rows: usize) -> usize {
            rows
        }

        fn step(
            &mut self,
            rows: &[(u32, usize, usize)],
            cache: &mut KvCache,
        ) -> Result<Option<Vec<f32>>> {
            if self.steps.fetch_add(1, Ordering::SeqCst) >= self.fails_at {
                return Err(ModelError::Engine("refused".to_owned()));
            }
            // As kernels do: into the next column, which the cache does not count yet.
            let mut read = cache.clone();
            let tokens: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let ids = token_ids(&tokens, &Device::flex()).swap_dims(0, 1);
            let hidden = self.module.forward_cached(ids, None, None, &mut read);
            let mut logits = read_f32(self.module.logits(hidden))?;
            cache.layers = read.layers;
            cache.shrank();
            if rows.len() == self.wrong_rows {
                logits.iter_mut().for_each(|logit| *logit = -*logit);
            }
            Ok(Some(logits))
        }
    }

    /// Ten steps of `rows` answers: how many the kernels were asked for.
    fn asked(rows: usize, wrong_rows: usize, fails_at: usize) -> (usize, OwnSteps) {
        let config = Qwen3Config {
            vocab_size: 32,
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 8,
            initializer_range: 0.5,
            ..Qwen3Config::default()
        };
        let module = Qwen3::init(&config, &Device::flex());
        let steps = Arc::new(AtomicUsize::new(0));
        let mut own = OwnSteps::new(config);
        own.kernels = Tried::Serve(Box::new(Played {
            module: module.clone(),
            wrong_rows,
            fails_at,
            steps: Arc::clone(&steps),
        }));
        let mut text = vec![3, 1, 4];
        let mut lanes: Vec<ModuleLane> = (0..rows)
            .map(|_| {
                let mut cache = KvCache::new(2);
                let ids = token_ids(&text[..2], &Device::flex());
                module.forward_cached(ids, None, None, &mut cache);
                ModuleLane::holding(cache, None, 0)
            })
            .collect();
        let mut batch = Batch::default();
        for round in 0..10 {
            let mut lanes: Vec<&mut ModuleLane> = lanes.iter_mut().collect();
            batch.arrange(&mut lanes).unwrap();
            let tokens = vec![text[text.len() - 1]; rows];
            let logits = own.step(&mut batch, &module, &mut lanes, &tokens).unwrap();
            let whole = module.hidden_states(token_ids(&text, &Device::flex()), None, None);
            let expected = read_f32(module.logits(whole.narrow(1, text.len() - 1, 1))).unwrap();
            for row in logits.chunks(32) {
                for (a, b) in row.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-4, "round {round}: {a} {b}");
                }
            }
            assert!(lanes.iter().all(|lane| lane.len() == text.len()));
            text.push(round * 3 % 32);
        }
        (steps.load(Ordering::SeqCst), own)
    }

    #[test]
    fn kernels_that_agree_take_the_steps() {
        let (asked, own) = asked(3, 0, usize::MAX);
        assert_eq!((asked, own.proved), (10, vec![3]));
    }

    #[test]
    fn kernels_that_differ_are_asked_once_and_the_module_answers() {
        let (asked, own) = asked(2, 2, usize::MAX);
        assert_eq!(asked, 1);
        assert!(own.proved.is_empty() && matches!(own.kernels, Tried::No));
    }

    #[test]
    fn kernels_that_fail_later_cost_no_answer() {
        let (asked, own) = asked(1, 0, 4);
        assert_eq!(asked, 5);
        assert!(matches!(own.kernels, Tried::No));
    }
}
