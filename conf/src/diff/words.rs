//! Values in the words that policies are written in.

use std::{fmt::Display, time::Duration};

/// `1h`, `90s`, `1500ms`: the largest unit that is whole.
pub(super) fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    match units
        .iter()
        .find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit))
    {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if duration.subsec_nanos().is_multiple_of(1_000_000) => format!("{ms}ms"),
        None => format!("{}ns", duration.as_nanos()),
    }
}

/// `64MiB`: the largest unit that is whole.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units
        .iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
    {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// With commas; `otherwise` for none.
pub(super) fn list(items: impl IntoIterator<Item = impl Display>, otherwise: &str) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        otherwise.to_owned()
    } else {
        items.join(", ")
    }
}

/// Yes or no.
pub(super) fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Whether the value of a field with this name may be a secret.
pub(super) fn may_be_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let telling = [
        "auth",
        "cookie",
        "token",
        "secret",
        "key",
        "pass",
        "signature",
        "credential",
        "session",
    ];
    telling.iter().any(|part| name.contains(part))
}
