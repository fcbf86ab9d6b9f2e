//! Durations, sizes and rates, in units that people read.

use super::{Flaw, Text, written_as_text};
use std::time::Duration as Time;

/// The longest duration of a policy: ten years.
pub const DURATION_MAX: Time = Time::from_hours(10 * 365 * 24);

/// A duration like `30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub Time);

/// A duration that is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeout(pub Time);

/// A number of bytes like `64KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A rate of requests like `100/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many requests …
    pub requests: u32,
    /// … in this time.
    pub per: Time,
}

const TIME_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
const TIME_HELP: &str = "units are ms, s, m, h and d: 500ms, 30s, 5m, 1h, 7d";
const SIZE_HELP: &str = "units are B, KB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (powers of 1024): 64KiB, 512MiB, 1GB";
const RATE_HELP: &str = "write how many in which time: 100/s, 10/m, 1000/h, 5/10s";

impl Text for Duration {
    const FORMAT: &'static str = "latencify-duration";
    const EXPECTED: &'static str = "a duration like 30s";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let millis = scaled(text, TIME_UNITS, "duration", TIME_HELP)?;
        let time = Time::from_millis(millis);
        if time > DURATION_MAX {
            return Err(
                Flaw::new(format!("`{text}` is longer than ten years")).help("at most 3650d")
            );
        }
        Ok(Self(time))
    }
}
written_as_text!(
    Duration,
    "A duration: a whole number and a unit of ms, s, m, h or d.",
    ["500ms", "30s", "5m", "1h", "7d"]
);

impl Text for Timeout {
    const FORMAT: &'static str = "latencify-timeout";
    const EXPECTED: &'static str = "a duration like 30s";
    fn parse(text: &str) -> Result<Self, Flaw> {
        match Duration::parse(text)? {
            Duration(Time::ZERO) => Err(Flaw::new("this duration can't be 0").help("at least 1ms")),
            Duration(time) => Ok(Self(time)),
        }
    }
}
written_as_text!(
    Timeout,
    "A duration above 0: a whole number and a unit of ms, s, m, h or d.",
    ["500ms", "30s", "5m"]
);

impl Text for Size {
    const FORMAT: &'static str = "latencify-size";
    const EXPECTED: &'static str = "a size like 64MiB";
    fn parse(text: &str) -> Result<Self, Flaw> {
        scaled(text, SIZE_UNITS, "size", SIZE_HELP).map(Self)
    }
}
written_as_text!(
    Size,
    "A number of bytes: a whole number and a unit of B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024).",
    ["64KiB", "512MiB", "1GB"]
);

impl Text for Rate {
    const FORMAT: &'static str = "latencify-rate";
    const EXPECTED: &'static str = "a rate like 100/s";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let bad = || Flaw::new(format!("`{text}` is not a rate")).help(RATE_HELP);
        let (count, unit) = text.split_once('/').ok_or_else(bad)?;
        let count = count.trim();
        if count.starts_with('-') {
            return Err(Flaw::new("a rate can't be negative").help(RATE_HELP));
        }
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let requests = count.parse().map_err(|_| {
            Flaw::new(format!("`{count}` requests are too many")).help("at most 4294967295")
        })?;
        if requests == 0 {
            return Err(Flaw::new("a rate of 0 lets nothing pass")
                .help("to close a route, use `access`; a rate is at least 1"));
        }
        let unit = unit.trim();
        let per = if unit.starts_with(|first: char| first.is_ascii_digit()) {
            unit.to_owned()
        } else {
            format!("1{unit}")
        };
        let Timeout(per) = Timeout::parse(&per).map_err(|_| bad())?;
        Ok(Self { requests, per })
    }
}
written_as_text!(
    Rate,
    "A rate: how many, a slash, and in which time (s, m, h, d, or a duration).",
    ["100/s", "10/m", "5/10s"]
);

/// A whole number times its unit.
fn scaled(text: &str, units: &[(&str, u64)], what: &str, help: &str) -> Result<u64, Flaw> {
    let trimmed = text.trim();
    if trimmed.starts_with('-') {
        return Err(Flaw::new(format!("a {what} can't be negative")).help(help));
    }
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start();
    if count.is_empty() {
        return Err(Flaw::new(format!("`{text}` is not a {what}")).help(help));
    }
    if unit.is_empty() {
        return Err(Flaw::new(format!("the {what} `{text}` has no unit")).help(help));
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        if unit.starts_with(['.', ',']) {
            return Err(Flaw::new(format!("`{text}`: only whole numbers"))
                .help("take the smaller unit: 1500ms instead of 1.5s"));
        }
        return Err(Flaw::new(format!("`{unit}` is not a unit of a {what}")).help(help));
    };
    let too_large = || Flaw::new(format!("the {what} `{text}` is too large"));
    count
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(*scale))
        .ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn durations() {
        check::<Duration>("500ms", Ok("Duration(500ms)"));
        check::<Duration>("30s", Ok("Duration(30s)"));
        check::<Duration>("5m", Ok("Duration(300s)"));
        check::<Duration>("1h", Ok("Duration(3600s)"));
        check::<Duration>("7d", Ok("Duration(604800s)"));
        check::<Duration>("0s", Ok("Duration(0ns)"));
        check::<Duration>("30", Err("has no unit"));
        check::<Duration>("-5s", Err("can't be negative"));
        check::<Duration>("1.5s", Err("only whole numbers"));
        check::<Duration>("5 parsecs", Err("`parsecs` is not a unit"));
        check::<Duration>("soon", Err("`soon` is not a duration"));
        check::<Duration>("", Err("is not a duration"));
        check::<Duration>("3651d", Err("longer than ten years"));
        check::<Duration>("99999999999999999999s", Err("too large"));
        check::<Timeout>("0ms", Err("can't be 0"));
    }

    #[test]
    fn sizes() {
        check::<Size>("64KiB", Ok("Size(65536)"));
        check::<Size>("512 MiB", Ok("Size(536870912)"));
        check::<Size>("1GB", Ok("Size(1000000000)"));
        check::<Size>("0B", Ok("Size(0)"));
        check::<Size>("1024", Err("has no unit"));
        check::<Size>("-1MB", Err("can't be negative"));
        check::<Size>("1mb", Err("`mb` is not a unit"));
        check::<Size>("99999999TiB", Err("too large"));
    }

    #[test]
    fn rates() {
        check::<Rate>("100/s", Ok("Rate { requests: 100, per: 1s }"));
        check::<Rate>("10 / m", Ok("Rate { requests: 10, per: 60s }"));
        check::<Rate>("5/10s", Ok("Rate { requests: 5, per: 10s }"));
        for bad in ["100", "100/", "/s", "x/s", "1/0s", "1/week", "1.5/s"] {
            check::<Rate>(bad, Err("is not a rate"));
        }
        check::<Rate>("0/s", Err("a rate of 0"));
        check::<Rate>("-1/s", Err("negative"));
        check::<Rate>("4294967296/s", Err("too many"));
    }
}
