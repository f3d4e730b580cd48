//! Pictures made a moment ago, within this process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use illumine_types::tool::ToolRequest;
use sha2::{Digest, Sha256};

use super::backend::Made;
use crate::ToolContext;

/// Digest of everything that decides a picture.
pub(crate) type Key = [u8; 32];

/// Of tool and backend, parameters, options, parent and seed. Another seed is
/// another picture.
pub(crate) fn key(backend: &str, request: &ToolRequest, context: &ToolContext) -> Key {
    let image = &context.options.image;
    let parts = serde_json::json!([backend, request, image, context.options.seed]);
    let mut digest = Sha256::new();
    digest.update(parts.to_string());
    if let Some(parent) = &context.parent {
        digest.update([0]);
        digest.update(&parent.bytes);
    }
    digest.finalize().into()
}

/// The latest pictures, bounded in number, bytes and age; the oldest use goes
/// first.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: Mutex<VecDeque<Entry>>,
    most: usize,
    most_bytes: usize,
    keep: Duration,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    since: Instant,
    made: Made,
}

impl Cache {
    pub(crate) const fn new(most: usize, most_bytes: usize, keep: Duration) -> Self {
        Self {
            entries: Mutex::new(VecDeque::new()),
            most,
            most_bytes,
            keep,
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Made> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.since.elapsed() < self.keep);
        let index = entries.iter().position(|entry| entry.key == *key)?;
        let entry = entries.remove(index)?;
        let made = entry.made.clone();
        entries.push_back(entry);
        Some(made)
    }

    pub(crate) fn put(&self, key: Key, made: &Made) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.key != key);
        entries.push_back(Entry {
            key,
            since: Instant::now(),
            made: made.clone(),
        });
        let bytes = |entries: &VecDeque<Entry>| -> usize {
            entries
                .iter()
                .map(|entry| entry.made.picture.bytes.len())
                .sum()
        };
        while entries.len() > self.most || bytes(&entries) > self.most_bytes {
            entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{DrawOptions, Picture};

    fn made(size: usize) -> Made {
        Made {
            picture: Picture {
                bytes: Bytes::from(vec![0; size]),
                mime: "image/png",
                width: 1,
                height: 1,
            },
            model: None,
            seed: None,
            parameters: serde_json::Map::new(),
            source: None,
        }
    }

    #[test]
    fn number_and_bytes_are_bounded_and_the_unused_go() {
        let cache = Cache::new(2, 100, Duration::from_secs(3600));
        for name in 0..2u8 {
            cache.put([name; 32], &made(10));
        }
        assert!(cache.get(&[0; 32]).is_some());
        cache.put([2; 32], &made(10));
        assert!(cache.get(&[1; 32]).is_none(), "the least lately used");
        assert!(cache.get(&[0; 32]).is_some());
        cache.put([3; 32], &made(95));
        assert!(cache.get(&[0; 32]).is_none());
        cache.put([4; 32], &made(101));
        assert!(cache.get(&[4; 32]).is_none(), "larger than the whole cache");
        let forgetful = Cache::new(2, 100, Duration::ZERO);
        forgetful.put([5; 32], &made(10));
        assert!(forgetful.get(&[5; 32]).is_none(), "too old");
    }

    #[test]
    fn the_key_knows_seed_backend_options_and_parent() {
        let request = ToolRequest::Diffusion {
            prompt: "a fox".into(),
        };
        let plain = ToolContext::default();
        let seeded = ToolContext {
            options: DrawOptions {
                seed: Some(1),
                ..DrawOptions::default()
            },
            ..ToolContext::default()
        };
        let parented = ToolContext {
            parent: Some(made(3).picture),
            ..ToolContext::default()
        };
        let keys = [
            key("ark", &request, &plain),
            key("qwen", &request, &plain),
            key("ark", &request, &seeded),
            key("ark", &request, &parented),
            key(
                "ark",
                &ToolRequest::Search {
                    query: "a fox".into(),
                },
                &plain,
            ),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(
            key("ark", &request, &plain),
            key("ark", &request, &ToolContext::default())
        );
    }
}
