//! A record as a line of an access log: the JSON that `serde_json` makes of it, octet by octet, for a tenth of the work. Every
//! request writes one.

use super::{AccessRecord, CacheOutcome};
use crate::digest::Digest;
use std::{
    fmt::Display,
    io::{self, Write as _},
    net::IpAddr,
};
use time::{OffsetDateTime, UtcOffset};

/// More than most records take.
const LINE_BYTES: usize = 1 << 10;

impl AccessRecord<'_> {
    /// Appends the record as one JSON object, without an end of line. After an error, what was appended is of no use.
    pub fn write_json(&self, out: &mut Vec<u8>) -> io::Result<()> {
        // Whoever adds a field adds it here.
        let Self {
            time,
            request_id,
            client,
            country,
            site,
            route,
            method,
            scheme,
            host,
            path,
            query,
            protocol,
            status,
            bytes_in,
            bytes_out,
            duration_us,
            ttfb_us,
            cache,
            cache_reason,
            age,
            origin,
            origin_status,
            attempts,
            revision,
            policy,
            epoch,
            mark_epoch,
            decisions,
            error,
            error_detail,
            user_agent,
            referer,
        } = self;
        out.reserve(LINE_BYTES);
        out.extend_from_slice(b"{\"time\":\"");
        push_time(out, *time)?;
        out.push(b'"');
        let mut line = Line(out);
        line.text(b",\"request_id\":", request_id)?;
        line.address(b",\"client\":", *client);
        line.some_text(b",\"country\":", country.as_deref())?;
        line.some_text(b",\"site\":", site.as_deref())?;
        line.some_text(b",\"route\":", route.as_deref())?;
        line.text(b",\"method\":", method)?;
        line.text(b",\"scheme\":", scheme)?;
        line.text(b",\"host\":", host)?;
        line.text(b",\"path\":", path)?;
        line.some_text(b",\"query\":", query.as_deref())?;
        line.text(b",\"protocol\":", protocol)?;
        line.number(b",\"status\":", u64::from(*status));
        line.number(b",\"bytes_in\":", *bytes_in);
        line.number(b",\"bytes_out\":", *bytes_out);
        line.number(b",\"duration_us\":", *duration_us);
        line.some_number(b",\"ttfb_us\":", *ttfb_us);
        line.text(b",\"cache\":", CacheOutcome::as_str(*cache))?;
        line.some_text(b",\"cache_reason\":", cache_reason.as_deref())?;
        line.some_number(b",\"age\":", *age);
        line.some_text(b",\"origin\":", origin.as_deref())?;
        line.some_number(b",\"origin_status\":", origin_status.map(u64::from));
        line.number(b",\"attempts\":", u64::from(*attempts));
        line.some_number(b",\"revision\":", revision.map(|revision| revision.0));
        line.digest(b",\"policy\":", policy.as_ref());
        line.some_number(b",\"epoch\":", epoch.map(|epoch| epoch.0));
        line.some_number(b",\"mark_epoch\":", mark_epoch.map(|epoch| epoch.0));
        line.0.extend_from_slice(b",\"decisions\":[");
        for (number, step) in decisions.iter().enumerate() {
            line.text(if number == 0 { b"" } else { b"," }, step)?;
        }
        line.0.push(b']');
        line.some_text(b",\"error\":", error.as_deref())?;
        line.some_text(b",\"error_detail\":", error_detail.as_deref())?;
        line.some_text(b",\"user_agent\":", user_agent.as_deref())?;
        line.some_text(b",\"referer\":", referer.as_deref())?;
        line.0.push(b'}');
        Ok(())
    }
}

/// A line that is being written; each part begins with the comma and the name before its value.
struct Line<'o>(&'o mut Vec<u8>);

impl Line<'_> {
    #[inline]
    fn text(&mut self, before: &[u8], text: &str) -> io::Result<()> {
        self.0.extend_from_slice(before);
        if !is_plain(text) {
            return Ok(serde_json::to_writer(&mut *self.0, text)?);
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    #[inline]
    fn some_text(&mut self, before: &[u8], text: Option<&str>) -> io::Result<()> {
        text.map_or(Ok(()), |text| self.text(before, text))
    }

    #[inline]
    fn number(&mut self, before: &[u8], number: u64) {
        self.0.extend_from_slice(before);
        push_number(self.0, number);
    }

    #[inline]
    fn some_number(&mut self, before: &[u8], number: Option<u64>) {
        if let Some(number) = number {
            self.number(before, number);
        }
    }

    fn address(&mut self, before: &[u8], address: IpAddr) {
        self.0.extend_from_slice(before);
        self.0.push(b'"');
        match address {
            IpAddr::V4(address) => {
                for (number, octet) in address.octets().into_iter().enumerate() {
                    if number > 0 {
                        self.0.push(b'.');
                    }
                    push_number(self.0, u64::from(octet));
                }
            }
            IpAddr::V6(address) => push_displayed(self.0, address),
        }
        self.0.push(b'"');
    }

    fn digest(&mut self, before: &[u8], digest: Option<&Digest>) {
        let Some(digest) = digest else { return };
        self.0.extend_from_slice(before);
        self.0.push(b'"');
        self.0.extend_from_slice(&digest.written());
        self.0.push(b'"');
    }
}

/// Whether a text stands in JSON as it is: no octet of it is a quote, a backslash or a control. Eight are looked at together.
fn is_plain(text: &str) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH != 0;
    let has_control = |word: u64| word.wrapping_sub(ONES * 0x20) & !word & HIGH != 0;
    let is_escaped = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        has_control(word)
            || has_zero(word ^ (ONES * u64::from(b'"')))
            || has_zero(word ^ (ONES * u64::from(b'\\')))
    };
    let (words, rest) = text.as_bytes().as_chunks();
    let mut last = [b' '; 8];
    for (place, octet) in last.iter_mut().zip(rest) {
        *place = *octet;
    }
    !words.iter().any(|word| is_escaped(*word)) && !is_escaped(last)
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn push_displayed(out: &mut Vec<u8>, what: impl Display) {
    // Writing into memory does not fail.
    let _ = write!(out, "{what}");
}

