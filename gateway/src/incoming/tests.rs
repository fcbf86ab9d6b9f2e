use super::*;
use bytes::{Bytes, BytesMut};
use proptest::{collection::vec, prelude::*};

const NAMES: [&str; 8] = [
    "Connection",
    "X-Hop",
    "x-hop",
    "Upgrade",
    "Transfer-Encoding",
    "Set-Cookie",
    "SET-COOKIE",
    "Content-Length",
];

/// A head of these lines.
fn read(lines: &[(&str, &str)]) -> Plain {
    let mut octets = Vec::new();
    let mut put = |text: &str| {
        let from = octets.len();
        octets.extend_from_slice(text.as_bytes());
        from..octets.len()
    };
    let places: Vec<_> = lines
        .iter()
        .map(|(name, value)| [put(name), put(value)])
        .collect();
    let head = (Version::HTTP_11, StatusCode::OK);
    Plain::new(head, Bytes::from(octets), None, &places)
}

fn written(head: &Plain) -> String {
    let mut out = BytesMut::new();
    head.write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn values(lines: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<Vec<u8>> {
    lines.map(|value| value.as_ref().to_vec()).collect()
}

#[test]
fn lines_stay_where_they_are_and_in_their_spelling() {
    let mut head = read(&[
        ("X-oNe", "1"),
        ("set-cookie", "a"),
        ("via", "v"),
        ("Set-Cookie", "b"),
        ("X-Fold", "a\r\n b"),
    ]);
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    head.add(name("via"), value("w")).unwrap();
    head.set(name("x-one"), value("2")).unwrap();
    head.set(header::DATE, value("d")).unwrap();
    head.set(header::SET_COOKIE, value("c")).unwrap();
    head.add(header::SET_COOKIE, value("d")).unwrap();
    assert!(!head.take(&name("x")));
    assert_eq!(
        written(&head),
        "X-oNe: 2\r\nset-cookie: c\r\nSet-Cookie: d\r\nvia: v\r\nvia: w\r\nX-Fold: a b\r\nDate: d\r\n"
    );
    assert!(head.take(&name("via")) && !head.has(&name("via")));
}

#[derive(Debug, Clone)]
enum Change {
    Set(usize, u16),
    Add(usize, u16),
    Take(usize),
    EndHop(bool),
}

fn change() -> impl Strategy<Value = Change> {
    let name = 0..NAMES.len();
    prop_oneof![
        (name.clone(), 0..9_u16).prop_map(|(name, value)| Change::Set(name, value)),
        (name.clone(), 0..9_u16).prop_map(|(name, value)| Change::Add(name, value)),
        name.prop_map(Change::Take),
        any::<bool>().prop_map(Change::EndHop),
    ]
}

fn changed(head: &mut impl Incoming, change: &Change) -> Option<bool> {
    let name = |number: &usize| HeaderName::from_bytes(NAMES[*number].as_bytes()).unwrap();
    match change {
        Change::Set(number, value) => head.set(name(number), (*value).into()).unwrap(),
        Change::Add(number, value) => head.add(name(number), (*value).into()).unwrap(),
        Change::Take(number) => return Some(head.take(&name(number))),
        Change::EndHop(keeps_upgrade) => head.end_hop(*keeps_upgrade),
    }
    None
}

proptest! {
    #[test]
    fn both_forms_change_alike(
        lines in vec((0..NAMES.len(), "x-hop|close|upgrade, x-hop|set-cookie|5|chunked"), 0..8),
        changes in vec(change(), 0..8),
    ) {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (NAMES[*name], value.as_str())).collect();
        let mut own = read(&lines);
        let mut other = ResponseHeader::build(200, None).unwrap();
        for (name, value) in &lines {
            other.append_header(*name, *value).unwrap();
        }
        for change in &changes {
            prop_assert_eq!(changed(&mut own, change), changed(&mut other, change));
            for name in NAMES {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                let expected = values(other.lines(&name));
                prop_assert_eq!(values(own.lines(&name)), expected.clone(), "{}", name);
                prop_assert_eq!(values(own.to_map().get_all(&name).iter()), expected, "{}", name);
                prop_assert_eq!(own.has(&name), other.has(&name));
            }
        }
    }
}
