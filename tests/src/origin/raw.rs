//! An origin octet by octet, for what an HTTP library will not say.

use crate::Port;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// An origin that hands each connection to a closure.
pub struct RawOrigin {
    port: Port,
    accepting: JoinHandle<()>,
}

impl RawOrigin {
    /// Listens on 127.0.0.1.
    pub async fn serve<F, R>(handler: F) -> Self
    where
        F: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.here()).await.unwrap();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(handler(stream));
            }
        });
        Self { port, accepting }
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.here())
    }

    /// Reads a request's head, up to and with the empty line.
    pub async fn head(stream: &mut TcpStream) -> std::io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }
}

impl Drop for RawOrigin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
