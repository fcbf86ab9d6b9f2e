//! HTTP/2 frames written by hand, because polite clients refuse to send such things.

use crate::world::{HOST, Over, Peer, World};
use latencify_tests::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub type Field<'a> = (&'a str, &'a [u8]);

/// Literal fields without indexing and without Huffman coding (RFC 7541 §6.2.2).
pub fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name.as_bytes(), value] {
            assert!(text.len() < 127);
            out.push(u8::try_from(text.len()).unwrap());
            out.extend_from_slice(text);
        }
    }
    out
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, with that status (0: none that stands in HPACK's static table) and body.
    Answer(u16, String),
    /// Reset or the whole connection ended, with that code.
    Ended(u32),
}

/// Where on its connection a request comes.
#[derive(Debug, Clone, Copy)]
pub enum At {
    First,
    /// After one that was served.
    Second,
}

/// A connection, and the stream on which the next request comes.
pub async fn reach(world: &World, at: At) -> (Peer, u32) {
    let mut peer = world.connect_with(&[b"h2"]).await;
    peer.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .await;
    match at {
        At::First => (peer, 1),
        At::Second => {
            let good = block(&request(&[(":path", b"/good")], &[]));
            peer.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &good))
                .await;
            assert_eq!(outcome(&mut peer, 1).await, ok());
            (peer, 3)
        }
    }
}

fn ok() -> Outcome {
    Outcome::Answer(200, "ok".to_owned())
}

/// Sends one request and reads what becomes of it.
async fn ask(world: &World, at: At, fields: &[Field<'_>]) -> Outcome {
    let (mut peer, stream) = reach(world, at).await;
    let head = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields));
    peer.send(head).await;
    outcome(&mut peer, stream).await
}

/// Sends a request with a body and trailers, and reads what becomes of it.
async fn ask_with_trailers(world: &World, at: At, trailers: &[Field<'_>]) -> Outcome {
    let (mut peer, stream) = reach(world, at).await;
    let head = block(&request(&[(":method", b"POST"), (":path", b"/good")], &[]));
    let octets = [
        frame(HEADERS, END_HEADERS, stream, &head),
        frame(DATA, 0, stream, b"x"),
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(trailers)),
    ];
    peer.send(octets.concat()).await;
    outcome(&mut peer, stream).await
}

pub async fn outcome(peer: &mut Peer, asked: u32) -> Outcome {
    let mut status = 0;
    let mut body = Vec::new();
    loop {
        let head = peer.octets(9).await;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = peer.octets(length).await;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match head[3] {
            SETTINGS if head[4] & ACK == 0 => peer.send(frame(SETTINGS, ACK, 0, &[])).await,
            DATA | HEADERS if stream == asked => {
                if head[3] == DATA {
                    body.extend_from_slice(&payload);
                } else if status == 0 {
                    status = status_of(&payload);
                }
                if head[4] & END_STREAM != 0 {
                    return Outcome::Answer(status, String::from_utf8(body).unwrap());
                }
            }
            RST_STREAM if stream == asked => return Outcome::Ended(code(0)),
            GOAWAY => return Outcome::Ended(code(4)),
            _ => {}
        }
    }
}

/// The status that a block begins with, by its place in the static table (RFC 7541 appendix A).
fn status_of(block: &[u8]) -> u16 {
    // The size of the dynamic table may be told before.
    match block.iter().find(|octet| *octet & 0xe0 != 0x20) {
        Some(0x88) => 200,
        Some(0x8c) => 400,
        Some(0x8d) => 404,
        Some(0x8e) => 500,
        _ => 0,
    }
}

/// Reset, or answered by an empty 400.
fn is_refused(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ended(code) => *code != 0,
        Outcome::Answer(status, body) => *status == 400 && body.is_empty(),
    }
}

