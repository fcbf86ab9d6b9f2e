//! HTTP/2 requests that are answered ahead of the library below, among others on the same connection that are not: frames as
//! no library would send them.

use crate::hot::{HOT_ANSWERS, kinds, nothing_is_under_way, records};
use latencify_tests::{
    Authority, Edge, Origin,
    frames::{
        self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PRIORITY,
        RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame,
    },
    policy::one_route,
};
use std::collections::BTreeMap;

const HOST: &str = "shop.example";
const INITIAL_WINDOW_SIZE: u8 = 4;
const HEADER_TABLE_SIZE: u8 = 1;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;
/// What the connection lets be sent when nobody has said anything (RFC 9113 §6.9.2).
const WINDOW: usize = 65_535;
const PLENTY: u32 = 1 << 20;
/// Whatever is asked for so often is stored.
const STREAMS_MAX: u32 = 2_000;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

struct Ground {
    _origin: Origin,
    edge: Edge,
    authority: Authority,
}

/// An answer as its frames have it.
#[derive(Debug, Default)]
struct Answer {
    block: Vec<u8>,
    body: Vec<u8>,
    /// The lengths of DATA.
    pieces: Vec<usize>,
    has_ended: bool,
}

impl Answer {
    /// Whether it was written without the library, which codes and indexes its fields.
    fn is_ahead(&self) -> bool {
        let name = b"x-request-id";
        self.block.windows(name.len()).any(|octets| octets == name)
    }
}

impl Ground {
    async fn with(route: &str, limits: &str) -> Self {
        let origin = kinds().await;
        let authority = Authority::new();
        let policy = one_route(&origin.url(), route)
            .replace(
                "origins:\n",
                "certificates: {main: {chain: main.pem, key: main.key}}\norigins:\n",
            )
            .replace("hosts: [\"*\"]", "hosts: [\"*\"]\n    certificate: main")
            .replace("edge: {", &format!("edge: {{limits: {{{limits}}}, "));
        let edge = Edge::alone(&policy)
            .certificate(&authority, "main", &[HOST])
            .start()
            .await;
        Self {
            _origin: origin,
            edge,
            authority,
        }
    }

    /// With these paths stored, and their heads kept.
    async fn storing(paths: &[&str], limits: &str) -> Self {
        let ground = Self::with("cache: true", limits).await;
        let mut raw = ground.connect_wide(&[]).await;
        let mut streams = (1..).step_by(2);
        for path in paths {
            loop {
                let stream = streams.next().unwrap();
                assert!(stream < STREAMS_MAX, "{path} does not become hot");
                raw.send(&frames::get(stream, HOST, path)).await.unwrap();
                if Heard::of(&mut raw, &[stream]).await[&stream].is_ahead() {
                    break;
                }
            }
        }
        ground
    }

    async fn connect(&self, settings: &[u8]) -> Raw {
        let trust = self.authority.client(&[b"h2"]);
        Raw::connect(self.edge.https(), trust, HOST, "127.0.0.1", settings)
            .await
            .unwrap()
    }

    /// The same with a window for the connection of which half is for answers ahead of the library.
    async fn connect_wide(&self, settings: &[u8]) -> Raw {
        let mut raw = self.connect(settings).await;
        raw.send(&window(0, PLENTY)).await.unwrap();
        raw
    }

    /// Sends octets behind a hot answer to stream 1; how the connection ends.
    async fn ends(&self, octets: &[u8]) -> (u32, u32) {
        let mut raw = self.connect_wide(&[]).await;
        raw.send(&frames::get(1, HOST, "/hello")).await.unwrap();
        let answers = Heard::of(&mut raw, &[1]).await;
        assert!(answers[&1].is_ahead(), "{answers:?}");
        raw.send(octets).await.unwrap();
        loop {
            let frame = raw.reader.next().await.expect("a GOAWAY");
            if frame.kind == GOAWAY {
                return (frame.number(0), frame.number(4));
            }
        }
    }
}

struct Heard;

impl Heard {
    /// The answers to these streams, when all have come to their ends.
    async fn of(raw: &mut Raw, streams: &[u32]) -> BTreeMap<u32, Answer> {
        let mut answers = BTreeMap::<u32, Answer>::new();
        while !streams
            .iter()
            .all(|stream| answers.get(stream).is_some_and(|answer| answer.has_ended))
        {
            Self::one(raw, &mut answers).await;
        }
        answers
    }

