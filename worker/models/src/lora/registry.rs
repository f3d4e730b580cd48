//! The adapters that are loaded beside a model, by name.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{ModelError, Result};

/// Tells apart adapters that were loaded at different times, also under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdapterId(u64);

impl AdapterId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One adapter, as `M`.
#[derive(Debug)]
pub struct Loaded<M> {
    /// What requests call it.
    pub name: String,
    /// Its identity.
    pub id: AdapterId,
    /// The model with it.
    pub model: M,
}

/// Adapters of one base. They may be added while requests run.
#[derive(Debug)]
pub struct Registry<M> {
    loaded: RwLock<Vec<Arc<Loaded<M>>>>,
}

impl<M> Default for Registry<M> {
    fn default() -> Self {
        Self {
            loaded: RwLock::default(),
        }
    }
}

impl<M> Registry<M> {
    /// Makes `model` known as `name`. One that had the name goes; requests that
    /// it serves end with it.
    ///
    /// # Errors
    /// [`ModelError::Request`] for an empty name.
    pub fn add(&self, name: &str, model: M) -> Result<()> {
        if name.trim().is_empty() {
            return Err(refuse("has no name".to_owned()));
        }
        let new = Arc::new(Loaded {
            name: name.to_owned(),
            id: AdapterId::next(),
            model,
        });
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        match loaded.iter_mut().find(|old| old.name == name) {
            Some(old) => *old = new,
            None => loaded.push(new),
        }
        Ok(())
    }

    /// The one called `name`; none for the base itself.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a name that none has.
    pub fn get(&self, name: Option<&str>) -> Result<Option<Arc<Loaded<M>>>> {
        let Some(name) = name else {
            return Ok(None);
        };
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let found = loaded.iter().find(|adapter| adapter.name == name);
        found.cloned().map(Some).ok_or_else(|| {
            let known: Vec<&str> = loaded.iter().map(|adapter| adapter.name.as_str()).collect();
            refuse(match known.is_empty() {
                true => format!("`{name}` is not loaded, nor is any other"),
                false => format!("`{name}` is not loaded; there are {}", known.join(", ")),
            })
        })
    }

    /// Their names, in the order in which they came.
    pub fn names(&self) -> Vec<String> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.iter().map(|adapter| adapter.name.clone()).collect()
    }
}

fn refuse(reason: String) -> ModelError {
    ModelError::Request {
        field: "adapter",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_takes_the_name_and_the_old_one_lives_on_with_its_users() {
        let registry = Registry::default();
        registry.add("a", 1).unwrap();
        registry.add("b", 2).unwrap();
        let old = registry.get(Some("a")).unwrap().unwrap();
        registry.add("a", 3).unwrap();
        let new = registry.get(Some("a")).unwrap().unwrap();
        assert_eq!((old.model, new.model), (1, 3));
        assert_ne!(old.id, new.id);
        assert_eq!(registry.names(), ["a", "b"]);
        assert!(registry.get(None).unwrap().is_none());
        let error = registry.get(Some("c")).unwrap_err().to_string();
        assert!(error.contains("`c`") && error.contains("a, b"), "{error}");
        assert!(registry.add(" ", 4).is_err());
    }
}