/// A request with its usual pseudo-fields, where some are others, and further fields.
pub fn request<'a>(other: &[Field<'a>], further: &[Field<'a>]) -> Vec<Field<'a>> {
    let usual: [Field<'a>; 4] = [
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", HOST.as_bytes()),
        (":path", b"/wrong"),
    ];
    let mut fields: Vec<Field<'a>> = usual
        .into_iter()
        .map(|(name, value)| {
            let replaced = other.iter().find(|(known, _)| *known == name);
            (name, replaced.map_or(value, |(_, value)| value))
        })
        .filter(|(_, value)| !value.is_empty())
        .collect();
    fields.extend_from_slice(further);
    fields
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_http_1_can_not_carry_goes_no_further() {
    let world = World::new("", "").await;
    let good = ask(
        &world,
        At::First,
        &request(
            &[(":path", b"/good")],
            &[("x", b"a"), ("host", HOST.as_bytes()), ("te", b"trailers")],
        ),
    )
    .await;
    assert_eq!(good, ok());

    // Told by name: these reach our own checks.
    for (fields, name) in [
        (request(&[], &[("x", b" a")]), "blank_around_value"),
        (request(&[], &[("x", b"a\t")]), "blank_around_value"),
        (
            request(&[(":path", "/wrong-\u{e9}".as_bytes())], &[]),
            "non_ascii_target",
        ),
        (request(&[(":path", b"?wrong")], &[]), "bad_target"),
        (request(&[(":path", b"*")], &[]), "bad_target"),
        (request(&[(":scheme", b"http")], &[]), "scheme_mismatch"),
        (request(&[(":authority", b"a,b.example")], &[]), "bad_host"),
        (request(&[], &[("expect", b"magic")]), "unknown_expectation"),
    ] {
        for at in [At::First, At::Second] {
            let outcome = ask(&world, at, &fields).await;
            let Outcome::Answer(_, body) = &outcome else {
                panic!("{fields:?}, {at:?}: {outcome:?}")
            };
            assert!(
                body.contains(&format!("/problems/{name}")),
                "{fields:?}, {at:?}: {body}"
            );
        }
    }

    // Refused below us, by a reset or an empty 400: none of them is passed on.
    for fields in [
        request(&[], &[("X", b"a")]),
        request(&[], &[("x y", b"a")]),
        request(&[], &[("", b"a")]),
        request(&[], &[("x:", b"a")]),
        request(&[], &[("x", b"a\r\nGET /smuggled HTTP/1.1")]),
        request(&[], &[("x", b"a\0")]),
        request(&[], &[("x\r\ny", b"a")]),
        request(&[], &[("connection", b"close")]),
        request(&[], &[("transfer-encoding", b"chunked")]),
        request(&[], &[("keep-alive", b"5")]),
        request(&[], &[("proxy-connection", b"close")]),
        request(&[], &[("upgrade", b"websocket")]),
        request(&[], &[("te", b"gzip")]),
        request(&[], &[("host", b"other.example")]),
        request(&[], &[("host", HOST.as_bytes()), ("host", HOST.as_bytes())]),
        request(&[(":authority", b"")], &[]),
        request(&[(":authority", b"user@shop.example")], &[]),
        request(&[(":path", b"")], &[]),
        request(&[(":path", b"wrong")], &[]),
        request(&[(":path", b"/wrong HTTP/1.1\r\nX: y")], &[]),
        request(&[(":path", b"/wrong\0")], &[]),
        request(&[(":method", b"")], &[]),
        request(&[(":method", b"GET / HTTP/1.1\r\n")], &[]),
        request(&[(":method", b"CONNECT")], &[]),
        request(&[(":scheme", b"")], &[]),
        request(&[(":scheme", b"https\r\n")], &[]),
        request(&[], &[("content-length", b"5")]),
        request(&[], &[("content-length", b"0"), ("content-length", b"1")]),
        request(&[], &[(":path", b"/twice")]),
        request(&[], &[(":odd", b"a")]),
    ] {
        for at in [At::First, At::Second] {
            let outcome = ask(&world, at, &fields).await;
            assert!(is_refused(&outcome), "{fields:?}, {at:?}: {outcome:?}");
        }
    }
    let seen = world.seen.text();
    assert!(
        !seen.contains("wrong") && !seen.contains("smuggled") && !seen.contains("twice"),
        "{seen}"
    );
}

/// Whether the request is refused or served without them: nothing of them goes further. The word to look for has letters
/// that no request id has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_over_http2_carry_nothing_on() {
    let world = World::new("", "").await;
    let cases: [&[Field<'_>]; 10] = [
        &[("x-fine", b"wrong")],
        &[(":path", b"/wrong")],
        &[(":status", b"200"), ("x", b"wrong")],
        &[("X-Upper", b"wrong")],
        &[("connection", b"wrong")],
        &[("transfer-encoding", b"chunked"), ("x", b"wrong")],
        &[("content-length", b"7"), ("x", b"wrong")],
        &[("host", b"wrong.example")],
        &[("x", b"a\r\nGET /smuggled HTTP/1.1")],
        &[("x\r\nwrong", b"a")],
    ];
    for trailers in cases {
        for at in [At::First, At::Second] {
            let outcome = ask_with_trailers(&world, at, trailers).await;
            assert!(
                outcome == ok() || is_refused(&outcome),
                "{trailers:?}, {at:?}: {outcome:?}"
            );
        }
    }
    let seen = world.seen.text();
    assert!(
        !seen.contains("wrong") && !seen.contains("smuggled"),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_without_tls_is_refused_at_once() {
    let world = World::new("", "").await;
    let mut peer = world.connect(Over::Tcp).await;
    peer.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .await;
    peer.answer("PRI").await.refuses(505, "prior_knowledge");
    assert!(peer.rest().await.is_empty());
}
