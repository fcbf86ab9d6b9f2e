//! Why a request had no answer, or not a whole one, though nothing was wrong that could be answered.

use super::Ended;

/// Why a request over HTTP/2 was refused by the layers below, before anybody here saw what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// Reset: pseudo-fields, fields of connections, lengths or the target are not those of a request (RFC 9113 §8.1.1).
    /// Which of them, the library does not say.
    Malformed,
    /// Answered with an empty 400: no authority, two, or one that differs from `Host` (RFC 9113 §8.3.1).
    Authority,
    /// Answered with an empty 431, or the connection ended: the fields are larger than `header_bytes`.
    HeaderBytes,
    /// Reset: more at once than `streams` (RFC 9113 §5.1.2).
    Streams,
    /// It came after the last that the connection would serve (RFC 9113 §6.8): clients ask elsewhere.
    AfterGoaway,
    /// The connection ended by an error of its own (RFC 9113 §5.4.1): frames, or a head that can't be decoded. Names in upper
    /// case, unknown pseudo-fields and control octets are such to the library.
    ConnectionError,
    /// A limit ended the connection.
    Connection(Ended),
    /// The client was gone before anybody could take it.
    ClientGone,
    /// Refused in a way that does not say why.
    Refused,
}

/// Why a request that was taken up did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A limit was met, by the request or by its connection.
    Limit(Ended),
    /// The client closed the connection, or it broke.
    ClientGone,
    /// HTTP/2: the client reset the stream.
    ClientReset,
    /// HTTP/2: the body was not what the head announced, so that the stream was reset.
    MalformedBody,
    /// What it was answered with has left the cache, and the client took it too slowly.
    Withdrawn,
    /// A defect of this program.
    Panic,
    /// It was given up for another reason, with its connection.
    Dropped,
}

impl Unserved {
    /// Those that stand for themselves; each [`Ended`] is one more.
    pub const OWN: [Self; 8] = [
        Self::Malformed,
        Self::Authority,
        Self::HeaderBytes,
        Self::Streams,
        Self::AfterGoaway,
        Self::ConnectionError,
        Self::ClientGone,
        Self::Refused,
    ];

    /// The stable name: in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Authority => "authority",
            Self::HeaderBytes => "header_bytes",
            Self::Streams => "streams",
            Self::AfterGoaway => "after_goaway",
            Self::ConnectionError => "connection_error",
            Self::Connection(ended) => ended.name(),
            Self::ClientGone => "client_gone",
            Self::Refused => "refused",
        }
    }

    /// The status that the client got; 0: none.
    pub fn status(self) -> u16 {
        match self {
            Self::Authority => 400,
            Self::HeaderBytes => 431,
            _ => 0,
        }
    }

    /// In words, with a remedy, for the record.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Malformed => {
                "The head is not one of HTTP/2, and the stream was reset. Look at pseudo-fields, Connection and \
                 its like, and lengths."
            }
            Self::Authority => {
                "The request names no authority, two, or one with user information. Send one :authority, and no other Host."
            }
            Self::HeaderBytes => {
                "The header fields are larger than edge.limits.header_bytes. Send less, or allow more."
            }
            Self::Streams => {
                "More requests were open at once than edge.limits.streams allows. Keep to SETTINGS_MAX_CONCURRENT_STREAMS."
            }
            Self::AfterGoaway => {
                "The request came after the connection's last. Clients ask again on another connection."
            }
            Self::ConnectionError => {
                "The client broke the rules of the connection, which ended with all that was open on it. Look at frames, names \
                 in upper case, unknown pseudo-fields and control octets."
            }
            Self::Connection(_) => {
                "A limit of the edge ended the connection before the request was looked at."
            }
            Self::ClientGone => "The client was gone before the request was looked at.",
            Self::Refused => "The request was refused below HTTP; what was sent does not say why.",
        }
    }
}

impl Cut {
    /// Those that stand for themselves; each [`Ended`] is one more.
    pub const OWN: [Self; 6] = [
        Self::ClientGone,
        Self::ClientReset,
        Self::MalformedBody,
        Self::Withdrawn,
        Self::Panic,
        Self::Dropped,
    ];

    /// The stable name: in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit(ended) => ended.name(),
            Self::ClientGone => "client_gone",
            Self::ClientReset => "client_reset",
            Self::MalformedBody => "malformed_body",
            Self::Withdrawn => "withdrawn",
            Self::Panic => "panic",
            Self::Dropped => "dropped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_reasons_share_a_name() {
        let limits: Vec<_> = Ended::ALL.map(Ended::name).to_vec();
        let cuts = Cut::OWN.map(Cut::name);
        let all: HashSet<_> = limits.iter().chain(&cuts).collect();
        assert_eq!(all.len(), limits.len() + cuts.len());
        // The same limit has the same name, whether the library or the watch met it.
        let shared = Unserved::OWN
            .map(Unserved::name)
            .into_iter()
            .filter(|name| limits.contains(name));
        assert_eq!(shared.collect::<Vec<_>>(), ["header_bytes", "streams"]);
    }
}
