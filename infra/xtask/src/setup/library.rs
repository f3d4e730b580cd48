//! The embedded picture library: public-domain photographs that Python
//! packages ship.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::exec::program;
use crate::paths;
use crate::setup::python;

/// The folder that the search tool reads, or that is imported into S3.
pub fn folder() -> PathBuf {
    paths::data_dir().join("library")
}

/// Fills the folder, or does nothing when it is complete.
pub fn ensure() -> Result<()> {
    let manifest = std::fs::read_to_string(paths::root().join("infra/library/manifest.json"))
        .context("infra/library/manifest.json")?;
    let stamp = folder().join(".manifest");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == manifest) {
        return Ok(());
    }
    program(python::folder().join("bin/python"))
        .args(["infra/library/fill.py"])
        .args([folder()])
        .run()
        .context("filling the picture library")?;
    std::fs::write(stamp, manifest)?;
    Ok(())
}
