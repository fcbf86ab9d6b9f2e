//! A DNS server over UDP whose answers a test changes.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// Answers queries for A records; every other query gets an empty answer, an unknown name NXDOMAIN.
pub struct Dns {
    address: SocketAddr,
    records: Arc<Mutex<Records>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Records {
    /// Name (lower case, no trailing dot) → addresses and TTL in seconds.
    names: HashMap<String, (Vec<Ipv4Addr>, u32)>,
    queries: usize,
    silent: bool,
}

impl Dns {
    /// Listens on 127.0.0.1.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let records = Arc::<Mutex<Records>>::default();
        let answering = Arc::clone(&records);
        let serving = tokio::spawn(async move {
            let mut packet = [0; 512];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut packet).await else {
                    return;
                };
                if let Some(reply) = answering.lock().answer(&packet[..length]) {
                    let _ = socket.try_send_to(&reply, from);
                }
            }
        });
        Self {
            address,
            records,
            serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the name has these addresses.
    pub fn set(&self, name: &str, addresses: &[&str], ttl_s: u32) {
        let addresses = addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        self.records
            .lock()
            .names
            .insert(name.to_owned(), (addresses, ttl_s));
    }

    /// From now on it answers nobody, as if it were gone; or again.
    pub fn silence(&self, silent: bool) {
        self.records.lock().silent = silent;
    }

    /// How many queries have come.
    pub fn queries(&self) -> usize {
        self.records.lock().queries
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Records {
    /// RFC 1035 §4.1: header, the question again, one answer an address.
    fn answer(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        const HEADER: usize = 12;
        const TYPE_A: [u8; 2] = [0, 1];
        self.queries += 1;
        if self.silent {
            return None;
        }
        let (mut labels, mut at) = (Vec::new(), HEADER);
        loop {
            let length = usize::from(*query.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
            at += length;
        }
        let question = query.get(HEADER..at + 4)?;
        let known = self.names.get(&labels.join("."));
        let (addresses, ttl_s) = match known {
            Some((addresses, ttl_s)) if query.get(at..at + 2)? == TYPE_A => {
                (&addresses[..], *ttl_s)
            }
            _ => (&[][..], 0),
        };
        let mut reply = query.get(..2)?.to_vec();
        let code = if known.is_some() { 0 } else { 3 };
        reply.extend([0x85, 0x80 | code]); // answer, authoritative, recursion desired and available
        reply.extend([0, 1, 0, u8::try_from(addresses.len()).ok()?, 0, 0, 0, 0]);
        reply.extend(question);
        for address in addresses {
            reply.extend([0xc0, 12]); // the name of the question
            reply.extend([0, 1, 0, 1]); // A, IN
            reply.extend(ttl_s.to_be_bytes());
            reply.extend([0, 4]);
            reply.extend(address.octets());
        }
        Some(reply)
    }
}
