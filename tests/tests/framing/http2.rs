//! HTTP/2 frames written by hand, because polite clients refuse to send such things.

use crate::world::{HOST, Over, Peer, World};
use latencify_tests::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
type Field<'a> = (&'a str, &'a [u8]);

/// Literal fields without indexing and without Huffman coding (RFC 7541 §6.2.2).
fn block(fields: &[Field<'_>]) -> Vec<u8> {
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
enum Outcome {
    /// Answered, with that body.
    Body(String),
    /// Reset or the whole connection ended, with that code.
    Ended(u32),
}

/// Sends one request on a connection of its own and reads what becomes of it.
async fn ask(world: &World, fields: &[Field<'_>]) -> Outcome {
    let mut peer = world.connect_with(&[b"h2"]).await;
    peer.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
        .await;
    peer.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields)))
        .await;
    outcome(&mut peer).await
}

async fn outcome(peer: &mut Peer) -> Outcome {
    let mut body = Vec::new();
    loop {
        let head = peer.octets(9).await;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = peer.octets(length).await;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match (head[3], stream) {
            (SETTINGS, _) if head[4] & ACK == 0 => peer.send(frame(SETTINGS, ACK, 0, &[])).await,
            (DATA | HEADERS, 1) => {
                if head[3] == DATA {
                    body.extend_from_slice(&payload);
                }
                if head[4] & END_STREAM != 0 {
                    return Outcome::Body(String::from_utf8(body).unwrap());
                }
            }
            (RST_STREAM, 1) => return Outcome::Ended(code(0)),
            (GOAWAY, _) => return Outcome::Ended(code(4)),
            _ => {}
        }
    }
}

/// A request with its usual pseudo-fields, where some are others, and further fields.
fn request<'a>(other: &[Field<'a>], further: &[Field<'a>]) -> Vec<Field<'a>> {
    let usual: [Field<'a>; 4] = [
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", HOST.as_bytes()),
        (":path", b"/bad"),
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
        &request(
            &[(":path", b"/good")],
            &[("x", b"a"), ("host", HOST.as_bytes()), ("te", b"trailers")],
        ),
    )
    .await;
    assert_eq!(good, Outcome::Body("ok".to_owned()));

    // Told by name: these reach our own checks.
    for (fields, name) in [
        (request(&[], &[("x", b" a")]), "blank_around_value"),
        (request(&[], &[("x", b"a\t")]), "blank_around_value"),
        (
            request(&[(":path", "/bad-\u{e9}".as_bytes())], &[]),
            "non_ascii_target",
        ),
        (request(&[(":path", b"?bad")], &[]), "bad_target"),
        (request(&[(":path", b"*")], &[]), "bad_target"),
        (request(&[(":scheme", b"http")], &[]), "scheme_mismatch"),
        (request(&[(":authority", b"a,b.example")], &[]), "bad_host"),
        (request(&[], &[("expect", b"magic")]), "unknown_expectation"),
    ] {
        let outcome = ask(&world, &fields).await;
        let Outcome::Body(body) = &outcome else {
            panic!("{fields:?}: {outcome:?}")
        };
        assert!(
            body.contains(&format!("/problems/{name}")),
            "{fields:?}: {body}"
        );
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
        request(&[(":path", b"bad")], &[]),
        request(&[(":path", b"/bad HTTP/1.1\r\nX: y")], &[]),
        request(&[(":path", b"/bad\0")], &[]),
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
        let outcome = ask(&world, &fields).await;
        let refused = match &outcome {
            Outcome::Ended(code) => *code != 0,
            Outcome::Body(body) => body != "ok",
        };
        assert!(refused, "{fields:?}: {outcome:?}");
    }
    let seen = world.seen.text();
    assert!(
        !seen.contains("bad") && !seen.contains("smuggled") && !seen.contains("twice"),
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
