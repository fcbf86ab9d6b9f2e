//! What is packed is what was kept.

use super::*;
use http::{HeaderValue, Version, header};
use latencify_cache::Metadata as _;

fn decoded(header: ResponseHeader, provenance: SystemTime) -> Decoded {
    Decoded {
        header,
        fresh_until: provenance + Duration::from_hours(100 * 365 * 24),
        provenance,
        epoch: provenance,
        stale_while_revalidate_sec: u32::MAX,
        stale_if_error_sec: u32::MAX,
        variance: None,
        notes: None,
    }
}

fn check(original: &Decoded) {
    let packed = original.packed();
    let again = packed.decoded();
    let wire = |decoded: &Decoded| {
        let mut wire = Vec::new();
        decoded.header.header_to_h1_wire(&mut wire);
        let head = &decoded.header;
        let reason = head.get_reason_phrase().map(str::to_owned);
        (wire, head.status, head.version, reason, head.has_case())
    };
    assert_eq!(wire(&again), wire(original));
    assert_eq!(
        (again.fresh_until, again.provenance, again.epoch),
        (original.fresh_until, original.provenance, original.epoch)
    );
    assert_eq!(
        (again.stale_while_revalidate_sec, again.stale_if_error_sec),
        (
            original.stale_while_revalidate_sec,
            original.stale_if_error_sec
        )
    );
    assert_eq!(
        (again.variance, again.notes),
        (original.variance, original.notes)
    );
    assert_eq!(packed.variance(), original.variance);
    assert_eq!(
        packed.lifetime(),
        original.notes.map(|notes| notes.lifetime)
    );
}

#[test]
fn whatever_is_packed_comes_back() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
    for status in [200, 204, 301, 404, 599, 999] {
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            let fields = [("ETag", "\"1\""), ("x-own", "a"), ("Vary", "accept")];
            let mut header = header(&fields);
            header.set_status(status).unwrap();
            header.set_version(version);
            let plain = decoded(header.clone(), now);
            check(&plain);
            header.set_reason_phrase(Some("Just So")).unwrap();
            let stale = Duration::new(7, 123_456_789);
            let notes = [Duration::ZERO, stale].map(|stale_if_error| Notes {
                lifetime: Lifetime {
                    stale_if_error,
                    ..lifetime()
                },
            });
            for notes in notes {
                check(&Decoded {
                    fresh_until: now + stale,
                    epoch: now - stale,
                    stale_while_revalidate_sec: 5,
                    variance: Some([7; 16]),
                    notes: Some(notes),
                    ..decoded(header.clone(), now)
                });
            }
        }
    }
    check(&decoded(
        ResponseHeader::build_no_case(200, None).unwrap(),
        now,
    ));
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_hours(20 * 365 * 24);
    check(&decoded(header(&[]), before_1970));
}

#[test]
fn a_look_up_reads_what_it_needs_without_unpacking() {
    let fields = [
        ("Content-Length", "17"),
        ("Vary", "accept"),
        ("vary", "accept-language"),
    ];
    let stored = decoded(header(&fields), SystemTime::now()).packed();
    assert_eq!(stored.announced_bytes(), Some(17));
    assert_eq!(stored.only(&header::VARY).get_all("vary").iter().count(), 2);
    assert!(stored.only(&header::AGE).is_empty());
    let first = HeaderValue::from_static("accept");
    assert_eq!(stored.field(&header::VARY), Some(first));
    assert!(stored.completed(17).is_none(), "it has a length");
    let chunked = header(&[("Transfer-Encoding", "chunked")]);
    let completed = decoded(chunked, SystemTime::now()).packed().completed(5);
    let completed = completed.unwrap();
    assert_eq!(completed.announced_bytes(), Some(5));
    assert_eq!(completed.field(&header::TRANSFER_ENCODING), None);
}
