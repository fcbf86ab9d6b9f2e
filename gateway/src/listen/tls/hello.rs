//! The client's first message (RFC 8446 §4.1.2), as far as the name in it. Everything else is the library's business: what
//! can't be read here has no name, and the library says what is wrong with it.

use pingora::protocols::l4::stream::Stream as Socket;
use std::io;
use tokio::io::AsyncReadExt as _;

/// A message that is longer has no name. Those of today, with post-quantum keys, have less than 2 KiB.
const HELLO_BYTES_MAX: usize = 16 * 1024;
/// A record's type, version and length (RFC 8446 §5.1).
const RECORD_HEAD_BYTES: usize = 5;
const RECORD_HANDSHAKE: u8 = 22;
const MESSAGE_CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
const NAME_TYPE_HOST: u8 = 0;
const RANDOM_BYTES: usize = 32;

/// What is known of the message so far.
#[derive(Debug, PartialEq, Eq)]
enum Hello {
    /// So many octets are needed at least.
    Partial(usize),
    /// It is whole, or none: the name in it, if any.
    Whole(Option<String>),
}

/// The name that the client asks for. What was read stays to be read.
pub(super) async fn read(socket: &mut Socket) -> io::Result<Option<String>> {
    let mut octets = Vec::with_capacity(1024);
    let mut needed = 0;
    let name = loop {
        // A message that comes octet by octet is looked at once a record.
        if octets.len() >= needed {
            match parse(&octets) {
                Hello::Whole(name) => break name,
                Hello::Partial(more) => needed = more,
            }
        }
        if octets.len() >= HELLO_BYTES_MAX {
            break None;
        }
        if socket.read_buf(&mut octets).await? == 0 {
            break None;
        }
    };
    socket.rewind(&octets);
    Ok(name)
}

fn parse(octets: &[u8]) -> Hello {
    let mut message = Vec::with_capacity(octets.len());
    let mut rest = octets;
    // A message may be spread over records.
    loop {
        match whole(&message) {
            Some(length) => return Hello::Whole(message.get(4..length).and_then(name)),
            None if !could_be_hello(&message) => return Hello::Whole(None),
            None => {}
        }
        match rest {
            [] => return Hello::Partial(octets.len() + RECORD_HEAD_BYTES),
            [RECORD_HANDSHAKE, ..] => {}
            _ => return Hello::Whole(None),
        }
        let before = octets.len() - rest.len();
        let Some([_, _, _, high, low]) = rest.first_chunk::<RECORD_HEAD_BYTES>() else {
            return Hello::Partial(before + RECORD_HEAD_BYTES);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let whole_record = Hello::Partial(before + RECORD_HEAD_BYTES + length);
        let Some((_, after)) = rest.split_at_checked(RECORD_HEAD_BYTES) else {
            return whole_record;
        };
        if length == 0 {
            return Hello::Whole(None);
        }
        let Some((fragment, after)) = after.split_at_checked(length) else {
            return whole_record;
        };
        message.extend_from_slice(fragment);
        rest = after;
    }
}

fn could_be_hello(message: &[u8]) -> bool {
    message
        .first()
        .is_none_or(|kind| *kind == MESSAGE_CLIENT_HELLO)
}

/// The message's length with its head, once it is there.
fn whole(message: &[u8]) -> Option<usize> {
    let [_, high, middle, low] = *message.first_chunk::<4>()?;
    let length = 4 + u32::from_be_bytes([0, high, middle, low]) as usize;
    (message.len() >= length && could_be_hello(message)).then_some(length)
}

/// The host in a message without its head.
fn name(body: &[u8]) -> Option<String> {
    let mut body = Octets(body);
    body.take(2 + RANDOM_BYTES)?;
    body.vector8()?;
    body.vector16()?;
    body.vector8()?;
    let mut extensions = Octets(body.vector16()?);
    loop {
        let kind = extensions.number16()?;
        let content = extensions.vector16()?;
        if kind != EXTENSION_SERVER_NAME {
            continue;
        }
        let mut names = Octets(Octets(content).vector16()?);
        let kind = names.take(1)?;
        let host = names.vector16()?;
        let text = String::from_utf8(host.to_vec()).ok()?;
        return (kind == [NAME_TYPE_HOST] && !text.is_empty()).then_some(text);
    }
}

/// What is not read yet.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number16(&mut self) -> Option<u16> {
        self.take(2)?
            .first_chunk()
            .map(|pair| u16::from_be_bytes(*pair))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = *self.take(1)?.first()?;
        self.take(length.into())
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.number16()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs};
    use std::sync::Arc;

    /// What rustls says first.
    fn hello(name: &'static str) -> Vec<u8> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut octets = Vec::new();
        client.write_tls(&mut octets).unwrap();
        octets
    }

    /// The same message in records of so many octets.
    fn spread(hello: &[u8], size: usize) -> Vec<u8> {
        let fragments = hello[RECORD_HEAD_BYTES..].chunks(size);
        let record = |fragment: &[u8]| {
            let length = (fragment.len() as u16).to_be_bytes();
            [&[RECORD_HANDSHAKE, 3, 1], &length[..], fragment].concat()
        };
        fragments.flat_map(record).collect()
    }

    #[test]
    fn the_name_is_found_however_the_message_is_cut() {
        let named = Hello::Whole(Some("shop.example".to_owned()));
        let whole = hello("shop.example");
        for octets in [whole.clone(), spread(&whole, 1), spread(&whole, 100)] {
            assert_eq!(parse(&octets), named);
            for cut in 0..octets.len() {
                let Hello::Partial(needed) = parse(&octets[..cut]) else {
                    panic!("cut at {cut}");
                };
                assert!((cut + 1..=octets.len() + RECORD_HEAD_BYTES).contains(&needed));
            }
        }
        // Literal addresses are not asked for by name (RFC 6066 §3).
        assert_eq!(parse(&hello("127.0.0.1")), Hello::Whole(None));
    }

    #[test]
    fn what_is_no_hello_has_no_name() {
        for octets in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            &[RECORD_HANDSHAKE, 3, 1, 0, 0],
            &[RECORD_HANDSHAKE, 3, 1, 0, 4, 2, 0, 0, 0],
            &[RECORD_HANDSHAKE, 3, 1, 0, 4, 1, 0, 0, 0],
            &[21, 3, 1, 0, 2, 1, 0],
        ] {
            assert_eq!(parse(octets), Hello::Whole(None), "{octets:?}");
        }
    }

    #[test]
    fn altered_octets_end_in_an_answer() {
        let whole = hello("shop.example");
        for at in 0..whole.len() {
            for octet in [0, 1, 0x7f, 0xff] {
                let mut altered = whole.clone();
                altered[at] = octet;
                let _ = parse(&altered);
            }
        }
    }
}
