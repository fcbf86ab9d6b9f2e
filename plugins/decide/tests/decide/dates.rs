//! HTTP dates (RFC 9110 §5.6.7, RFC 9111 §4.2).

use crate::house::{headers, now};
use http::header;
use latencify_decide::dates::{parse, single};
use proptest::prelude::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 1994-11-06 08:49:37, the date of the standard's examples.
const EXAMPLE: i64 = 784_111_777;

fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

#[test]
fn dates_are_read_in_three_formats_and_no_other() {
    let check = |what: &str, text: &str, expected: Option<i64>| {
        assert_eq!(parse(text.as_bytes(), now()), expected.map(at), "{what}: {text}");
    };
    check("IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE));
    check("RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", Some(EXAMPLE));
    check("asctime", "Sun Nov  6 08:49:37 1994", Some(EXAMPLE));
    check("asctime, two digits", "Wed Nov 16 08:49:37 1994", Some(EXAMPLE + 864_000));
    check("RFC 9111 §4.2 any case: day", "SUN, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE));
    check("RFC 9111 §4.2 any case: month", "Sun, 06 NOV 1994 08:49:37 GMT", Some(EXAMPLE));
    check("RFC 9111 §4.2 any case: zone", "Sun, 06 Nov 1994 08:49:37 gMT", Some(EXAMPLE));
    check("RFC 9111 §4.2 any case: RFC 850", "sunday, 06-nov-94 08:49:37 gmt", Some(EXAMPLE));
    check("RFC 9111 §4.2 UTC is a zone", "Sun, 06 Nov 1994 08:49:37 UTC", Some(EXAMPLE));
    check("RFC 9111 §4.2 no other is", "Sun, 06 Nov 1994 08:49:37 AEST", None);
    check("RFC 9111 §4.2 nor an offset", "Sun, 06 Nov 1994 08:49:37 +0000", None);
    check("white space around the value", "  Sun, 06 Nov 1994 08:49:37 GMT\t", Some(EXAMPLE));
    check("the day of another date", "Mon, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE));
    check("no day at all", "Foo, 06 Nov 1994 08:49:37 GMT", None);
    check("a long day in the short format", "Sunday, 06 Nov 1994 08:49:37 GMT", None);
    check("a short day in RFC 850", "Sun, 06-Nov-94 08:49:37 GMT", None);
    check("no comma", "Sun 06 Nov 1994 08:49:37 GMT", None);
    check("two spaces", "Sun, 06  Nov 1994 08:49:37 GMT", None);
    check("dashes with four digits", "Sun, 06-Nov-1994 08:49:37 GMT", None);
    check("periods", "Sun, 06 Nov 1994 08.49.37 GMT", None);
    check("one digit of the hour", "Sun, 06 Nov 1994 8:49:37 GMT", None);
    check("one digit of the day", "Sun, 6 Nov 1994 08:49:37 GMT", None);
    check("two digits of the year", "Sun, 06 Nov 94 08:49:37 GMT", None);
    check("no zone", "Sun, 06 Nov 1994 08:49:37", None);
    check("something behind", "Sun, 06 Nov 1994 08:49:37 GMT;", None);
    check("asctime with a zone", "Sun Nov  6 08:49:37 1994 GMT", None);
    check("no month", "Sun, 06 Nev 1994 08:49:37 GMT", None);
    check("the 31st of November", "Sun, 31 Nov 1994 08:49:37 GMT", None);
    check("no day zero", "Sun, 00 Nov 1994 08:49:37 GMT", None);
    check("a leap day", "Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400));
    check("a leap day that is none", "Thu, 29 Feb 1900 00:00:00 GMT", None);
    check("24 hours", "Sun, 06 Nov 1994 24:00:00 GMT", None);
    check("60 minutes", "Sun, 06 Nov 1994 08:60:00 GMT", None);
    check("a leap second, rounded down", "Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_799));
    check("a leap second at noon", "Sat, 31 Dec 2016 12:00:60 GMT", None);
    check("61 seconds", "Sat, 31 Dec 2016 23:59:61 GMT", None);
    check("the epoch", "Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
    check("before the epoch", "Wed, 31 Dec 1969 23:59:59 GMT", Some(-1));
    check("long ago", "Sat, 01 Jan 0000 00:00:00 GMT", Some(-62_167_219_200));
    check("beyond 32 bits", "Tue, 19 Jan 2038 14:14:08 GMT", Some(2_147_523_248));
    check("the last of the years", "Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
    check("no date: 0", "0", None);
    check("no date: -1", "-1", None);
    check("no date: seconds", "784111777", None);
    check("nothing", "", None);
}

#[test]
fn two_digits_are_never_more_than_fifty_years_ahead() {
    // Today is 2025-06-15 15:06:40.
    let check = |what: &str, text: &str, year: Option<u32>| {
        let expected = year.map(|year| {
            let (_, rest) = text.split_once('-').unwrap();
            let (month, rest) = rest.split_once('-').unwrap();
            let day = text.split_once(", ").unwrap().1.split_once('-').unwrap().0;
            let time = rest.split_once(' ').unwrap().1;
            let full = format!("Sun, {day} {month} {year:04} {time}");
            parse(full.as_bytes(), now()).unwrap()
        });
        assert_eq!(parse(text.as_bytes(), now()), expected, "{what}: {text}");
    };
    check("this year", "Sunday, 15-Jun-25 15:06:40 GMT", Some(2025));
    check("soon", "Thursday, 18-Aug-50 02:01:18 GMT", Some(2050));
    check("fifty years to the second", "Sunday, 15-Jun-75 15:06:40 GMT", Some(2075));
    check("a second more", "Sunday, 15-Jun-75 15:06:41 GMT", Some(1975));
    check("next year of the century before", "Sunday, 01-Jan-76 00:00:00 GMT", Some(1976));
    check("the turn of the century", "Saturday, 01-Jan-00 00:00:00 GMT", Some(2000));
    check("no day of any year", "Sunday, 31-Feb-25 00:00:00 GMT", None);
}

#[test]
fn a_date_stands_once() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let found = |lines: &[(&'static str, &str)]| single(&headers(lines), &header::DATE, now());
    assert_eq!(found(&[("date", date)]), Some(at(EXAMPLE)));
    assert_eq!(found(&[("date", date), ("date", date)]), None);
    assert_eq!(found(&[]), None);
}

proptest! {
    #[test]
    fn no_text_panics(text in "[A-Za-z0-9:, \\-]{0,40}", now in -100_000_000_000i64..300_000_000_000) {
        parse(text.as_bytes(), at(now));
    }

    #[test]
    fn a_written_date_is_read_again(seconds in 0i64..253_402_300_799) {
        let text = httpdate::fmt_http_date(at(seconds));
        prop_assert_eq!(parse(text.as_bytes(), now()), Some(at(seconds)));
    }
}
