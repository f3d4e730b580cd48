//! The interpreter: where its parts lie, and which libraries it has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::Unavailable;

const REMEDY: &str = "make a virtual environment with worker/tools/src/code/requirements.txt \
     (`cargo xtask up` does) and name its interpreter in ILLUMINE_PYTHON";

/// Asks the interpreter where it and its packages are.
const QUESTION: &str = r#"
import importlib.metadata as m, json, os, sys, sysconfig
real, path = os.path.realpath, sysconfig.get_path
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])),
    "executable": real(getattr(sys, "_base_executable", sys.executable)),
    "base": real(sys.base_prefix),
    "library": [real(path("stdlib")), real(path("platstdlib"))],
    "sites": [real(path("purelib")), real(path("platlib"))],
    "packages": {n: version(n) for n in ("matplotlib", "numpy", "pandas", "seaborn")},
}))
"#;

#[derive(Deserialize)]
struct Answer {
    version: String,
    executable: PathBuf,
    base: PathBuf,
    library: Vec<PathBuf>,
    sites: Vec<PathBuf>,
    packages: BTreeMap<String, Option<String>>,
}

/// A CPython with the drawing libraries, and how it is laid out in a sandbox.
/// A virtual environment's own machinery is not used there, so that no path
/// of this machine is seen inside.
#[derive(Clone, Debug)]
pub(super) struct Interpreter {
    /// The executable's path inside.
    pub executable: PathBuf,
    /// Read-only parts: outside, inside.
    pub parts: Vec<(PathBuf, PathBuf)>,
    /// Folders of packages, inside.
    pub sites: Vec<String>,
    /// Libraries of a relocated interpreter, inside.
    pub library_path: Option<&'static str>,
    /// `python` and each library's version.
    pub versions: BTreeMap<String, String>,
}

impl Interpreter {
    pub async fn discover(python: &Path) -> Result<Self, Unavailable> {
        let asked = Command::new(python)
            .args(["-I", "-c", QUESTION])
            .env_clear()
            .envs(["PATH", "HOME"].into_iter().filter_map(|name| {
                let value = std::env::var_os(name)?;
                Some((name, value))
            }))
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(30), asked)
            .await
            .map_err(|_| Unavailable::new(format!("{} does not answer", python.display()), REMEDY))?
            .map_err(|error| {
                let reason = format!("cannot run {}: {error}", python.display());
                Unavailable::new(reason, REMEDY)
            })?;
        let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|_| {
            let reason = format!("{} is no working CPython 3", python.display());
            Unavailable::new(reason, REMEDY)
        })?;
        Self::lay_out(answer)
    }

    fn lay_out(answer: Answer) -> Result<Self, Unavailable> {
        let mut versions = BTreeMap::from([("python".to_owned(), answer.version.clone())]);
        for (name, version) in answer.packages {
            let version = version
                .ok_or_else(|| Unavailable::new(format!("Python has no package {name}"), REMEDY))?;
            versions.insert(name, version);
        }
        if !at_least_3_11(&answer.version) {
            let reason = format!("Python {} is older than 3.11", answer.version);
            return Err(Unavailable::new(reason, REMEDY));
        }

        let system = [Path::new("/usr"), Path::new("/usr/local")].contains(&answer.base.as_path());
        let mut parts = Vec::new();
        let executable;
        if system {
            // Only the interpreter and its library: /usr may hold anything.
            parts.push((answer.executable.clone(), answer.executable.clone()));
            // A virtual environment names a folder of its own among them.
            let library = answer
                .library
                .into_iter()
                .filter(|dir| dir.starts_with(&answer.base));
            parts.extend(library.map(|dir| (dir.clone(), dir)));
            executable = answer.executable;
        } else {
            let unfit = || {
                let reason = format!("Python's prefix {} is unusable", answer.base.display());
                Unavailable::new(reason, REMEDY)
            };
            let home = std::env::var_os("HOME").map(PathBuf::from);
            if answer.base.parent().is_none() || home.as_ref() == Some(&answer.base) {
                return Err(unfit());
            }
            let inside = answer
                .executable
                .strip_prefix(&answer.base)
                .map_err(|_| unfit())?;
            executable = Path::new("/python").join(inside);
            parts.push((answer.base.clone(), PathBuf::from("/python")));
        }
        parts.dedup();

        let mut sites = Vec::new();
        let mut outside = answer.sites;
        outside.dedup();
        for (number, site) in outside.into_iter().enumerate() {
            let inside = if number == 0 { "/site" } else { "/site64" };
            parts.push((site, PathBuf::from(inside)));
            sites.push(inside.to_owned());
        }
        Ok(Self {
            executable,
            parts,
            sites,
            library_path: (!system).then_some("/python/lib"),
            versions,
        })
    }
}

fn at_least_3_11(version: &str) -> bool {
    let mut numbers = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(3), Some(11))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(base: &str) -> Answer {
        Answer {
            version: "3.12.4".into(),
            executable: format!("{base}/bin/python3.12").into(),
            base: base.into(),
            library: vec![
                format!("{base}/lib/python3.12").into(),
                "/srv/venv/lib/python3.12".into(),
            ],
            sites: vec!["/srv/venv/lib/python3.12/site-packages".into(); 2],
            packages: BTreeMap::from([("numpy".into(), Some("2.3.5".into()))]),
        }
    }

    #[test]
    fn a_private_prefix_is_moved_and_its_place_hidden() {
        let python = Interpreter::lay_out(answer("/home/ada/.pyenv/versions/3.12.4")).unwrap();
        assert_eq!(python.executable, Path::new("/python/bin/python3.12"));
        assert!(
            python
                .parts
                .iter()
                .all(|(_, inside)| !inside.starts_with("/home"))
        );
        assert_eq!(python.sites, ["/site"]);
    }

    #[test]
    fn the_systems_python_does_not_bring_all_of_usr() {
        let python = Interpreter::lay_out(answer("/usr")).unwrap();
        assert_eq!(python.executable, Path::new("/usr/bin/python3.12"));
        assert!(
            python.parts.iter().all(
                |(outside, inside)| outside != Path::new("/usr") && !inside.starts_with("/srv")
            )
        );
    }

    #[test]
    fn missing_packages_old_versions_and_the_root_are_refused() {
        let mut no_numpy = answer("/opt/python");
        no_numpy.packages.insert("numpy".into(), None);
        assert!(
            Interpreter::lay_out(no_numpy)
                .unwrap_err()
                .reason
                .contains("numpy")
        );

        let mut old = answer("/opt/python");
        old.version = "3.9.18".into();
        assert!(
            Interpreter::lay_out(old)
                .unwrap_err()
                .reason
                .contains("3.9.18")
        );

        assert!(Interpreter::lay_out(answer("/")).is_err());
    }
}
