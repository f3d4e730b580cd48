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

/// Fills the folder; what is there already is left as it is, so this takes a
/// moment only the first time.
pub fn ensure() -> Result<()> {
    program(python::folder().join("bin/python"))
        .args(["infra/library/fill.py"])
        .args([folder()])
        .run()
        .context("filling the picture library")
}
