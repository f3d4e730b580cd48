//! Virtual environments with pinned libraries: the code tool's Python, and that
//! of OpenAI's client, which tests drive our server with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::exec::{find, program};
use crate::paths;
use crate::setup::packages;

/// One environment.
struct Environment {
    /// Its folder in the data folder.
    name: &'static str,
    /// Its pins.
    requirements: &'static str,
}

const CODE_TOOL: Environment = Environment {
    name: "python",
    requirements: "worker/tools/src/code/requirements.txt",
};

const OPENAI_CLIENT: Environment = Environment {
    name: "openai-client",
    requirements: "infra/parity/openai_requirements.txt",
};

/// The folder of the code tool's environment.
pub fn folder() -> PathBuf {
    CODE_TOOL.folder()
}

/// The folder of the environment with OpenAI's client.
pub fn openai_folder() -> PathBuf {
    OPENAI_CLIENT.folder()
}

/// Makes the code tool's environment, or makes it anew when the pins changed.
pub fn ensure() -> Result<()> {
    CODE_TOOL.ensure()
}

/// The same for the one with OpenAI's client.
pub fn ensure_openai() -> Result<()> {
    OPENAI_CLIENT.ensure()
}

impl Environment {
    fn folder(&self) -> PathBuf {
        paths::data_dir().join(self.name)
    }

    fn ensure(&self) -> Result<()> {
        let requirements = self.requirements;
        let wanted =
            std::fs::read_to_string(paths::root().join(requirements)).context(requirements)?;
        let stamp = self.folder().join("illumine-requirements.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        let Some(python) = find("python3") else {
            bail!("python3 is not installed")
        };
        make(&python, &self.folder())?;
        program(self.folder().join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
                requirements,
            ])
            .run()
            .with_context(|| format!("installing {requirements}"))?;
        std::fs::write(stamp, wanted)?;
        Ok(())
    }
}

fn make(python: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(paths::data_dir())?;
    let venv = || {
        program(python)
            .args(["-m", "venv", "--clear"])
            .args([folder])
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
