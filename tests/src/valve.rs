//! A TCP relay that can be shut: a network that is cut off, and mended.

use crate::Port;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{copy, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

/// Passes connections on to a server while it is open. Shut, nothing passes: connections stay up and are silent, and new
/// ones are accepted and silent, as behind a firewall that drops packets. Opened again, those that were silent break.
pub struct Valve {
    port: Port,
    open: watch::Sender<bool>,
    one_way: Arc<Notify>,
    accepting: JoinHandle<()>,
}

impl Valve {
    /// Listens on 127.0.0.1 before that server, open.
    pub async fn before(server: SocketAddr) -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.here()).await.unwrap();
        let (open, is_open) = watch::channel(true);
        let one_way = Arc::new(Notify::new());
        let towards_server = one_way.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(
                    client,
                    server,
                    is_open.clone(),
                    towards_server.clone(),
                ));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            open,
            one_way,
            accepting,
        }
    }

    /// `http://ADDRESS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.here())
    }

    /// Nothing passes any more.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// On the connections that there are, what the server says passes no more; new ones pass both ways.
    pub fn hold_answers(&self) {
        self.one_way.notify_waiters();
    }

    /// New connections pass again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    mut is_open: watch::Receiver<bool>,
    one_way: Arc<Notify>,
) {
    if *is_open.borrow_and_update() {
        let Ok(mut server) = TcpStream::connect(server).await else {
            return;
        };
        let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
        let is_one_way = tokio::select! {
            // A connection that breaks, breaks for both sides.
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = is_open.wait_for(|open| !open) => false,
            () = one_way.notified() => true,
        };
        if is_one_way {
            let (mut from_client, _to_client) = client.split();
            let (_from_server, mut to_server) = server.split();
            tokio::select! {
                _ = copy(&mut from_client, &mut to_server) => return,
                _ = is_open.wait_for(|open| !open) => {}
            }
        }
        // Both sockets are held, and nobody reads them.
        let _ = is_open.wait_for(|open| *open).await;
        drop(server);
    } else {
        let _ = is_open.wait_for(|open| *open).await;
    }
}
