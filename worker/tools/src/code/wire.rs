//! Frames between the worker and the runner: a line with a length, that many
//! bytes of JSON, and for a picture its PNG.
//!
//! What comes out of a sandbox is untrusted: the program can write to the
//! channel itself. Lengths are bounded before anything is read.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of JSON that an answer may have; the list of fonts is the longest.
const ANSWER_BYTES: u64 = 8 << 20;

/// What the runner needs before it warms up.
#[derive(Debug, Serialize)]
pub(super) struct SetUp<'a> {
    pub sites: &'a [String],
    /// Matplotlib's list of fonts, which takes long to make: name, text.
    pub font_cache: &'a BTreeMap<String, String>,
    pub limits: Limits,
    pub filters: FilterPrograms<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct FilterPrograms<'a> {
    pub seccomp: i64,
    pub programs: &'a [String],
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    pub cpu_s: u64,
    /// Bytes of address space.
    pub memory: u64,
    /// Bytes of one file.
    pub file: u64,
    pub threads: u64,
    /// Bytes of the picture.
    pub png: u64,
    pub pixels: u64,
    pub width: u32,
}

/// The one program of a sandbox.
#[derive(Debug, Serialize)]
pub(super) struct Order<'a> {
    pub program: &'a str,
    pub seed: u64,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(super) enum Answer {
    Ready {
        #[serde(default)]
        font_cache: BTreeMap<String, String>,
    },
    /// Followed by so many bytes of PNG.
    Drawn {
        bytes: u64,
    },
    Error {
        code: String,
        message: String,
    },
}

pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), text: &[u8]) -> io::Result<()> {
    to.write_all(format!("{}\n", text.len()).as_bytes()).await?;
    to.write_all(text).await?;
    to.flush().await
}

pub(super) async fn send_json(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    send(to, &serde_json::to_vec(message)?).await
}

/// The next answer; `UnexpectedEof` when the sandbox ended without one.
pub(super) async fn answer(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Answer> {
    let mut line = Vec::new();
    (&mut *from).take(16).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = std::str::from_utf8(&line)
        .ok()
        .and_then(|line| line.strip_suffix('\n')?.parse::<u64>().ok())
        .filter(|&length| length <= ANSWER_BYTES)
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(serde_json::from_slice(&exactly(from, length).await?)?)
}

/// The `length` bytes that follow. The caller has bounded `length`.
pub(super) async fn exactly(
    from: &mut (impl AsyncBufRead + Unpin),
    length: u64,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_as_sent() {
        let mut wire = Vec::new();
        let message = serde_json::json!({"status": "drawn", "bytes": 3});
        send_json(&mut wire, &message).await.unwrap();
        wire.extend_from_slice(b"PNG");
        let mut from = wire.as_slice();
        let Answer::Drawn { bytes } = answer(&mut from).await.unwrap() else {
            panic!("another answer");
        };
        assert_eq!(exactly(&mut from, bytes).await.unwrap(), b"PNG");
    }

    #[tokio::test]
    async fn forged_frames_are_refused_before_they_are_read() {
        for wire in [
            &b"99999999999\n{}"[..],
            b"-1\n",
            b"hello, I am print()\n",
            b"123456789012345678901234567890",
            b"2\n{}",
        ] {
            assert!(answer(&mut &wire[..]).await.is_err(), "{wire:?}");
        }
        let cut = answer(&mut &b"400\n{\"status\""[..]).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}