/// RFC 3339, with as many digits behind the second as are needed.
fn push_time(out: &mut Vec<u8>, time: OffsetDateTime) -> io::Result<()> {
    let year = u32::try_from(time.year())
        .ok()
        .filter(|year| *year < 10_000);
    let Some(year) = year.filter(|_| time.offset() == UtcOffset::UTC) else {
        let written = time.format(&time::format_description::well_known::Rfc3339);
        out.extend_from_slice(written.map_err(io::Error::other)?.as_bytes());
        return Ok(());
    };
    let date = time.date();
    let [century, year] = [year / 100, year % 100].map(pair);
    let [month, day] = [u8::from(date.month()), date.day()].map(|part| pair(u32::from(part)));
    let (hour, minute, second) = time.to_hms();
    let [hour, minute, second] = [hour, minute, second].map(|part| pair(u32::from(part)));
    let written = [
        century[0], century[1], year[0], year[1], b'-', month[0], month[1], b'-', day[0], day[1],
        b'T', hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1],
    ];
    out.extend_from_slice(&written);
    push_fraction(out, time.nanosecond());
    out.push(b'Z');
    Ok(())
}

fn push_fraction(out: &mut Vec<u8>, mut nanoseconds: u32) {
    if nanoseconds == 0 {
        return;
    }
    let mut digits = *b".000000000";
    for digit in digits.iter_mut().skip(1).rev() {
        *digit = b'0' + (nanoseconds % 10) as u8;
        nanoseconds /= 10;
    }
    let zeros = digits
        .iter()
        .rev()
        .take_while(|digit| **digit == b'0')
        .count();
    out.extend_from_slice(digits.get(..digits.len() - zeros).unwrap_or_default());
}

/// Two digits.
fn pair(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{change::Epoch, change::Revision};
    use proptest::{collection::vec, option, prelude::*};
    use std::borrow::Cow;

    /// Offsets in seconds, too: RFC 3339 has none, and then both refuse.
    fn any_time() -> impl Strategy<Value = OffsetDateTime> {
        let seconds = -62_000_000_000_i64..253_402_300_800;
        let nanoseconds = prop_oneof![Just(0), Just(1_000), Just(10), 0_u32..1_000_000_000];
        (
            seconds,
            nanoseconds,
            option::weighted(0.2, -50_000..50_000_i32),
        )
            .prop_map(|(seconds, nanoseconds, offset)| {
                let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
                let time = time.replace_nanosecond(nanoseconds).unwrap();
                let offset = offset.and_then(|offset| UtcOffset::from_whole_seconds(offset).ok());
                offset
                    .and_then(|offset| time.checked_to_offset(offset))
                    .unwrap_or(time)
            })
    }

    fn text() -> impl Strategy<Value = Cow<'static, str>> {
        prop_oneof![
            "[ -~]{0,40}",
            ".{0,12}",
            "[\\x00-\\x20\"\\\\\\x7f-\u{a0}]{0,8}"
        ]
        .prop_map(Cow::Owned)
    }

    prop_compose! {
        fn any_record()(
            time in any_time(),
            client in any::<IpAddr>(),
            texts in vec(text(), 7),
            some_texts in vec(option::of(text()), 11),
            numbers in any::<[u64; 3]>(),
            some_numbers in any::<[Option<u64>; 5]>(),
            (status, origin_status, attempts) in any::<(u16, Option<u16>, u32)>(),
            policy in any::<Option<[u8; 32]>>(),
            cache in 0_usize..8,
            decisions in vec(text(), 0..4),
        ) -> AccessRecord<'static> {
            use CacheOutcome as C;
            let text = |number: usize| texts[number].clone();
            let some = |number: usize| some_texts[number].clone();
            let outcomes = [
                C::None, C::Hit, C::Stale, C::Revalidated, C::Miss, C::Expired, C::Uncacheable, C::Absent,
            ];
            AccessRecord {
                time,
                request_id: text(0),
                client,
                country: some(0),
                site: some(1),
                route: some(2),
                method: text(1),
                scheme: text(2),
                host: text(3),
                path: text(4),
                query: some(3),
                protocol: text(5),
                status,
                bytes_in: numbers[0],
                bytes_out: numbers[1],
                duration_us: numbers[2],
                ttfb_us: some_numbers[0],
                cache: outcomes[cache],
                cache_reason: some(4),
                age: some_numbers[1],
                origin: some(5),
                origin_status,
                attempts,
                revision: some_numbers[2].map(Revision),
                policy: policy.map(Digest),
                epoch: some_numbers[3].map(Epoch),
                mark_epoch: some_numbers[4].map(Epoch),
                decisions,
                error: some(6),
                error_detail: some(7),
                user_agent: some(8),
                referer: some(9),
            }
        }
    }

    proptest! {
        #[test]
        fn a_line_is_what_the_library_makes_of_the_record(record in any_record()) {
            let mut line = b"before".to_vec();
            let written = record.write_json(&mut line).is_ok();
            match serde_json::to_string(&record) {
                Ok(expected) => {
                    prop_assert!(written);
                    prop_assert_eq!(String::from_utf8(line).unwrap(), format!("before{expected}"));
                }
                Err(_) => prop_assert!(!written),
            }
        }
    }
}
