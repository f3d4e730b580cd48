//! Virtual environments with pinned libraries: the code tool's Python, that of
//! OpenAI's client, which tests drive our server with, and that of a Ray head.

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
    /// Those that are installed without what they depend on.
    alone: Option<&'static str>,
}

const CODE_TOOL: Environment = Environment {
    name: "python",
    requirements: "worker/tools/src/code/requirements.txt",
    alone: None,
};

const OPENAI_CLIENT: Environment = Environment {
    name: "openai-client",
    requirements: "infra/parity/openai_requirements.txt",
    alone: None,
};

/// A Ray head, and verl for its configuration alone: what it computes with has
/// gigabytes.
const RAY: Environment = Environment {
    name: "ray",
    requirements: "infra/ray/requirements.txt",
    alone: Some("infra/ray/verl_requirements.txt"),
};

/// The folder of the code tool's environment.
pub fn folder() -> PathBuf {
    CODE_TOOL.folder()
}

/// The folder of the environment with OpenAI's client.
pub fn openai_folder() -> PathBuf {
    OPENAI_CLIENT.folder()
}

/// The folder of the environment with Ray.
pub fn ray_folder() -> PathBuf {
    RAY.folder()
}

/// Makes the code tool's environment, or makes it anew when the pins changed.
pub fn ensure() -> Result<()> {
    CODE_TOOL.ensure()
}

/// The same for the one with OpenAI's client.
pub fn ensure_openai() -> Result<()> {
    OPENAI_CLIENT.ensure()
}

/// The same for the one with Ray.
pub fn ensure_ray() -> Result<()> {
    RAY.ensure()
}

impl Environment {
    fn folder(&self) -> PathBuf {
        paths::data_dir().join(self.name)
    }

    fn ensure(&self) -> Result<()> {
        let read =
            |file: &str| std::fs::read_to_string(paths::root().join(file)).context(file.to_owned());
        let mut wanted = read(self.requirements)?;
        if let Some(alone) = self.alone {
            wanted += &read(alone)?;
        }
        let stamp = self.folder().join("illumine-requirements.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        let Some(python) = find("python3") else {
            bail!("python3 is not installed")
        };
        make(&python, &self.folder())?;
        self.install(self.requirements, &[])?;
        if let Some(alone) = self.alone {
            self.install(alone, &["--no-deps"])?;
        }
        std::fs::write(stamp, wanted)?;
        Ok(())
    }

    fn install(&self, requirements: &str, options: &[&str]) -> Result<()> {
        program(self.folder().join("bin/python"))
            .args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check"])
            .args(options)
            .args(["--requirement", requirements])
            .run()
            .with_context(|| format!("installing {requirements}"))
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
