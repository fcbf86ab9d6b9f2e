//! Whom the fleet believes, as the log has it: keys, and revocations until they have nothing left to revoke.

use super::{Conflict, Effect};
use latencify_conf::change::{
    Issued, KEYS_MAX, KeyUse, PublicKey, REVOCATIONS_MAX, Revoked, TRUST_NAME_BYTES_MAX,
};
use std::collections::BTreeMap;

/// A revocation is kept for so long after its tokens have expired: writers' clocks differ. Milliseconds.
const SLACK_MS: i64 = 60 * 60 * 1000;

/// Whom the fleet believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// By their names.
    pub keys: BTreeMap<String, TrustedKey>,
    /// At most [`REVOCATIONS_MAX`].
    pub revocations: BTreeMap<Revoked, Revocation>,
}

/// A key that is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedKey {
    /// What it signs.
    pub purpose: KeyUse,
    /// Its public half.
    pub public_key: PublicKey,
}

/// Since when, and for how long, tokens are not believed. Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Those that were issued up to this instant.
    pub before_ms: i64,
    /// By then they have expired.
    pub until_ms: i64,
}

impl Revocation {
    /// Both.
    fn and(self, other: Self) -> Self {
        Self {
            before_ms: self.before_ms.max(other.before_ms),
            until_ms: self.until_ms.max(other.until_ms),
        }
    }
}

impl Trust {
    /// The revocation that a token falls under which was issued then; none: it is believed.
    pub fn revoked(&self, token: &Issued<'_>, issued_ms: i64) -> Option<Revoked> {
        if self.revocations.is_empty() {
            return None;
        }
        token.parts().into_iter().find(|part| {
            self.revocations
                .get(part)
                .is_some_and(|revocation| issued_ms <= revocation.before_ms)
        })
    }

    /// The keys of a use.
    pub fn keys_for(&self, purpose: KeyUse) -> impl Iterator<Item = (&String, &TrustedKey)> {
        self.keys
            .iter()
            .filter(move |(_, key)| key.purpose == purpose)
    }

    pub(super) fn added(&self, kid: &str, key: TrustedKey) -> Result<Vec<Effect>, Conflict> {
        let is_full = self.keys_for(key.purpose).count() >= KEYS_MAX;
        if self.keys.contains_key(kid) || kid.is_empty() || kid.len() > TRUST_NAME_BYTES_MAX {
            return Err(Conflict::KeyKnown);
        }
        if is_full {
            return Err(Conflict::TooManyKeys);
        }
        let kid = kid.to_owned();
        Ok(vec![Effect::KeyAdded { kid, key }])
    }

    pub(super) fn retired(&self, kid: &str) -> Result<Vec<Effect>, Conflict> {
        if !self.keys.contains_key(kid) {
            return Err(Conflict::NoSuchKey);
        }
        let kid = kid.to_owned();
        Ok(vec![Effect::KeyRetired { kid }])
    }

    /// A revocation comes in; those whose tokens have expired by the instant that it names leave. There are too many: one of
    /// everybody's tokens takes the place of all. Too much may be revoked, never too little.
    pub(super) fn revoke(&self, what: &Revoked, new: Revocation) -> Vec<Effect> {
        let expired = |old: &Revocation| old.until_ms.saturating_add(SLACK_MS) < new.before_ms;
        let (gone, kept): (Vec<_>, Vec<_>) = self
            .revocations
            .iter()
            .filter(|(known, _)| *known != what)
            .partition(|(_, old)| expired(old));
        let of_same = self.revocations.get(what).copied();
        let new = of_same.map_or(new, |old| old.and(new));
        let forgotten = |revoked: &[(&Revoked, &Revocation)]| {
            let forgotten = revoked.iter().map(|(known, _)| (*known).clone());
            Effect::RevocationsForgotten(forgotten.collect())
        };
        let revoked = |what: Revoked, revocation| Effect::Revoked { what, revocation };
        if kept.len() < REVOCATIONS_MAX {
            let gone = (!gone.is_empty()).then(|| forgotten(&gone));
            return gone
                .into_iter()
                .chain([revoked(what.clone(), new)])
                .collect();
        }
        let all = kept.iter().fold(new, |all, (_, one)| all.and(**one));
        let everything: Vec<_> = self.revocations.iter().collect();
        vec![forgotten(&everything), revoked(Revoked::Everybody, all)]
    }