    /// Takes a frame; how much of a body it brought.
    async fn one(raw: &mut Raw, answers: &mut BTreeMap<u32, Answer>) -> usize {
        let frame = raw.reader.next().await.expect("the connection goes on");
        let Frame { kind, flags, .. } = frame;
        assert!(
            !matches!(kind, GOAWAY | RST_STREAM),
            "{frame:?} after {answers:?}"
        );
        if !matches!(kind, HEADERS | DATA | CONTINUATION) {
            return 0;
        }
        let answer = answers.entry(frame.stream).or_default();
        assert!(!answer.has_ended, "{frame:?}");
        answer.has_ended = kind != CONTINUATION && flags & END_STREAM != 0;
        if kind != DATA {
            answer.block.extend(frame.payload);
            return 0;
        }
        answer.pieces.push(frame.payload.len());
        answer.body.extend(&frame.payload);
        frame.payload.len()
    }
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn setting(id: u8, value: u32) -> Vec<u8> {
    [&[0, id], &value.to_be_bytes()[..]].concat()
}

/// A literal that is put into the table, of a name there is or a new one.
fn indexed(name: u8, text: &[&str]) -> Vec<u8> {
    let mut octets = vec![0x40 | name];
    for text in text {
        octets.push(u8::try_from(text.len()).unwrap());
        octets.extend(text.as_bytes());
    }
    octets
}

fn ask(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_and_other_requests_share_a_connection_and_a_table() {
    let ground = Ground::with("cache: true", "streams: 100").await;
    let mut raw = ground.connect_wide(&[]).await;
    // The table: path, host, a field; from the newest: 62, 63, 64.
    let first = [
        vec![0x82, 0x87],
        indexed(4, &["/vary"]),
        indexed(1, &[HOST]),
        indexed(0, &["accept-language", "de"]),
    ]
    .concat();
    let again = [0x82, 0x87, 0xc0, 0xbf, 0xbe];
    let french = [&[0x82, 0x87, 0xc0, 0xbf][..], &indexed(17, &["fr"])].concat();
    // Now the French field is the newest: 62, and the others moved.
    let again_french = [0x82, 0x87, 0xc1, 0xc0, 0xbe];
    let again_german = [0x82, 0x87, 0xc1, 0xc0, 0xbf];
    let post = [&[0x83, 0x87, 0xc0][..], &[4, 6], b"/other"].concat();
    let mut stream = 1;
    let mut next = async |block: &[u8], body: Option<&[u8]>| {
        assert!(stream < STREAMS_MAX, "what is stored does not become hot");
        let flags = if body.is_some() { 0 } else { END_STREAM };
        let mut octets = frame(HEADERS, END_HEADERS | flags, stream, block);
        if let Some(body) = body {
            octets.extend(frame(DATA, END_STREAM, stream, body));
        }
        raw.send(&octets).await.unwrap();
        let mut answers = Heard::of(&mut raw, &[stream]).await;
        let answer = answers.remove(&stream).unwrap();
        stream += 2;
        (String::from_utf8(answer.body.clone()).unwrap(), answer)
    };
    // (The request, what comes, whether it comes ahead.)
    assert_eq!(next(&first, None).await.0, "de");
    while !next(&again, None).await.1.is_ahead() {}
    let (body, answer) = next(&french, None).await;
    assert!(body == "fr" && !answer.is_ahead(), "{answer:?}");
    while !next(&again_french, None).await.1.is_ahead() {}
    for _ in 0..3 {
        for (block, expected) in [(again_french, "fr"), (again_german, "de")] {
            let (body, answer) = next(&block, None).await;
            assert!(body == expected && answer.is_ahead(), "{answer:?}");
        }
        let (body, answer) = next(&post, Some(b"body")).await;
        assert!(body == "hello" && !answer.is_ahead(), "{answer:?}");
    }
    // A head in pieces, padded and with a priority.
    let padded = [&[3][..], &[0, 0, 0, 0, 9], &again_french[..2], &[0; 3]].concat();
    let octets = [
        frame(
            HEADERS,
            END_STREAM | PADDED | WITH_PRIORITY,
            stream,
            &padded,
        ),
        frame(CONTINUATION, 0, stream, &again_french[2..4]),
        frame(CONTINUATION, 0, stream, &[]),
        frame(CONTINUATION, END_HEADERS, stream, &again_french[4..]),
        // All at once with others.
        ask(stream + 2, &again_german),
        ask(
            stream + 4,
            &[0x82, 0x87, 4, 5, b'/', b'm', b'i', b's', b's', 0xc0],
        ),
        ask(stream + 6, &again_french),
    ]
    .concat();
    raw.send(&octets).await.unwrap();
    let streams = [stream, stream + 2, stream + 4, stream + 6];
    let answers = Heard::of(&mut raw, &streams).await;
    let bodies: Vec<_> = answers.values().map(|answer| &*answer.body).collect();
    assert_eq!(bodies, [&b"fr"[..], b"de", b"hello", b"fr"]);
    let ahead: Vec<_> = answers.values().map(Answer::is_ahead).collect();
    assert_eq!(ahead, [true, true, false, true]);
    let all = (stream + 6).div_ceil(2);
    let records = records(&ground.edge, all as usize).await;
    assert!(
        records.iter().all(|record| record["status"] == 200),
        "{records:?}"
    );
    nothing_is_under_way(&ground.edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_gets_what_its_window_takes() {
    let ground = Ground::storing(&["/hello"], "streams: 100").await;
    let mut raw = ground.connect_wide(&setting(INITIAL_WINDOW_SIZE, 3)).await;
    // The SETTINGS are confirmed before anything comes.
    raw.reader.wait_for(SETTINGS, 0).await;
    raw.send(&frames::get(1, HOST, "/hello")).await.unwrap();
    let mut answers = BTreeMap::new();
    let mut brought = 0;
    while brought < 3 {
        brought += Heard::one(&mut raw, &mut answers).await;
    }
    assert_eq!(answers[&1].body, b"hel");
    raw.send(&window(1, 10)).await.unwrap();
    while !answers[&1].has_ended {
        Heard::one(&mut raw, &mut answers).await;
    }
    assert_eq!(answers[&1].body, b"hello");
    // A window of nothing lets only a head through.
    let none = frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, 0));
    let head = [
        &[2, 4],
        &b"HEAD"[..],
        &frames::block(2, HOST, "/hello")[1..],
    ]
    .concat();
    raw.send(&[none, ask(3, &head)].concat()).await.unwrap();
    let answers = Heard::of(&mut raw, &[3]).await;
    assert!(
        answers[&3].body.is_empty() && answers[&3].is_ahead(),
        "{answers:?}"
    );
    // One that grows counts once it is confirmed, which must be said before the answer.
    let more = frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, 5));
    raw.send(&[more, frames::get(5, HOST, "/hello")].concat())
        .await
        .unwrap();
    let (mut is_confirmed, mut answers) = (false, BTreeMap::<u32, Answer>::new());
    while !answers.get(&5).is_some_and(|answer| answer.has_ended) {
        let frame = raw.reader.next().await.unwrap();
        is_confirmed |= frame.kind == SETTINGS && frame.flags == frames::ACK;
        if frame.kind == DATA {
            assert!(is_confirmed, "{frame:?}");
            let answer = answers.entry(5).or_default();
            answer.body.extend(&frame.payload);
            answer.has_ended = frame.flags & END_STREAM != 0;
        }
    }
    assert_eq!(answers[&5].body, b"hello");
}

