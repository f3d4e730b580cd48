//! Names to addresses.

use std::net::IpAddr;

use async_trait::async_trait;

/// Looks names up. A trait so that a caller can bring its own resolver.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// Every address of `host`; empty when there is none.
    async fn resolve(&self, host: &str, port: u16) -> Vec<IpAddr>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> Vec<IpAddr> {
        match tokio::net::lookup_host((host, port)).await {
            Ok(found) => found.map(|socket| socket.ip()).collect(),
            Err(error) => {
                tracing::debug!(host, %error, "name not resolved");
                Vec::new()
            }
        }
    }
}
