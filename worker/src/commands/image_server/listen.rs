//! Where a server listens.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use tokio::net::{TcpListener, lookup_host};

/// At `host`, or at every address of `localhost`: the original's client asks `[::]`,
/// others 127.0.0.1. Port 0 is any free one, the same at each address.
///
/// # Errors
/// When `host` is no name of this machine, or the port is taken.
pub async fn listen(host: &str, port: u16) -> anyhow::Result<Vec<TcpListener>> {
    let host = host.trim_matches(['[', ']']);
    let cannot = || format!("cannot listen on {host}:{port}");
    if host != "localhost" {
        let address = lookup_host((host, port)).await.with_context(cannot)?.next();
        let address = address.with_context(cannot)?;
        return Ok(vec![TcpListener::bind(address).await.with_context(cannot)?]);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let first = TcpListener::bind(address).await.with_context(cannot)?;
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(listener) => listeners.push(listener),
        // A machine without IPv6.
        Err(error) => tracing::debug!(%error, "[::1] is not served"),
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_served_at_each_of_its_addresses() {
        let listeners = listen("localhost", 0).await.unwrap();
        let addresses: Vec<SocketAddr> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap())
            .collect();
        assert_eq!(addresses[0].ip(), Ipv4Addr::LOCALHOST);
        assert!(
            addresses
                .iter()
                .all(|address| address.port() == addresses[0].port())
        );
        let taken = listen("127.0.0.1", addresses[0].port()).await.unwrap_err();
        assert!(taken.to_string().contains("cannot listen on 127.0.0.1"));
        assert!(listen("no.such.host.invalid", 0).await.is_err());
        assert_eq!(listen("[::ffff:127.0.0.1]", 0).await.unwrap().len(), 1);
    }
}
