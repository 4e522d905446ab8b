//! Which addresses a guest may connect to: those that `wasm.allow.tcp` names. Never listens, never sends datagrams.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;

use wasmtime_wasi::sockets::SocketAddrUse;

/// The grants of one node.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    addresses: Vec<SocketAddr>,
    /// `name:port`; what a name means is asked when the guest connects.
    names: Vec<String>,
}

/// The answer to one question. Sync, because wasi wants it so.
pub(super) type Answer = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

impl Allowed {
    /// From `host:port` entries; the manifest's check has refused what is not one.
    pub(super) fn new(tcp: &[String]) -> Self {
        let mut allowed = Self::default();
        for entry in tcp {
            match entry.parse() {
                Ok(address) => allowed.addresses.push(address),
                Err(_) => allowed.names.push(entry.clone()),
            }
        }
        allowed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.names.is_empty()
    }

    /// Whether a guest must be able to look names up.
    pub(super) fn needs_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether the guest may do that with `address`.
    pub(super) fn permits(&self, address: SocketAddr, usage: SocketAddrUse) -> Answer {
        match usage {
            // Connecting binds to any port of any interface beforehand.
            SocketAddrUse::TcpBind => ready(!self.is_empty() && address.ip().is_unspecified() && address.port() == 0),
            SocketAddrUse::TcpConnect if self.addresses.contains(&address) => ready(true),
            SocketAddrUse::TcpConnect if !self.names.is_empty() => {
                let names = self.names.clone();
                let found = tokio::task::spawn_blocking(move || {
                    names.iter().filter_map(|name| name.to_socket_addrs().ok()).flatten().any(|found| found == address)
                });
                Box::pin(async move { found.await.unwrap_or(false) })
            }
            _ => ready(false),
        }
    }
}

fn ready(answer: bool) -> Answer {
    Box::pin(std::future::ready(answer))
}