    /// Takes over what an effect says; whether it said anything of trust.
    pub(super) fn take(&mut self, effect: &Effect) {
        match effect {
            Effect::KeyAdded { kid, key } => {
                self.keys.insert(kid.clone(), *key);
            }
            Effect::KeyRetired { kid } => {
                self.keys.remove(kid);
            }
            Effect::Revoked { what, revocation } => {
                self.revocations.insert(what.clone(), *revocation);
            }
            Effect::RevocationsForgotten(forgotten) => {
                for what in forgotten {
                    self.revocations.remove(what);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::change::Octets;
    use uuid::Uuid;

    fn revoke(trust: &mut Trust, what: Revoked, before_ms: i64, until_ms: i64) {
        let revocation = Revocation {
            before_ms,
            until_ms,
        };
        for effect in trust.revoke(&what, revocation) {
            trust.take(&effect);
        }
    }

    fn token(subject: &str) -> Issued<'_> {
        Issued {
            token: Uuid::from_u128(1),
            family: Uuid::from_u128(2),
            subject,
        }
    }

    #[test]
    fn a_revocation_holds_for_what_was_issued_up_to_its_instant() {
        for what in token("alice").parts() {
            let mut trust = Trust::default();
            revoke(&mut trust, what.clone(), 100, 700);
            assert_eq!(trust.revoked(&token("alice"), 100), Some(what.clone()));
            assert_eq!(trust.revoked(&token("alice"), 101), None);
            let other = Issued {
                token: Uuid::from_u128(8),
                family: Uuid::from_u128(9),
                subject: "bob",
            };
            let everybodys = what == Revoked::Everybody;
            assert_eq!(trust.revoked(&other, 100).is_some(), everybodys);
            // An earlier one that comes late takes nothing back.
            revoke(&mut trust, what.clone(), 50, 60);
            assert_eq!(trust.revoked(&token("alice"), 100), Some(what));
        }
    }

    #[test]
    fn revocations_are_forgotten_when_their_tokens_have_expired_and_not_before() {
        let mut trust = Trust::default();
        revoke(&mut trust, Revoked::Subject("alice".into()), 100, 700);
        revoke(
            &mut trust,
            Revoked::Subject("bob".into()),
            700 + SLACK_MS,
            2 * SLACK_MS,
        );
        assert_eq!(trust.revocations.len(), 2);
        revoke(
            &mut trust,
            Revoked::Subject("carol".into()),
            701 + SLACK_MS,
            2 * SLACK_MS,
        );
        assert!(trust.revoked(&token("alice"), 100).is_none());
        assert!(trust.revoked(&token("bob"), 100).is_some());
    }

    #[test]
    fn too_many_revocations_become_one_of_everything() {
        let mut trust = Trust::default();
        for number in 0..REVOCATIONS_MAX as i64 {
            let what = Revoked::Token(Uuid::from_u128(number as u128));
            revoke(&mut trust, what, number, number + 600);
        }
        assert_eq!(trust.revocations.len(), REVOCATIONS_MAX);
        revoke(&mut trust, Revoked::Subject("alice".into()), 7, 8);
        assert_eq!(trust.revocations.len(), 1);
        let newest = REVOCATIONS_MAX as i64 - 1;
        let everybody = trust.revocations[&Revoked::Everybody];
        assert_eq!(everybody.before_ms, newest);
        assert_eq!(everybody.until_ms, newest + 600);
    }

    #[test]
    fn keys_are_bounded_and_known_once() {
        let mut trust = Trust::default();
        let key = |purpose| TrustedKey {
            purpose,
            public_key: Octets([1; 32]),
        };
        for number in 0..KEYS_MAX {
            for effect in trust
                .added(&number.to_string(), key(KeyUse::Tokens))
                .unwrap()
            {
                trust.take(&effect);
            }
        }
        let again = trust.added("0", key(KeyUse::Policies));
        assert_eq!(again, Err(Conflict::KeyKnown));
        let more = trust.added("more", key(KeyUse::Tokens));
        assert_eq!(more, Err(Conflict::TooManyKeys));
        assert!(trust.added("more", key(KeyUse::Policies)).is_ok());
        assert_eq!(trust.retired("more"), Err(Conflict::NoSuchKey));
        for effect in trust.retired("0").unwrap() {
            trust.take(&effect);
        }
        assert!(trust.added("more", key(KeyUse::Tokens)).is_ok());
    }
}
