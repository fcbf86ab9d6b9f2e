//! What the phases keep with a stored response.

use super::fields::{Cursor, put_number};
use latencify_decide::freshness::{Lifetime, LifetimeSource};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ALWAYS_REVALIDATE: u8 = 1;
const MUST_REVALIDATE: u8 = 2;
const IMMUTABLE: u8 = 4;

const SOURCES: [LifetimeSource; 10] = [
    LifetimeSource::CdnCacheControl,
    LifetimeSource::SurrogateControl,
    LifetimeSource::SMaxage,
    LifetimeSource::MaxAge,
    LifetimeSource::Expires,
    LifetimeSource::PolicyStatus,
    LifetimeSource::PolicyTtl,
    LifetimeSource::PolicyDefault,
    LifetimeSource::Heuristic,
    LifetimeSource::Nothing,
];

/// What is kept with a stored response, beside its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notes {
    /// For how long it serves.
    pub lifetime: Lifetime,
}

impl Notes {
    /// Packs it.
    pub(super) fn pack(&self, out: &mut Vec<u8>) {
        let Self { lifetime } = self;
        let flags = [
            (ALWAYS_REVALIDATE, lifetime.always_revalidate),
            (MUST_REVALIDATE, lifetime.must_revalidate),
            (IMMUTABLE, lifetime.immutable),
        ];
        let source = SOURCES.iter().position(|it| *it == lifetime.source);
        out.push(bits(&flags));
        out.push(source.unwrap_or_default() as u8);
        out.extend_from_slice(&nanos(lifetime.born));
        // Mostly whole seconds, and few.
        for window in [
            lifetime.fresh,
            lifetime.stale_while_revalidate,
            lifetime.stale_if_error,
        ] {
            put_number(out, window.as_secs());
            put_number(out, u64::from(window.subsec_nanos()));
        }
    }

    /// Reads what was packed.
    pub(super) fn unpack(rest: &mut Cursor<'_>) -> Self {
        let [flags, source] = rest.array();
        let born = time(rest.array());
        let mut window = || {
            let whole = Duration::from_secs(rest.number());
            whole.saturating_add(Duration::from_nanos(rest.number()))
        };
        let (fresh, stale_while_revalidate, stale_if_error) = (window(), window(), window());
        let source = SOURCES.get(usize::from(source)).copied();
        let lifetime = Lifetime {
            born,
            fresh,
            stale_while_revalidate,
            stale_if_error,
            always_revalidate: flags & ALWAYS_REVALIDATE != 0,
            must_revalidate: flags & MUST_REVALIDATE != 0,
            immutable: flags & IMMUTABLE != 0,
            source: source.unwrap_or(LifetimeSource::Nothing),
        };
        Self { lifetime }
    }
}

/// Which of these flags are set.
pub(super) fn bits(flags: &[(u8, bool)]) -> u8 {
    let set = flags.iter().filter(|(_, is_set)| *is_set);
    set.map(|(flag, _)| flag).sum()
}

/// Nanoseconds since 1970; what is later than 2262 is then.
pub(super) fn nanos(at: SystemTime) -> [u8; 8] {
    let clamp = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    let nanos = match at.duration_since(UNIX_EPOCH) {
        Ok(after) => clamp(after),
        Err(before) => -clamp(before.duration()),
    };
    nanos.to_le_bytes()
}

/// The same as a time.
pub(super) fn time(nanos: [u8; 8]) -> SystemTime {
    let nanos = i64::from_le_bytes(nanos);
    let span = Duration::from_nanos(nanos.unsigned_abs());
    let at = if nanos < 0 {
        UNIX_EPOCH.checked_sub(span)
    } else {
        UNIX_EPOCH.checked_add(span)
    };
    at.unwrap_or(UNIX_EPOCH)
}
