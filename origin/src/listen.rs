//! Sockets that listen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use mediaorigin_crds::config::Cold;
use socket2::{Domain, Protocol, Socket, Type};

use crate::fleet::Pod;
use crate::running::StartError;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 1_024;
/// A free port of this machine.
pub(crate) const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where other pods of a fleet ask this one, and who it is among them.
pub(crate) type PeerPort = (TcpListener, (Pod, SocketAddr));

/// Listens for the other pods of a fleet, if it is one.
pub(crate) fn for_peers(cold: &Cold, pod: Pod) -> Result<Option<PeerPort>, StartError> {
    if cold.coordination.is_none() {
        return Ok(None);
    }
    let (listener, bound) = bind(pod.peer_listen.unwrap_or(LOCAL))?;
    Ok(Some((listener, (pod, bound))))
}

/// Listens; an address for all of IPv6 also takes IPv4, and becomes IPv4 only where there is no IPv6.
pub(crate) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    listen(address)
        .or_else(|error| {
            if address.is_ipv6() && address.ip().is_unspecified() { listen(fallback) } else { Err(error) }
        })
        .map_err(|source| StartError::Listen { address, source })
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}
