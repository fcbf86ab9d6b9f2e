//! Who is waited for, and for how long.

use super::*;

#[test]
fn a_head_that_does_not_end_ends_the_connection() {
    let mut connection = Connection::new();
    let verdict = (0..10).find_map(|_| connection.second().0);
    assert_eq!(
        (connection.second, verdict),
        (3, Some(Ended::HeaderTime)),
        "the preface"
    );

    let mut connection = Connection::begun();
    connection.client(&frame(kind::HEADERS, END_STREAM, 1, b"x"));
    let verdict = (0..10).find_map(|_| connection.second().0);
    assert_eq!(
        (connection.second, verdict),
        (3, Some(Ended::HeaderTime)),
        "END_HEADERS"
    );

    let mut connection = Connection::begun();
    let whole = frame(kind::HEADERS, END_STREAM | END_HEADERS, 1, &[7; 100]);
    connection.client(whole.split_at(50).0);
    let verdict = (0..10).find_map(|_| connection.second().0);
    assert_eq!(
        (connection.second, verdict),
        (3, Some(Ended::HeaderTime)),
        "half a frame"
    );

    let mut connection = Connection::begun();
    assert!(
        !connection.watch.is_waiting(),
        "an idle connection is nobody's wait"
    );
    connection.client(&whole);
    assert_eq!((0..10).find_map(|_| connection.second().0), None);
}

#[test]
fn a_body_that_does_not_come_ends_its_request() {
    let post = frame(kind::HEADERS, END_HEADERS, 1, b"x");
    let mut silent = Connection::begun();
    silent.client(&post);
    // The first look begins the wait.
    assert_eq!(silent.overdue(|_| {}), Some((6, Ended::BodyRate)));

    let mut dripping = Connection::begun();
    dripping.client(&post);
    let drip = frame(kind::DATA, 0, 1, &[7; 10]);
    let ended = dripping.overdue(|connection| {
        connection.client(&drip);
    });
    assert_eq!(ended, Some((7, Ended::BodyRate)));

    let mut within_a_frame = Connection::begun();
    within_a_frame.client(&post);
    let mut octets = frame(kind::DATA, 0, 1, &[7; 16_384]).into_iter();
    let ended = within_a_frame.overdue(|connection| {
        let some: Vec<u8> = octets.by_ref().take(100).collect();
        connection.client(&some);
    });
    assert_eq!(ended, Some((7, Ended::BodyRate)));
}

#[test]
fn a_body_that_comes_or_may_not_come_is_let_be() {
    let post = frame(kind::HEADERS, END_HEADERS, 1, b"x");
    let mut steady = Connection::begun();
    steady.client(&post);
    let kilobyte = frame(kind::DATA, 0, 1, &[7; 1_000]);
    let ended = steady.overdue(|connection| {
        connection.client(&kilobyte);
        for stream in [0, 1] {
            connection.edge(&frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 3, 0xe8]));
        }
    });
    assert_eq!(ended, None, "steady");

    let mut held_up = Connection::begun();
    held_up.client(&post);
    for _ in 0..4 {
        held_up.client(&frame(kind::DATA, 0, 1, &[7; 16_383]));
    }
    held_up.client(&frame(kind::DATA, 0, 1, &[7; 3]));
    assert_eq!(held_up.overdue(|_| {}), None, "it has no window to send by");

    let mut talking = Connection::begun();
    talking.client(&post);
    talking.edge(&frame(kind::HEADERS, END_HEADERS, 1, b"y"));
    assert_eq!(talking.overdue(|_| {}), None, "the response has begun");

    let mut done = Connection::begun();
    done.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x"));
    assert_eq!(done.overdue(|_| {}), None, "there is no body");
}

