//! The code tool's Python: a virtual environment with pinned libraries.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::exec::{find, program};
use crate::paths;
use crate::setup::packages;

const REQUIREMENTS: &str = "worker/tools/src/code/requirements.txt";

/// The environment's folder.
pub fn folder() -> PathBuf {
    paths::data_dir().join("python")
}

/// Makes the environment, or makes it anew when the pins changed.
pub fn ensure() -> Result<()> {
    let wanted = std::fs::read_to_string(paths::root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    let stamp = folder().join("illumine-requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let Some(python) = find("python3") else {
        bail!("python3 is not installed")
    };
    make(&python)?;
    program(folder().join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            REQUIREMENTS,
        ])
        .run()
        .context("installing the code tool's Python libraries")?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

fn make(python: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(paths::data_dir())?;
    let venv = || {
        program(python)
            .args(["-m", "venv", "--clear"])
            .args([folder()])
    };
    if venv().succeeds() {
        return Ok(());
    }
    // Debian splits venv from python3.
    if find("apt-get").is_some() {
        packages::apt(&["python3-venv"])?;
    }
    venv().run()
}
