//! The connection's window, as the library and whoever answers ahead of it share what the client grants. Each spends its own
//! part, so that both together never spend more than was granted (RFC 9113 §6.9.1).

/// What the client lets be sent at the start, which is the library's (RFC 9113 §6.9.2).
const AT_START: i64 = 65_535;
/// RFC 9113 §6.9.1.
const WINDOW_MAX: i64 = (1 << 31) - 1;
/// A library that has less gets all: it may have more to send.
const LEAST: i64 = 32 << 10;

/// Both parts.
#[derive(Debug)]
pub(super) struct Share {
    ours: i64,
    library: i64,
    /// The library has come to need more.
    is_dry: bool,
}

/// More was granted than there may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Default for Share {
    fn default() -> Self {
        Self {
            ours: 0,
            library: AT_START,
            is_dry: false,
        }
    }
}

impl Share {
    /// What may be sent ahead of the library.
    pub(super) fn ours(&self) -> u64 {
        self.ours.unsigned_abs()
    }

    /// The client grants more; how much of it is the library's: as much as makes both parts alike. What can't be halved is
    /// the library's, so that it never starves of single octets.
    pub(super) fn grant(&mut self, more: u32) -> Result<u32, Overflow> {
        let more = i64::from(more);
        let all = self.ours + self.library + more;
        if all > WINDOW_MAX {
            return Err(Overflow);
        }
        let passed = (all - all / 2 - self.library).clamp(0, more);
        self.library += passed;
        self.ours += more - passed;
        Ok(passed as u32)
    }

    /// So much of ours was sent.
    pub(super) fn spend(&mut self, octets: u64) {
        self.ours = self.ours.saturating_sub_unsigned(octets).max(0);
    }

    /// The library has sent so much.
    pub(super) fn library_sent(&mut self, octets: u64) {
        self.library = self.library.saturating_sub_unsigned(octets);
        self.is_dry |= octets > 0 && self.library < LEAST;
    }

    /// What the library gets of ours, once it has come to need it.
    pub(super) fn hand_over(&mut self) -> Option<u32> {
        let is_dry = std::mem::take(&mut self.is_dry) && self.library < LEAST;
        (is_dry && self.ours > 0).then(|| {
            let given = std::mem::take(&mut self.ours);
            self.library += given;
            given as u32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_the_librarys_and_what_follows_is_halved() {
        let mut share = Share::default();
        assert_eq!(share.ours(), 0);
        // h2load grants 1 GiB.
        let more = (1 << 30) - 65_535;
        assert_eq!(share.grant(more), Ok((1 << 29) - 65_535));
        assert_eq!(share.ours(), 1 << 29);
        share.spend(1_000);
        assert_eq!(share.grant(1_000), Ok(0));
        assert_eq!(share.ours(), 1 << 29);
        share.library_sent(3_000);
        assert_eq!(share.hand_over(), None);
        assert_eq!(share.grant(3_000), Ok(3_000));
    }

    #[test]
    fn a_library_that_runs_dry_gets_all() {
        let mut share = Share::default();
        share.grant(20_000).unwrap();
        assert_eq!(share.ours(), 20_000);
        share.library_sent(30_000);
        assert_eq!(share.hand_over(), None);
        share.library_sent(10_000);
        assert_eq!(share.hand_over(), Some(20_000));
        assert_eq!((share.ours(), share.hand_over()), (0, None));
        share.library_sent(1);
        assert_eq!(share.hand_over(), None);
    }

    #[test]
    fn a_single_octet_is_the_librarys() {
        let mut share = Share::default();
        share.library_sent(65_535);
        assert_eq!(share.hand_over(), None);
        for _ in 0..3 {
            assert_eq!(share.grant(1), Ok(1));
            assert_eq!(share.ours(), 0);
            share.library_sent(1);
            assert_eq!(share.hand_over(), None);
        }
    }

    #[test]
    fn too_much_is_told() {
        let mut share = Share::default();
        assert!(share.grant((1 << 31) - 1 - 65_535).is_ok());
        assert_eq!(share.grant(1), Err(Overflow));
    }

    /// Whatever comes, both parts are what was granted and not spent, and neither is spent twice.
    #[test]
    fn nothing_is_spent_that_was_not_granted() {
        let mut seed = 1_u64;
        let mut chance = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let (mut share, mut window, mut library) = (Share::default(), AT_START, AT_START);
        for _ in 0..100_000 {
            match chance(3) {
                0 => {
                    let more = chance(40_000) as u32 + 1;
                    if let Ok(passed) = share.grant(more) {
                        assert!(passed <= more);
                        window += i64::from(more);
                        library += i64::from(passed);
                    }
                }
                1 => {
                    let spent = share.ours().min(chance(5_000));
                    share.spend(spent);
                    window -= spent as i64;
                }
                _ => {
                    let sent = library.min(chance(20_000) as i64);
                    window -= sent;
                    library -= sent;
                    share.library_sent(sent as u64);
                    library += i64::from(share.hand_over().unwrap_or(0));
                }
            }
            assert!(library >= 0 && window >= 0);
            assert_eq!(library + share.ours() as i64, window);
        }
    }
}
