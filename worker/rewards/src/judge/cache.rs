//! Judgements kept in memory, the oldest dropped first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// A hash of everything that a judgement depends on.
pub(super) type Key = [u8; 32];

/// Collects what a judgement depends on. Every piece goes in with its length,
/// so that no two lists of pieces are the same bytes.
#[derive(Default)]
pub(super) struct KeyBuilder(Sha256);

impl KeyBuilder {
    pub(super) fn add(mut self, piece: impl AsRef<[u8]>) -> Self {
        let piece = piece.as_ref();
        self.0.update((piece.len() as u64).to_le_bytes());
        self.0.update(piece);
        self
    }

    pub(super) fn finish(self) -> Key {
        self.0.finalize().into()
    }
}

/// A place for a judgement: whoever comes while it is asked for waits for it.
/// A failure leaves the place empty.
pub(super) type Place<T> = Arc<OnceCell<T>>;

pub(super) struct Cache<T> {
    capacity: usize,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    places: HashMap<Key, Place<T>>,
    /// From the oldest to the newest.
    order: VecDeque<Key>,
}

impl<T> Cache<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            held: Mutex::new(Held {
                places: HashMap::new(),
                order: VecDeque::new(),
            }),
        }
    }

    pub(super) fn place(&self, key: Key) -> Place<T> {
        if self.capacity == 0 {
            return Place::default();
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = held.places.get(&key) {
            return place.clone();
        }
        if held.order.len() >= self.capacity
            && let Some(oldest) = held.order.pop_front()
        {
            held.places.remove(&oldest);
        }
        let place = Place::default();
        held.places.insert(key, place.clone());
        held.order.push_back(key);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_so_many_and_drops_the_oldest() {
        let cache = Cache::<u32>::new(2);
        let key = |n: u8| KeyBuilder::default().add([n]).finish();
        for n in 0..3 {
            cache.place(key(n)).set(n.into()).unwrap();
        }
        assert_eq!(cache.place(key(2)).get(), Some(&2));
        assert_eq!(cache.place(key(1)).get(), Some(&1));
        assert_eq!(cache.place(key(0)).get(), None);
        assert_eq!(cache.held.lock().unwrap().places.len(), 2);
        let none = Cache::<u32>::new(0);
        none.place(key(0)).set(1).unwrap();
        assert_eq!(none.place(key(0)).get(), None);
    }

    #[test]
    fn pieces_do_not_run_together() {
        let key = |pieces: &[&str]| {
            let builder = KeyBuilder::default();
            pieces.iter().fold(builder, KeyBuilder::add).finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a"]), key(&["a", ""]));
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
    }
}
