//! Writes a site: beside the old one first, then in its place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::compress::{brotli, gzip, helps};
use crate::page::Site;

/// Bytes of a file as sent.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub raw: usize,
    pub gzip: usize,
    pub brotli: usize,
}

/// Writes every file with its compressed forms; a server that reads `out`
/// meanwhile sees the old site or the new one.
///
/// # Errors
/// The folder cannot be written.
pub fn publish(site: &Site, out: &Path) -> Result<Vec<(String, Size)>> {
    let beside = |end: &str| PathBuf::from(format!("{}.{end}", out.display()));
    let (fresh, old) = (beside("new"), beside("old"));
    remove(&fresh)?;
    let mut sizes = Vec::new();
    for (path, bytes) in site {
        let place = fresh.join(path);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let size = write(&place, path, bytes).with_context(|| place.display().to_string())?;
        sizes.push((path.clone(), size));
    }
    remove(&old)?;
    if out.exists() {
        fs::rename(out, &old).with_context(|| out.display().to_string())?;
    }
    fs::rename(&fresh, out).with_context(|| out.display().to_string())?;
    remove(&old)?;
    Ok(sizes)
}

fn write(place: &Path, path: &str, bytes: &[u8]) -> Result<Size> {
    fs::write(place, bytes)?;
    let mut size = Size {
        raw: bytes.len(),
        gzip: bytes.len(),
        brotli: bytes.len(),
    };
    if helps(path) {
        let (br, gz) = (brotli(bytes)?, gzip(bytes)?);
        fs::write(format!("{}.br", place.display()), &br)?;
        fs::write(format!("{}.gz", place.display()), &gz)?;
        size.gzip = gz.len();
        size.brotli = br.len();
    }
    Ok(size)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_replaces_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("web");
        let site = |name: &str| Site::from([(name.to_owned(), b"x".repeat(500))]);
        publish(&site("assets/a-1.js"), &out).unwrap();
        let sizes = publish(&site("assets/a-2.js"), &out).unwrap();
        assert!(!out.join("assets/a-1.js").exists());
        assert!(out.join("assets/a-2.js.br").is_file());
        assert!(out.join("assets/a-2.js.gz").is_file());
        assert!(sizes[0].1.brotli < 100);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
