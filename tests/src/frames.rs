//! A client of HTTP/2 that does what no library would: frames as octets.

use crate::Client;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// RFC 9113 §6.1.
pub const DATA: u8 = 0;
/// RFC 9113 §6.2.
pub const HEADERS: u8 = 1;
/// RFC 9113 §6.3.
pub const PRIORITY: u8 = 2;
/// RFC 9113 §6.4.
pub const RST_STREAM: u8 = 3;
/// RFC 9113 §6.5.
pub const SETTINGS: u8 = 4;
/// RFC 9113 §6.7.
pub const PING: u8 = 6;
/// RFC 9113 §6.8.
pub const GOAWAY: u8 = 7;
/// RFC 9113 §6.9.
pub const WINDOW_UPDATE: u8 = 8;
/// RFC 9113 §6.10.
pub const CONTINUATION: u8 = 9;

/// The flag of answers to SETTINGS and PING.
pub const ACK: u8 = 1;
/// The flag of the last frame of a side.
pub const END_STREAM: u8 = 1;
/// The flag of the last frame of a block.
pub const END_HEADERS: u8 = 4;
/// The code of whoever had enough (RFC 9113 §7).
pub const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Before something is asked for again that had nothing to send.
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(1);

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    /// One of the constants above.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// 0: the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// How a connection ended: the code of the last GOAWAY, if there was one.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// RFC 9113 §7.
    pub goaway: Option<u32>,
}

/// A connection.
pub struct Raw {
    /// What the server sends.
    pub reader: Reader,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

/// Its receiving side.
pub struct Reader(ReadHalf<TlsStream<TcpStream>>);

/// The octets of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut octets = length[1..].to_vec();
    octets.extend([kind, flags]);
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

/// A block of fields: one of the static table's methods (2: GET, 3: POST) for a path, without Huffman codes.
pub fn block(method: u8, host: &str, path: &str) -> Vec<u8> {
    let mut block = vec![0x80 | method, 0x87];
    for (index, value) in [(4_u8, path), (1, host)] {
        block.push(index);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    }
    block
}

/// A whole GET.
pub fn get(stream: u32, host: &str, path: &str) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &block(2, host, path),
    )
}

/// The head of a POST whose body follows.
pub fn post(stream: u32, host: &str, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(3, host, path))
}

/// A TLS connection from that address to the server of that name, by these settings.
pub async fn tls(
    server: SocketAddr,
    trust: Arc<ClientConfig>,
    name: &str,
    source: &str,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let tcp = Client::at(source).tcp(server).await?;
    let connector = TlsConnector::from(trust);
    Ok(connector
        .connect(ServerName::try_from(name.to_owned())?, tcp)
        .await?)
}

impl Raw {
    /// Connects from that address to the server of that name, and says the preface with these settings.
    pub async fn connect(
        server: SocketAddr,
        trust: Arc<ClientConfig>,
        name: &str,
        source: &str,
        settings: &[u8],
    ) -> anyhow::Result<Self> {
        let (reader, writer) = split(tls(server, trust, name, source).await?);
        let mut raw = Self {
            reader: Reader(reader),
            writer,
        };
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        raw.send(&hello).await?;
        Ok(raw)
    }

    /// The connection under it.
    pub fn into_inner(self) -> TlsStream<TcpStream> {
        self.reader.0.unsplit(self.writer)
    }

    /// Sends octets.
    pub async fn send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(octets).await?;
        self.writer.flush().await
    }

    /// Sends what `next` gives until the connection ends.
    pub async fn flood(self, mut next: impl FnMut(u32) -> Vec<u8>) -> End {
        let Self {
            mut reader,
            mut writer,
        } = self;
        let sending = async {
            for number in 0.. {
                let octets = next(number);
                if octets.is_empty() {
                    sleep(PAUSE).await;
                    continue;
                }
                if writer.write_all(&octets).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
            }
            // What came before the end is still to be read.
            std::future::pending::<()>().await;
        };
        let end = async {
            tokio::select! {
                end = reader.end() => end,
                () = sending => unreachable!(),
            }
        };
        timeout(PATIENCE, end).await.expect("the flood is ended")
    }
}

impl Reader {
    /// The next frame; none at the end of the connection, however it comes.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.0.read_exact(&mut header).await.ok()?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: header[3],
            flags: header[4],
            stream: u32::from_be_bytes(header[5..9].try_into().unwrap()),
            payload,
        })
    }

    /// Reads to the end of the connection.
    pub async fn end(&mut self) -> End {
        let mut goaway = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                goaway = Some(frame.number(4));
            }
        }
        End { goaway }
    }

    /// Waits for a frame of that kind on that stream.
    pub async fn wait_for(&mut self, kind: u8, stream: u32) -> Frame {
        let found = async {
            loop {
                let frame = self.next().await.expect("the connection goes on");
                if frame.kind == kind && frame.stream == stream {
                    return frame;
                }
            }
        };
        timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("no frame of kind {kind} on {stream}"))
    }
}

impl Frame {
    /// Four octets of the payload as a number.
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}
