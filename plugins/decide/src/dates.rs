//! HTTP dates (RFC 9110 §5.6.7), read as a cache reads them (RFC 9111 §4.2).
//!
//! All three formats; names in any case (§4.2 of RFC 9111: a cache should not mind it); `GMT` or `UTC` and no other zone.
//! Whatever departs from the formats otherwise is no date. The name of the day must be one, but not that of the date: it
//! tells nothing that the date does not, and senders get it wrong.

use http::{HeaderMap, HeaderName};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// RFC 9110 §5.6.7: a two-digit year is never further ahead than this.
const AHEAD_YEARS_MAX: i64 = 50;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
const DAYS: [&[u8]; 7] = [
    b"monday",
    b"tuesday",
    b"wednesday",
    b"thursday",
    b"friday",
    b"saturday",
    b"sunday",
];

/// A date and time of day, checked.
struct Moment {
    year: i64,
    /// From 1.
    month: i64,
    /// From 1.
    day: i64,
    /// Seconds since midnight.
    second: i64,
}

/// Reads a date. `now` says which century a two-digit year is in. A leap second is the second before it: times round down.
pub fn parse(value: &[u8], now: SystemTime) -> Option<SystemTime> {
    let value = value.trim_ascii();
    let moment = imf_fixdate(value)
        .or_else(|| rfc_850(value, now))
        .or_else(|| asctime(value))?;
    at_seconds(moment.seconds())
}

/// The date of a field that stands once; several lines, even equal ones, are none.
pub fn single(headers: &HeaderMap, name: &HeaderName, now: SystemTime) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => parse(line.as_bytes(), now),
        _ => None,
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(value: &[u8]) -> Option<Moment> {
    let (name, rest) = split(value, 3)?;
    is_short_day(name).then_some(())?;
    let rest = rest.strip_prefix(b", ")?;
    let (day, rest) = split(rest, 2)?;
    let (month, rest) = split(rest.strip_prefix(b" ")?, 3)?;
    let (year, rest) = split(rest.strip_prefix(b" ")?, 4)?;
    let (time, zone) = split(rest.strip_prefix(b" ")?, 8)?;
    is_utc(zone).then_some(())?;
    Moment::new(number(year)?, month, number(day)?, time)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc_850(value: &[u8], now: SystemTime) -> Option<Moment> {
    let comma = value.iter().position(|&byte| byte == b',')?;
    let (name, rest) = split(value, comma)?;
    DAYS.iter()
        .any(|day| day.eq_ignore_ascii_case(name))
        .then_some(())?;
    let (day, rest) = split(rest.strip_prefix(b", ")?, 2)?;
    let (month, rest) = split(rest.strip_prefix(b"-")?, 3)?;
    let (year, rest) = split(rest.strip_prefix(b"-")?, 2)?;
    let (time, zone) = split(rest.strip_prefix(b" ")?, 8)?;
    is_utc(zone).then_some(())?;
    let (day, digits) = (number(day)?, number(year)?);
    let today = seconds_at(now);
    let this_year = year_of(today);
    let century = this_year - this_year.rem_euclid(100);
    // The latest year with these digits that does not appear to be more than fifty years ahead.
    let candidates = [
        century + 100 + digits,
        century + digits,
        century - 100 + digits,
    ];
    candidates.into_iter().find_map(|year| {
        let moment = Moment::new(year, month, day, time)?;
        (moment.seconds() <= ahead(today, this_year)).then_some(moment)
    })
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(value: &[u8]) -> Option<Moment> {
    let (name, rest) = split(value, 3)?;
    is_short_day(name).then_some(())?;
    let (month, rest) = split(rest.strip_prefix(b" ")?, 3)?;
    let (day, rest) = split(rest.strip_prefix(b" ")?, 2)?;
    let (time, rest) = split(rest.strip_prefix(b" ")?, 8)?;
    let year = rest.strip_prefix(b" ").filter(|year| year.len() == 4)?;
    let day = number(day.strip_prefix(b" ").unwrap_or(day))?;
    Moment::new(number(year)?, month, day, time)
}

impl Moment {
    fn new(year: i64, month: &[u8], day: i64, time: &[u8]) -> Option<Self> {
        let month = MONTHS
            .iter()
            .position(|name| name.eq_ignore_ascii_case(month))?;
        let month = i64::try_from(month).ok()? + 1;
        let &[h1, h2, b':', m1, m2, b':', s1, s2] = time else {
            return None;
        };
        let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
        let is_leap = (hour, minute, second) == (23, 59, 60);
        let is_sound = (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && (second < 60 || is_leap);
        is_sound.then_some(Self {
            year,
            month,
            day,
            second: hour * 3600 + minute * 60 + second.min(59),
        })
    }

    /// Seconds since 1970, before it negative.
    fn seconds(&self) -> i64 {
        days_from_epoch(self.year, self.month, self.day) * 86_400 + self.second
    }
}

fn split(value: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    value.split_at_checked(at)
}

/// Digits alone, at most four of them.
fn number(digits: &[u8]) -> Option<i64> {
    let is_number = (1..=4).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    })
}

fn is_short_day(name: &[u8]) -> bool {
    DAYS.iter().any(|day| {
        day.get(..3)
            .is_some_and(|short| short.eq_ignore_ascii_case(name))
    })
}

/// RFC 9111 §4.2: any other abbreviation is no date to a cache.
fn is_utc(zone: &[u8]) -> bool {
    zone.eq_ignore_ascii_case(b" GMT") || zone.eq_ignore_ascii_case(b" UTC")
}

fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of the proleptic Gregorian calendar. Years begin in March here, so that the leap day is the last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn year_of(seconds: i64) -> i64 {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let begins_in_march = era * 400 + years;
    if of_year >= 306 {
        begins_in_march + 1
    } else {
        begins_in_march
    }
}

/// The same moment of the year, fifty years later.
fn ahead(today: i64, this_year: i64) -> i64 {
    let of_year = today - days_from_epoch(this_year, 1, 1) * 86_400;
    days_from_epoch(this_year + AHEAD_YEARS_MAX, 1, 1) * 86_400 + of_year
}

fn seconds_at(time: SystemTime) -> i64 {
    let whole = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 4);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

fn at_seconds(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}
