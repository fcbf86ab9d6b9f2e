//! Certificates of edges that count no more, until they would have expired anyway.

use super::Effect;
use latencify_conf::change::RevokedCertificate;
use std::{collections::BTreeMap, time::Duration};
use time::OffsetDateTime;

/// A revocation is remembered for so long after its certificate has expired: the clock of whoever looks may be late.
const REMEMBERED_BEYOND: Duration = Duration::from_hours(24);

/// The certificates that count no more, by serial number, and when they expire, in milliseconds since 1970.
pub type RevokedCertificates = BTreeMap<String, i64>;

/// What an entry of that time makes of it.
pub(super) fn revoked(certificates: &[RevokedCertificate], at: OffsetDateTime) -> Effect {
    let at_ms = (at.unix_timestamp_nanos() / 1_000_000) as i64;
    Effect::CertificatesRevoked {
        certificates: certificates.to_vec(),
        forgotten_before_ms: at_ms.saturating_sub(REMEMBERED_BEYOND.as_millis() as i64),
    }
}

/// Takes new ones, and forgets those that have expired by the entry's clock.
pub(super) fn take(
    known: &mut RevokedCertificates,
    certificates: &[RevokedCertificate],
    forgotten_before_ms: i64,
) {
    known.retain(|_, until_ms| *until_ms >= forgotten_before_ms);
    let new = certificates
        .iter()
        .map(|certificate| (certificate.serial.clone(), certificate.until_ms));
    known.extend(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_expired_is_forgotten_by_the_clock_of_a_later_entry() {
        let day_ms = 24 * 60 * 60 * 1000;
        let certificate = |serial: &str, until_ms| RevokedCertificate {
            serial: serial.to_owned(),
            until_ms,
        };
        let mut known = RevokedCertificates::new();
        let mut revoke = |serial, until_ms, at_ms: i64| {
            let at = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(at_ms as u64);
            let effect = revoked(&[certificate(serial, until_ms)], at);
            let Effect::CertificatesRevoked {
                certificates,
                forgotten_before_ms,
            } = effect
            else {
                panic!("{effect:?}")
            };
            take(&mut known, &certificates, forgotten_before_ms);
            known.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(revoke("a", 5 * day_ms, day_ms), ["a"]);
        assert_eq!(revoke("b", 9 * day_ms, 6 * day_ms), ["a", "b"]);
        assert_eq!(revoke("c", 9 * day_ms, 6 * day_ms + 1), ["b", "c"]);
    }
}