/// What both ways send together is never more than was granted, and all comes, whoever needs the window more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_share_the_window_of_the_connection() {
    let ground = Ground::storing(&["/hello", "/middling"], "streams: 100").await;
    let mut raw = ground.connect(&setting(INITIAL_WINDOW_SIZE, PLENTY)).await;
    let mut granted = WINDOW + 50_000;
    raw.send(&window(0, 50_000)).await.unwrap();
    let streams: Vec<u32> = (0..30).map(|number| number * 2 + 1).collect();
    for stream in &streams {
        let path = if stream % 3 == 0 {
            "/hello"
        } else {
            "/middling"
        };
        raw.send(&frames::get(*stream, HOST, path)).await.unwrap();
    }
    let mut answers = BTreeMap::<u32, Answer>::new();
    let mut brought = 0;
    while answers.values().filter(|answer| answer.has_ended).count() < streams.len() {
        let more = Heard::one(&mut raw, &mut answers).await;
        brought += more;
        assert!(brought <= granted, "{brought} of {granted}");
        if more > 0 {
            raw.send(&window(0, u32::try_from(more).unwrap()))
                .await
                .unwrap();
            granted += more;
        }
    }
    for (stream, answer) in &answers {
        let length = if stream % 3 == 0 { 5 } else { 32_000 };
        assert_eq!(answer.body.len(), length, "{stream}");
        assert!(answer.pieces.iter().all(|piece| *piece <= 16_384));
    }
    // Nobody was given more than there is: the edge's books and ours agree to the end.
    raw.send(&frames::get(101, HOST, "/hello")).await.unwrap();
    let answers = Heard::of(&mut raw, &[101]).await;
    assert!(answers[&101].is_ahead(), "{answers:?}");
}

