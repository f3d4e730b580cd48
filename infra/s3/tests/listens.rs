//! The binary starts, refuses strangers and stops when told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn a_stranger_is_refused_and_sigterm_stops_it() {
    let root = std::env::temp_dir().join(format!("illumine-s3-{}", std::process::id()));
    let mut server = Command::new(env!("CARGO_BIN_EXE_illumine-s3"))
        .args(["--listen", "127.0.0.1:0", "--root"])
        .arg(&root)
        .env("ILLUMINE_S3_ACCESS_KEY", "access")
        .env("ILLUMINE_S3_SECRET_KEY", "secret")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().rsplit(' ').next().unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    socket
        .write_all(b"GET /bucket/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    Command::new("kill")
        .arg(server.id().to_string())
        .status()
        .unwrap();
    assert!(server.wait().unwrap().success());
    std::fs::remove_dir_all(root).unwrap();
}
