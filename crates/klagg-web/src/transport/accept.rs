//! The accept loop: hyper with clocks on it, HTTP/1 only.
//!
//! `axum::serve` keeps silent and half-sent connections for ever; this one does not. A connection
//! first needs a place in the gate, then has `header_timeout` for the head of each request (also
//! the first, also after a pause), then the guard looks at it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::metered::Metered;
use super::{Gate, Peer};
use crate::{WebError, WebLimits};

/// Connections that the kernel holds for us before we accept them.
const BACKLOG: u32 = 1024;
/// Bytes of a request's head, and of what is read at once.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Rest after an accept that failed (out of file descriptors, mostly).
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The answer to a connection for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n\
content-length: 0\r\n\r\n";

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Binds, so that a busy port is known at once.
pub(crate) fn bind(address: SocketAddr, send_buffer_bytes: u32) -> Result<Listening, WebError> {
    let bound = || -> std::io::Result<Listening> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        // Accepted sockets inherit it: the kernel's part of what a slow reader can hold.
        socket.set_send_buffer_size(send_buffer_bytes)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Listening { listener, address })
    };
    bound().map_err(|source| WebError::Listen { address, source })
}

/// Serves until `shutdown` is true, then ends connections within the grace.
pub(crate) async fn serve(
    listening: Listening,
    router: Router,
    gate: Arc<Gate>,
    limits: WebLimits,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listening.listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                let Some(pass) = gate.admit(remote.ip()) else {
                    // Best effort: nobody waits for a connection that is refused.
                    let _ = stream.try_write(FULL);
                    continue;
                };
                let Ok(local) = stream.local_addr() else { continue };
                let peer = Peer { ip: remote.ip(), local_ip: local.ip(), pass: Arc::new(pass) };
                let (router, stop) = (router.clone(), shutdown.clone());
                connections.spawn(connection(stream, peer, router, limits.clone(), stop));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listening);
    let ended = async {
        while connections.join_next().await.is_some() {}
        // Websockets have left their connection's task; their places tell when they are gone.
        gate.empty().await;
    };
    if tokio::time::timeout(limits.shutdown_grace, ended).await.is_err() {
        tracing::warn!(connections = gate.connections(), "connections cut at shutdown");
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    limits: WebLimits,
    mut shutdown: watch::Receiver<bool>,
) {
    // Small frames, often: waiting to fill a packet would only add delay.
    let _ = stream.set_nodelay(true);
    let stall_max = limits.behind_timeout.saturating_mul(2);
    let io = Metered::new(stream, limits.inbound_bytes_per_second, stall_max);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let connection = http.serve_connection(TokioIo::new(io), service).with_upgrades();
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stopped(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Completes when shutdown was asked for, or nobody is left who could.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|&stop| stop).await;
}