/// Answers of both ways wait for a client that does not read, and come whole and in their frames when it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_client_comes_whole() {
    let ground = Ground::storing(&["/hello", "/middling"], "streams: 1000").await;
    let mut raw = ground.connect(&setting(INITIAL_WINDOW_SIZE, PLENTY)).await;
    raw.send(&window(0, 1 << 30)).await.unwrap();
    // The SETTINGS are confirmed before anything comes.
    while raw.reader.next().await.unwrap().flags != frames::ACK {}
    let paths = [
        "/middling",
        "/hello",
        "/other",
        "/middling",
        "/large",
        "/hello",
        "/middling",
    ];
    let asked: Vec<_> = (1..400_u32)
        .step_by(2)
        .zip(paths.into_iter().cycle())
        .collect();
    // More than all buffers on the way hold.
    for (stream, path) in &asked {
        raw.send(&frames::get(*stream, HOST, path)).await.unwrap();
    }
    let streams: Vec<u32> = asked.iter().map(|(stream, _)| *stream).collect();
    let answers = Heard::of(&mut raw, &streams).await;
    let mut ahead = 0;
    for (stream, path) in &asked {
        let answer = &answers[stream];
        let expected = match *path {
            "/middling" => "0123456789abcdef".repeat(2_000),
            "/large" => "0123456789abcdef".repeat(1 << 16),
            _ => "hello".to_owned(),
        };
        assert!(answer.body == expected.as_bytes(), "{stream}: {path}");
        ahead += u32::from(answer.is_ahead());
    }
    assert!(ahead > 0 && ahead < 200, "{ahead}");
    nothing_is_under_way(&ground.edge).await;
}

