//! What an installation keeps between starts: ports and passwords.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Kept in `<data>/state` (mode 0600), a `name = value` a line.
pub struct State {
    folder: PathBuf,
    pub redis_port: u16,
    pub redis_password: String,
    pub s3_port: u16,
    pub s3_access_key: String,
    pub s3_secret_key: String,
}

const REDIS_PORT: u16 = 6479;
const S3_PORT: u16 = 9479;

impl State {
    /// Reads the state or makes it. A port that another program took since is
    /// chosen anew.
    pub fn load_or_make(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = folder.join("state");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let known: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .collect();
        let word = |name: &str| match known.get(name) {
            Some(value) => Ok((*value).to_owned()),
            None => random_word(),
        };
        let port = |name: &str, usual| {
            known
                .get(name)
                .and_then(|value| value.parse().ok())
                .unwrap_or(usual)
        };
        let state = Self {
            folder: folder.to_owned(),
            redis_port: free_port(port("redis_port", REDIS_PORT))?,
            redis_password: word("redis_password")?,
            s3_port: free_port(port("s3_port", S3_PORT))?,
            s3_access_key: word("s3_access_key")?,
            s3_secret_key: word("s3_secret_key")?,
        };
        write_private(&file, &state.text())?;
        Ok(state)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let Self {
            redis_port,
            redis_password,
            s3_port,
            s3_access_key,
            s3_secret_key,
            ..
        } = self;
        let _ = writeln!(
            text,
            "redis_port = {redis_port}\nredis_password = {redis_password}"
        );
        let _ = writeln!(
            text,
            "s3_port = {s3_port}\ns3_access_key = {s3_access_key}\ns3_secret_key = {s3_secret_key}"
        );
        text
    }

    /// Writes Redis's configuration; its path. Every write is on disk within a
    /// second, so that a killed server loses nothing that was acknowledged
    /// before it.
    pub fn redis_config(&self) -> Result<String> {
        let folder = self.folder.join("redis");
        fs::create_dir_all(&folder)?;
        let file = self.folder.join("redis.conf");
        let text = format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\ndir \"{}\"\nappendonly yes\nappendfsync everysec\nsave \"\"\ndaemonize no\n",
            self.redis_port,
            self.redis_password,
            folder.display()
        );
        write_private(&file, &text)?;
        Ok(file.display().to_string())
    }
}

fn free_port(wanted: u16) -> Result<u16> {
    let listener =
        TcpListener::bind(("127.0.0.1", wanted)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    Ok(listener.context("no free port")?.local_addr()?.port())
}

fn random_word() -> Result<String> {
    let mut bytes = [0_u8; 24];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
