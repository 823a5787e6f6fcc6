//! Connections of other pods: bounded, and with a session of TLS where the port speaks it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_web::rt::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// The shortest time that the kernel takes between probes.
const SECOND: Duration = Duration::from_secs(1);

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A connection as it is served, and whose it is.
pub(super) type Accepted = (Box<dyn Stream>, Option<SocketAddr>);

/// Shakes hands where it is asked to, for `stall_max` at most.
pub(super) async fn accept(
    socket: TcpStream,
    acceptor: Option<TlsAcceptor>,
    stall_max: Duration,
) -> Result<Accepted, DispatchError> {
    prepare(&socket, stall_max);
    let whose = socket.peer_addr().ok();
    let Some(acceptor) = acceptor else { return Ok((Box::new(socket), whose)) };
    let late = |_| DispatchError::Io(io::ErrorKind::TimedOut.into());
    let session = timeout(stall_max, acceptor.accept(socket)).await.map_err(late)?;
    Ok((Box::new(session.map_err(DispatchError::Io)?), whose))
}

/// A pod that takes nothing, or is not there any more, must not keep its place.
fn prepare(socket: &TcpStream, stall_max: Duration) {
    let (time, interval) = (stall_max / 2, stall_max / 4);
    let keepalive = TcpKeepalive::new().with_time(time.max(SECOND)).with_interval(interval.max(SECOND));
    let socket = SockRef::from(socket);
    for result in [
        socket.set_tcp_nodelay(true),
        socket.set_tcp_user_timeout(Some(stall_max)),
        socket.set_tcp_keepalive(&keepalive),
    ] {
        if let Err(error) = result {
            tracing::warn!(%error, "cannot bound how long another pod may take nothing");
        }
    }
}