/// The next block must say that the table shrank (RFC 7541 §4.2), which only the library's can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_shrinks_is_told_before_anything_is_answered() {
    let ground = Ground::storing(&["/hello"], "streams: 100").await;
    let mut raw = ground.connect_wide(&[]).await;
    raw.send(&frames::get(1, HOST, "/hello")).await.unwrap();
    assert!(Heard::of(&mut raw, &[1]).await[&1].is_ahead());
    let shrinking = frame(SETTINGS, 0, 0, &setting(HEADER_TABLE_SIZE, 0));
    raw.send(&[shrinking, frames::get(3, HOST, "/hello")].concat())
        .await
        .unwrap();
    let answers = Heard::of(&mut raw, &[3]).await;
    assert_eq!(answers[&3].block[0], 0x20, "{answers:?}");
    assert_eq!(answers[&3].body, b"hello");
    raw.send(&frames::get(5, HOST, "/hello")).await.unwrap();
    let answers = Heard::of(&mut raw, &[5]).await;
    assert!(answers[&5].is_ahead(), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_on_an_answered_stream_is_nothing() {
    let ground = Ground::storing(&["/hello"], "streams: 100").await;
    let mut raw = ground.connect_wide(&[]).await;
    for number in 0..20_u32 {
        let stream = number * 2 + 1;
        let octets = [
            frames::get(stream, HOST, "/hello"),
            window(stream, 5),
            frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 7]),
            frame(RST_STREAM, 0, stream, &CANCEL),
        ]
        .concat();
        raw.send(&octets).await.unwrap();
        let answers = Heard::of(&mut raw, &[stream]).await;
        assert!(answers[&stream].is_ahead(), "{answers:?}");
    }
    // The library has opened no stream so far.
    raw.send(&frames::get(99, HOST, "/miss")).await.unwrap();
    assert_eq!(Heard::of(&mut raw, &[99]).await[&99].body, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_end_the_connection_by_their_names() {
    let ground = Ground::storing(&["/hello"], "streams: 100").await;
    let (protocol, flow, closed, size, compression) = (1, 3, 5, 6, 9);
    let get = frames::get(1, HOST, "/hello");
    for (octets, expected) in [
        (get.clone(), closed),
        (frame(DATA, 0, 1, b"more"), closed),
        // Behind a stream that was left out.
        (
            [
                frames::get(9, HOST, "/hello"),
                frames::get(7, HOST, "/hello"),
            ]
            .concat(),
            protocol,
        ),
        (frames::get(2, HOST, "/hello"), protocol),
        (frame(CONTINUATION, END_HEADERS, 1, &[0x82]), protocol),
        (
            [frame(HEADERS, 0, 3, &[0x82]), window(0, 1)].concat(),
            protocol,
        ),
        (
            [
                frame(HEADERS, 0, 3, &[0x82]),
                frame(CONTINUATION, END_HEADERS, 5, &[0x87]),
            ]
            .concat(),
            protocol,
        ),
        (
            frame(HEADERS, END_HEADERS | PADDED, 3, &[9, 0x82]),
            protocol,
        ),
        (frame(HEADERS, END_HEADERS, 3, &vec![0; 16_385]), size),
        (ask(3, &[0xff, 0xff]), compression),
        (ask(3, &[0xbe]), compression),
        (window(0, (1 << 31) - 1), flow),
        (window(0, 0), protocol),
        (window(5, 1), protocol),
    ] {
        let what = format!("{:02x?}", &octets[..octets.len().min(40)]);
        let (last, code) = ground.ends(&octets).await;
        assert_eq!(code, expected, "{what}");
        assert!(
            last >= 1,
            "{what}: the answered stream is not to be asked for again"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_has_had_its_share_names_the_last_answered_stream() {
    let ground = Ground::storing(&["/hello"], "requests: 5").await;
    let mut raw = ground.connect_wide(&[]).await;
    let asking = (0..5).flat_map(|number| frames::get(number * 2 + 1, HOST, "/hello"));
    raw.send(&asking.collect::<Vec<_>>()).await.unwrap();
    let (mut ended, mut lasts) = (0, Vec::new());
    while let Some(frame) = raw.reader.next().await {
        if frame.kind == DATA && frame.flags & END_STREAM != 0 {
            ended += 1;
        }
        if frame.kind == PING {
            // The last stream is named when the client has heard that it is to go.
            let heard = frames::frame(PING, frames::ACK, 0, &frame.payload);
            raw.send(&heard).await.unwrap();
        }
        if frame.kind == GOAWAY {
            assert_eq!(frame.number(4), 0);
            lasts.push(frame.number(0));
        }
    }
    assert_eq!(ended, 5);
    assert_eq!(
        (lasts[0], *lasts.last().unwrap()),
        ((1 << 31) - 1, 9),
        "{lasts:?}"
    );
}

/// To ask and to take it back costs us as much as ever, and is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_back_what_is_answered_is_ended() {
    let ground = Ground::storing(&["/hello"], "resets: 50").await;
    let before = ground.edge.metric(HOT_ANSWERS).await;
    let raw = ground.connect_wide(&[]).await;
    let end = raw
        .flood(|number| {
            let stream = number * 2 + 1;
            let get = frames::get(stream, HOST, "/hello");
            [get, frame(RST_STREAM, 0, stream, &CANCEL)].concat()
        })
        .await;
    assert!(
        matches!(end.goaway, None | Some(frames::ENHANCE_YOUR_CALM)),
        "{end:?}"
    );
    let ended = r#"latencify_gateway_connections_ended_total{reason="resets"}"#;
    assert_eq!(ground.edge.metric(ended).await as u32, 1);
    let answered = ground.edge.metric(HOT_ANSWERS).await - before;
    // What came in one read with the last reset that was one too many is not answered.
    assert!((1.0..=51.0).contains(&answered), "{answered}");
    nothing_is_under_way(&ground.edge).await;
}
