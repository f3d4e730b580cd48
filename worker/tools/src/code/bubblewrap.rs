//! The walls: namespaces and mounts, made by bubblewrap (bwrap(1)).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::python::Interpreter;
use super::{CodeConfig, Unavailable};

/// Host folders seen read-only when they exist: shared libraries, fonts and
/// time zones. Nothing of /home, /root, /etc, /var, /proc or /sys.
const READ_ONLY: &[&str] = &[
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
];
/// Links into /usr on most systems, folders on others.
const LIBRARIES: &[&str] = &["/lib", "/lib64"];
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Folders of the sandbox that can be written to.
pub(super) const SCRATCH: [&str; 2] = ["/tmp", "/dev/shm"];

/// Reads the runner, so that its text is not on the command line.
const BOOT: &str = include_str!("boot.py");

/// How to start one sandbox.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    bwrap: PathBuf,
    arguments: Vec<OsString>,
}

impl Recipe {
    pub async fn new(config: &CodeConfig, python: &Interpreter) -> Result<Self, Unavailable> {
        let bwrap = match &config.bwrap {
            Some(path) => path.clone(),
            None => find_in_path("bwrap").ok_or_else(no_bubblewrap)?,
        };
        let help = Command::new(&bwrap)
            .arg("--help")
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|_| no_bubblewrap())?;
        let help = String::from_utf8_lossy(&help.stdout);
        if !help.contains("--size") || !help.contains("--as-pid-1") {
            return Err(Unavailable::new(
                format!("{} is older than 0.6", bwrap.display()),
                "install bubblewrap 0.6 or newer (0.8 is better)",
            ));
        }
        let nested = help.contains("--disable-userns");
        Ok(Self {
            bwrap,
            arguments: arguments(config, python, nested),
        })
    }

    /// Standard input and output carry the runner's frames; all that the
    /// program prints comes on standard error. The environment is empty from
    /// the first process on: `--clearenv` alone would leave it readable.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.bwrap);
        command
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

fn no_bubblewrap() -> Unavailable {
    Unavailable::new(
        "bubblewrap is not installed",
        "install it: `apt-get install bubblewrap`, `dnf install bubblewrap`",
    )
}

fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn arguments(config: &CodeConfig, python: &Interpreter, nested: bool) -> Vec<OsString> {
    let mut list = Arguments(Vec::new());
    // --unshare-all only tries the user namespace; without one, fail.
    list.add(["--unshare-all", "--unshare-user"]);
    if nested {
        list.add(["--disable-userns"]);
    }
    list.add(["--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]);
    list.add(["--cap-drop", "ALL", "--die-with-parent"]);
    // Its own session: a signal to its process group stays inside. Alone in
    // its process namespace: there is nothing else to send signals to.
    list.add(["--new-session", "--as-pid-1"]);

    for path in READ_ONLY {
        list.add(["--ro-bind-try", path, path]);
    }
    for path in LIBRARIES {
        match std::fs::read_link(path) {
            Ok(target) => list.add([
                "--symlink".as_ref(),
                target.as_os_str(),
                Path::new(path).as_os_str(),
            ]),
            Err(_) => list.add(["--ro-bind-try", path, path]),
        }
    }
    for (outside, inside) in &python.parts {
        list.add([
            "--ro-bind".as_ref(),
            outside.as_os_str(),
            inside.as_os_str(),
        ]);
    }
    list.add(["--dir", "/dev"]);
    for device in DEVICES {
        list.add(["--dev-bind", device, device]);
    }
    let size = config.scratch_bytes.to_string();
    for folder in SCRATCH {
        list.add(["--size", &size, "--tmpfs", folder]);
    }
    list.add(["--remount-ro", "/", "--chdir", "/tmp"]);

    for (name, value) in environment(python) {
        list.add(["--setenv", name, value]);
    }
    list.add(["--".as_ref(), python.executable.as_os_str()]);
    // Isolated, without site: no .pth file runs; no byte code is written.
    list.add(["-I", "-S", "-B", "-X", "utf8", "-c", BOOT]);
    list.0
}

fn environment(python: &Interpreter) -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
        ("MPLBACKEND", "Agg"),
        ("MPLCONFIGDIR", "/tmp/.matplotlib"),
        // A pool of threads would reserve address space and escape the filter.
        ("OPENBLAS_NUM_THREADS", "1"),
        ("OMP_NUM_THREADS", "1"),
        ("MALLOC_ARENA_MAX", "2"),
    ]
    .into_iter()
    .chain(python.library_path.map(|path| ("LD_LIBRARY_PATH", path)))
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<const N: usize, T: AsRef<std::ffi::OsStr> + ?Sized>(&mut self, words: [&T; N]) {
        self.0
            .extend(words.iter().map(|word| word.as_ref().to_owned()));
    }
}