#[test]
fn a_response_that_is_not_taken_ends_its_request() {
    let get = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x");
    let head = frame(kind::HEADERS, END_HEADERS, 1, b"y");

    let mut no_window = Connection::begun();
    no_window.client(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    no_window.client(&get);
    assert_eq!(
        no_window.overdue(|_| {}),
        None,
        "nothing is ready for it yet"
    );
    no_window.edge(&head);
    assert_eq!(
        no_window.overdue(|_| {}).map(|(_, why)| why),
        Some(Ended::SendRate)
    );

    let mut dripping = Connection::begun();
    dripping.client(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    dripping.client(&get);
    dripping.edge(&head);
    let ended = dripping.overdue(|connection| {
        connection.client(&frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
        connection.edge(&frame(kind::DATA, 0, 1, b"z"));
    });
    assert_eq!(ended.map(|(_, why)| why), Some(Ended::SendRate));

    let mut all_taken = Connection::begun();
    all_taken.client(&get);
    all_taken.edge(&head);
    for _ in 0..3 {
        all_taken.edge(&frame(kind::DATA, 0, 1, &[7; 16_384]));
    }
    assert_eq!(
        all_taken.overdue(|_| {}),
        None,
        "there is window left; the origin is slow"
    );
    all_taken.edge(&frame(kind::DATA, 0, 1, &[7; 16_383]));
    assert_eq!(
        all_taken.overdue(|_| {}).map(|(_, why)| why),
        Some(Ended::SendRate)
    );
}

#[test]
fn reserved_bits_open_no_window() {
    /// Bits that a receiver ignores (RFC 9113 §4.1 and §6.9).
    const RESERVED: u32 = 1 << 31;
    const ONE: [u8; 4] = [0x80, 0, 0, 1];
    let head = frame(kind::HEADERS, END_HEADERS, 1, b"y");
    let get = |stream| frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, b"x");

    let mut of_stream = Connection::begun();
    of_stream.client(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    of_stream.client(&get(RESERVED | 1));
    of_stream.edge(&head);
    of_stream.client(&frame(kind::WINDOW_UPDATE, 0, RESERVED | 1, &ONE));
    assert!(!of_stream.watch.waits_for_window(), "one octet may go");
    of_stream.edge(&frame(kind::DATA, 0, 1, b"z"));
    let ended = of_stream.overdue(|_| {}).map(|(_, why)| why);
    assert_eq!(ended, Some(Ended::SendRate), "of a stream");

    let mut of_connection = Connection::begun();
    of_connection.client(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0x7f, 0, 0, 0]));
    of_connection.client(&get(1));
    of_connection.edge(&head);
    for _ in 0..3 {
        of_connection.edge(&frame(kind::DATA, 0, 1, &[7; 16_384]));
    }
    of_connection.edge(&frame(kind::DATA, 0, 1, &[7; 16_383]));
    of_connection.client(&frame(kind::WINDOW_UPDATE, 0, RESERVED, &ONE));
    assert!(!of_connection.watch.waits_for_window(), "one octet may go");
    of_connection.edge(&frame(kind::DATA, 0, 1, b"z"));
    let ended = of_connection.overdue(|_| {}).map(|(_, why)| why);
    assert_eq!(ended, Some(Ended::SendRate), "of the connection");
}

/// What the library sends by is its part of the connection's window.
#[test]
fn what_is_kept_for_answers_ahead_opens_no_window() {
    let mut connection = Connection::begun();
    connection.client(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0x7f, 0, 0, 0]));
    connection.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, b"x"));
    connection.edge(&frame(kind::HEADERS, END_HEADERS, 1, b"y"));
    connection.watch.keep_for_ahead(65_534);
    assert!(!connection.watch.waits_for_window());
    connection.edge(&frame(kind::DATA, 0, 1, b"z"));
    assert!(connection.watch.waits_for_window());
    let ended = connection.overdue(|_| {}).map(|(_, why)| why);
    assert_eq!(ended, Some(Ended::SendRate));
    let mut overdue = Vec::new();
    connection.client(&frame(kind::HEADERS, END_HEADERS | END_STREAM, 3, b"x"));
    connection.edge(&frame(kind::HEADERS, END_HEADERS, 3, b"y"));
    connection.watch.end_waiting(Ended::SendRate, &mut overdue);
    assert_eq!(overdue, [(3, Ended::SendRate)]);
}
