//! An HTTP server that slow clients cannot hold up: with time limits, and a bound on connections.
//!
//! Invariant: a request that has not arrived completely delays the stop of the server by [`ServerLimits::stopping`] at
//! most.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::Request;
use bytes::Bytes;
use domain::error::Source;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::ServiceExt;

use crate::eager::poll_eagerly;

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// How long a request's headers may take to arrive.
    pub header: Duration,
    /// How long a request's body may take to arrive.
    pub body: Duration,
    /// How long a connection may be idle, before its first request and between requests.
    pub idle: Duration,
    /// How long the body of a request may still take to arrive once the server stops.
    pub stopping: Duration,
    /// Maximum number of open connections, sockets included. Further clients wait until one closes.
    pub connections: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            stopping: Duration::from_secs(1),
            connections: 10_000,
        }
    }
}

/// Serves HTTP/1.1 until `stopped` becomes true and the requests in progress have finished.
pub async fn serve(
    listener: TcpListener,
    service: Router,
    stopped: watch::Receiver<bool>,
    limits: ServerLimits,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut stop = stopped.clone();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let next = async {
            // Fails only if the semaphore is closed, and nobody closes it.
            let place = place.await.ok()?;
            Some((listener.accept().await, place))
        };
        tokio::select! {
            () = until(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            next = next => match next {
                Some((Ok((stream, peer)), place)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, peer, place, service.clone(), stopped.clone(), limits));
                }
                Some((Err(error), _)) => {
                    // Out of file descriptors, for example: some become free when clients leave.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(100)).await;
                }
                None => break,
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection, until it is closed, too slow, or taken over by a WebSocket.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    service: Router,
    mut stopped: watch::Receiver<bool>,
    limits: ServerLimits,
) {
    let progress = Arc::new(Progress::new());
    let stream = Watched { stream, progress: Arc::clone(&progress), _place: place };
    let serve = service_fn({
        let (progress, stopped) = (Arc::clone(&progress), stopped.clone());
        move |request: Request<Incoming>| {
            let serving = Serving::begin(&progress);
            let stopped = stopped.clone();
            let mut request = request.map(|body| Body::new(TimedBody::new(body, stopped, limits)));
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = poll_eagerly(service.clone().oneshot(request));
            async move { response.await.map(|found| found.map(|body| LastBody { body, _serving: serving })) }
        }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).with_upgrades();
    let mut served = std::pin::pin!(served);
    let mut stop = std::pin::pin!(until(&mut stopped));
    let mut timer = std::pin::pin!(sleep_until(Instant::now() + limits.idle));
    let mut is_stopping = false;
    // The phase changes only while `served` is polled. So it is looked at after each poll, and needs no wake-up.
    poll_fn(|cx| {
        if !is_stopping && stop.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            served.as_mut().graceful_shutdown();
        }
        if served.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(due) = progress.due(limits) else { return Poll::Pending };
        if is_stopping {
            // No request is being served: what has arrived is at most half of one.
            return Poll::Ready(());
        }
        // A timer that fires early is set again, which is cheaper than to set it for each request.
        while due < timer.deadline() || timer.as_mut().poll(cx).is_ready() {
            if due == timer.deadline() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    })
    .await;
}

/// Waits until the server is to stop.
async fn until(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The phase that a connection is in.
#[derive(Clone, Copy)]
enum Phase {
    /// Nothing has arrived since then.
    Idle(Instant),
    /// The headers of a request have been arriving since then.
    Reading(Instant),
    /// A request is being served.
    Serving,
}

/// The phase of a connection.
struct Progress(Mutex<Phase>);

impl Progress {
    fn new() -> Self {
        Self(Mutex::new(Phase::Idle(Instant::now())))
    }

    fn set(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn phase(&self) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the connection is to be closed; `None` while it serves a request.
    fn due(&self, limits: ServerLimits) -> Option<Instant> {
        match self.phase() {
            Phase::Idle(since) => Some(since + limits.idle),
            Phase::Reading(since) => Some(since + limits.header),
            Phase::Serving => None,
        }
    }
}

/// Marks a connection as serving a request until it is dropped.
struct Serving(Arc<Progress>);

impl Serving {
    fn begin(progress: &Arc<Progress>) -> Self {
        progress.set(Phase::Serving);
        Self(Arc::clone(progress))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.set(Phase::Idle(Instant::now()));
    }
}

/// A connection's stream, which notices when a request begins to arrive. It keeps its place among the connections, even
/// when a WebSocket takes it over.
struct Watched {
    stream: TcpStream,
    progress: Arc<Progress>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before && matches!(self.progress.phase(), Phase::Idle(_)) {
            self.progress.set(Phase::Reading(Instant::now()));
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request's body, which fails if it takes too long to arrive.
struct TimedBody {
    incoming: Incoming,
    too_late: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl TimedBody {
    fn new(incoming: Incoming, mut stopped: watch::Receiver<bool>, limits: ServerLimits) -> Self {
        let too_late = async move {
            let stopping = async {
                until(&mut stopped).await;
                sleep(limits.stopping).await;
            };
            let _ = timeout(limits.body, stopping).await;
        };
        Self { incoming, too_late: Box::pin(too_late) }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = Source;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Source>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Source::from)));
        }
        ready!(self.too_late.as_mut().poll(cx));
        Poll::Ready(Some(Err("it took too long to arrive".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A response's body, with which the request ends.
struct LastBody {
    body: Body,
    _serving: Serving,
}

impl HttpBody for LastBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
