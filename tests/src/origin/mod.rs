//! Origins that do what a test tells them.

mod raw;

pub use raw::RawOrigin;

use crate::{Port, body::Body};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use rustls::ServerConfig;
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// An origin that answers HTTP/1.1 and HTTP/2 (with prior knowledge, or over TLS) by a closure.
pub struct Origin {
    address: SocketAddr,
    /// While it is stopped, its address refuses connections: nobody else gets it.
    _port: Option<Port>,
    handler: Handler,
    tls: Option<Arc<ServerConfig>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: Option<JoinHandle<()>>,
}

/// A request, as the closure gets it.
pub struct Call {
    /// How many requests came before it, over all connections.
    pub number: usize,
    /// The request; its body is still to be read.
    pub request: Request<Incoming>,
}

/// What is remembered of a request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its target.
    pub uri: Uri,
    /// Its version.
    pub version: Version,
    /// Its header.
    pub headers: HeaderMap,
}

type Handler = Arc<
    dyn Fn(Call) -> futures::future::BoxFuture<'static, Response<Body>> + Send + Sync + 'static,
>;

impl Call {
    /// The path that was asked for.
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// A header's value, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.request
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Origin {
    /// Listens on 127.0.0.1 and answers by the closure.
    pub async fn serve<F, R>(handler: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::serve_on(Ipv4Addr::LOCALHOST.into(), handler).await
    }

    /// Listens on that address of this machine, on any port.
    pub async fn serve_on<F, R>(address: IpAddr, handler: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let port = Port::reserve();
        Self::listen(handler, port.on(address), Some(port), None).await
    }

    /// Listens on that port of another origin, on an address of its own: for origins that share a name.
    pub async fn serve_at<F, R>(address: SocketAddr, handler: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::listen(handler, address, None, None).await
    }

    /// Over TLS.
    pub async fn serve_tls<F, R>(identity: &crate::Identity, handler: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let port = Port::reserve();
        Self::listen(handler, port.here(), Some(port), Some(identity.server())).await
    }

    async fn listen<F, R>(
        handler: F,
        address: SocketAddr,
        port: Option<Port>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let mut origin = Self {
            address,
            _port: port,
            handler: Arc::new(move |call| Box::pin(handler(call))),
            tls,
            seen: Arc::default(),
            accepting: None,
        };
        origin.accept(listener);
        origin
    }

    fn accept(&mut self, listener: TcpListener) {
        let (handler, seen) = (Arc::clone(&self.handler), Arc::clone(&self.seen));
        let tls = self.tls.clone().map(TlsAcceptor::from);
        self.accepting = Some(tokio::spawn(async move {
            // Connections end with the listener: aborting this task drops the set.
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                stream.set_nodelay(true).unwrap();
                let (handler, seen, tls) = (Arc::clone(&handler), Arc::clone(&seen), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => converse(stream, handler, seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, handler, seen).await;
                            }
                        }
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        }));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.seen.lock().len()
    }

    /// How many requests have come for that path.
    pub fn requests_for(&self, path: &str) -> usize {
        self.seen
            .lock()
            .iter()
            .filter(|seen| seen.uri.path() == path)
            .count()
    }

    /// The requests that have come.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Closes the listener and every connection, as a crash does.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// Listens again on the same address after [`stop`](Self::stop).
    pub async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accept(listener);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn converse<S>(stream: S, handler: Handler, seen: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let number = {
            let mut seen = seen.lock();
            seen.push(Seen {
                method: request.method().clone(),
                uri: request.uri().clone(),
                version: request.version(),
                headers: request.headers().clone(),
            });
            seen.len() - 1
        };
        let answer = handler(Call { number, request });
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // A client that goes away is no defect of the origin.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}
