//! Where things are.

use std::path::{Path, PathBuf};

/// The checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// State of the installation: `ILLUMINE_DATA_DIR`, else `.illumine`.
pub fn data_dir() -> PathBuf {
    match std::env::var_os("ILLUMINE_DATA_DIR") {
        Some(path) if !path.is_empty() => {
            let path = PathBuf::from(path);
            if path.is_absolute() {
                path
            } else {
                root().join(path)
            }
        }
        _ => root().join(".illumine"),
    }
}

/// Cargo's output folder.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) if !path.is_empty() => root().join(path),
        _ => root().join("target"),
    }
}
