//! The header of one connection.

use super::{HEADER_BYTES_MAX, Malformed, parse};
use pingora::protocols::{GetSocketDigest as _, SocketDigest, l4::stream::Stream};
use std::{io, net::SocketAddr, os::fd::AsRawFd as _, time::Duration};
use tokio::{io::AsyncReadExt as _, time::timeout};

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The client that it names, which is the connection's peer now; none: the peer is the client.
    pub client: Option<SocketAddr>,
}

/// Why a connection is closed without a word.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What came is no header.
    #[error("malformed ({})", .0.name())]
    Malformed(Malformed),
    /// The header was not there in time.
    #[error("late: no whole header within {0:?}")]
    Late(Duration),
    /// The connection ended in the header.
    #[error("the connection ended before its end")]
    Ended,
    /// The connection failed.
    #[error("{0}")]
    Failed(io::Error),
}

/// What became of a connection that must begin with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Received,
    /// [`Refused::Malformed`].
    Malformed(Malformed),
    /// [`Refused::Late`].
    Late,
    /// [`Refused::Ended`].
    Ended,
    /// [`Refused::Failed`].
    Failed,
}

impl Outcome {
    /// All names.
    pub const NAMES: [&str; 13] = [
        "received",
        "signature",
        "line",
        "fields",
        "version",
        "command",
        "family",
        "length",
        "tlv",
        "checksum",
        "late",
        "ended",
        "failed",
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Malformed(why) => why.name(),
            Self::Late => "late",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

impl Refused {
    /// Its outcome.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Malformed(why) => Outcome::Malformed(*why),
            Self::Late(_) => Outcome::Late,
            Self::Ended => Outcome::Ended,
            Self::Failed(_) => Outcome::Failed,
        }
    }
}

/// Reads the header that the connection must begin with, all of it within that time. What follows it is left to be
/// read; the client that it names is the connection's peer from now on.
pub async fn receive(stream: &mut Stream, time_max: Duration) -> Result<Received, Refused> {
    let header = timeout(time_max, read(stream))
        .await
        .map_err(|_| Refused::Late(time_max))??;
    if let Some(client) = header.client {
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        // A new cell is empty.
        let _ = digest.peer_addr.set(Some(client.into()));
        stream.set_socket_digest(digest);
    }
    Ok(Received {
        client: header.client,
    })
}

async fn read(stream: &mut Stream) -> Result<super::Header, Refused> {
    let mut octets = Vec::new();
    let mut piece = [0; 512];
    loop {
        let room = (HEADER_BYTES_MAX - octets.len()).min(piece.len());
        let into = piece.get_mut(..room).unwrap_or_default();
        let read = stream.read(into).await.map_err(Refused::Failed)?;
        if read == 0 {
            return Err(Refused::Ended);
        }
        octets.extend_from_slice(piece.get(..read).unwrap_or_default());
        if let Some(header) = parse(&octets).map_err(Refused::Malformed)? {
            stream.rewind(octets.get(header.length..).unwrap_or_default());
            return Ok(header);
        }
    }
}
