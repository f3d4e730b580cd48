//! One GET of a local server, without a client library.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result};

const LIMIT: Duration = Duration::from_secs(5);

/// Status and body.
pub fn get(address: &str, path: &str) -> Result<(u16, String)> {
    // A server that listens everywhere is asked on loopback.
    let address = address
        .replace("0.0.0.0", "127.0.0.1")
        .replace("[::]", "[::1]");
    let resolved = address.to_socket_addrs()?.next().context("no address")?;
    let mut socket = TcpStream::connect_timeout(&resolved, LIMIT)?;
    socket.set_read_timeout(Some(LIMIT))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .context("no status")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.trim().to_owned()))
}
