//! Keys and values of the tokens already seen.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::Tensor;

/// Tokens by which a full buffer grows at least.
const CHUNK: usize = 256;

/// The cache of every layer.
#[derive(Clone, Debug, Default)]
pub struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
    generation: Generation,
}

/// A number that no other cache has had, nor this one before its buffers moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Default for Generation {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl KvCache {
    /// An empty cache for a model of `num_layers` layers.
    pub fn new(num_layers: usize) -> Self {
        Self {
            layers: vec![LayerCache::default(); num_layers],
            generation: Generation::default(),
        }
    }

    /// Tokens held, padding included.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.len)
    }

    /// Sequences held; none before anything is.
    #[cfg(feature = "tch")]
    pub(crate) fn rows(&self) -> Option<usize> {
        let (keys, _) = self.layers.first()?.whole()?;
        Some(keys.dims()[0])
    }

    /// Copies of the columns `from..from + count` of each layer's keys and values, as they
    /// stand alone in memory: a view would keep the buffers from being written in place.
    pub(crate) fn columns(&self, from: usize, count: usize) -> Vec<(Tensor<4>, Tensor<4>)> {
        let copy = |of: Tensor<4>| {
            let view = of.narrow(2, from, count);
            let shape = view.dims();
            Tensor::zeros(shape, (&view.device(), view.dtype()))
                .slice_assign(shape.map(|size| 0..size), view)
        };
        self.layers
            .iter()
            .filter_map(LayerCache::filled)
            .map(|(keys, values)| (copy(keys), copy(values)))
            .collect()
    }

    /// Appends keys and values that [`Self::columns`] gave of a cache of the same model.
    pub(crate) fn extend(&mut self, columns: &[(Tensor<4>, Tensor<4>)]) {
        for (layer, (keys, values)) in self.layers.iter_mut().zip(columns) {
            layer.append(keys.clone(), values.clone());
        }
        self.moved();
    }

    /// Makes room for one more token, where anything is held.
    #[cfg(feature = "tch")]
    pub(crate) fn room_for_one(&mut self) {
        let is_full = |layer: &LayerCache| {
            layer
                .whole()
                .is_some_and(|(keys, _)| keys.dims()[2] <= layer.len)
        };
        // All layers are as long.
        if !self.layers.first().is_some_and(is_full) {
            return;
        }
        for layer in &mut self.layers {
            if let Some((keys, _)) = layer.whole() {
                let like = keys.clone().narrow(2, 0, 1);
                layer.buffers = Some(layer.room_for(&like, 1));
            }
        }
        self.moved();
    }

    /// What is the same while no buffer has moved.
    #[cfg(feature = "tch")]
    pub(crate) const fn generation(&self) -> Generation {
        self.generation
    }

    /// A token more stands in each layer's next column.
    #[cfg(any(test, feature = "tch"))]
    pub fn grew(&mut self) {
        for layer in &mut self.layers {
            layer.len += 1;
        }
    }

    /// What is in the last column counts no longer.
    #[cfg(test)]
    pub(crate) fn shrank(&mut self) {
        for layer in &mut self.layers {
            layer.len -= 1;
        }
    }

    /// Buffers may be elsewhere now.
    pub(crate) fn moved(&mut self) {
        self.generation = Generation::default();
    }

    /// Whether nothing has been appended yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One layer's keys and values in buffers `[batch, kv_heads, capacity, head_dim]`
/// of which the first `len` tokens are filled.
#[derive(Clone, Debug, Default)]
pub struct LayerCache {
    buffers: Option<(Tensor<4>, Tensor<4>)>,
    len: usize,
}

impl LayerCache {
    /// The buffers, filled and empty columns.
    #[cfg(feature = "tch")]
    pub(crate) fn whole(&self) -> Option<(&Tensor<4>, &Tensor<4>)> {
        self.buffers.as_ref().map(|(keys, values)| (keys, values))
    }

    /// The keys and values held, each `[batch, kv_heads, len, head_dim]`.
    pub(crate) fn filled(&self) -> Option<(Tensor<4>, Tensor<4>)> {
        let (keys, values) = self.buffers.clone()?;
        Some((keys.narrow(2, 0, self.len), values.narrow(2, 0, self.len)))
    }

    /// Appends keys and values `[batch, kv_heads, tokens, head_dim]`; returns all
    /// that is held, `[batch, kv_heads, len, head_dim]`.
    pub fn append(&mut self, key: Tensor<4>, value: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, tokens, head_dim] = key.dims();
        let (keys, values) = self.room_for(&key, tokens);
        let (start, end) = (self.len, self.len + tokens);
        let place = [0..batch, 0..heads, start..end, 0..head_dim];
        let keys = keys.slice_assign(place.clone(), key);
        let values = values.slice_assign(place, value);
        self.len = end;
        let filled = (
            keys.clone().narrow(2, 0, end),
            values.clone().narrow(2, 0, end),
        );
        self.buffers = Some((keys, values));
        filled
    }

    /// Takes the buffers out, grown where `tokens` more would not fit. Growth
    /// doubles, so that appending one token costs amortised constant time.
    fn room_for(&mut self, like: &Tensor<4>, tokens: usize) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, _, head_dim] = like.dims();
        let device = like.device();
        let needed = self.len + tokens;
        let capacity = |old: usize| needed.max(old * 2).next_multiple_of(CHUNK);
        match self.buffers.take() {
            Some((keys, values)) if keys.dims()[2] >= needed => (keys, values),
            Some((keys, values)) => {
                let old = keys.dims()[2];
                let extra = [batch, heads, capacity(old) - old, head_dim];
                let grow = |buffer: Tensor<4>| {
                    let more = Tensor::zeros(extra, (&device, buffer.dtype()));
                    Tensor::cat(vec![buffer, more], 2)
                };
                (grow(keys), grow(values))
            }
            None => {
                let shape = [batch, heads, capacity(0), head_dim];
                let empty = Tensor::zeros(shape, (&device, like.dtype()));
                (empty.clone(), empty)
            }
        }
    }
}
