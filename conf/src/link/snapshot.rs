//! What control signs of a policy, so that an edge builds nothing that somebody else made up: which log, which revision of it, which files,
//! and which site has which id.

use super::replica::Target;
use crate::change::{LogId, PublicKey, Signature};

/// The most bytes of a key's name.
pub const KID_BYTES_MAX: usize = 200;

/// Who vouches for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key's name.
    pub kid: String,
    /// Its public half, for an edge that knows none yet.
    pub public_key: PublicKey,
    /// Over [`signed_bytes`].
    pub signature: Signature,
}

/// What the signature of a target is over: nothing of it can be read in two ways.
pub fn signed_bytes(log: LogId, target: &Target) -> Vec<u8> {
    let mut bytes = b"latencify policy 1 ".to_vec();
    bytes.extend_from_slice(log.0.as_bytes());
    bytes.extend_from_slice(&target.revision.0.to_be_bytes());
    bytes.extend_from_slice(&target.digest.0);
    bytes.extend_from_slice(&(target.sites.len() as u64).to_be_bytes());
    for (name, id) in &target.sites {
        bytes.extend_from_slice(&(name.len() as u64).to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&id.0.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        change::{Revision, SiteId},
        digest::Digest,
    };
    use uuid::Uuid;

    fn target(revision: u64, digest: u8, sites: &[(&str, u64)]) -> Target {
        let sites = sites
            .iter()
            .map(|&(name, id)| (name.to_owned(), SiteId(id)));
        Target {
            revision: Revision(revision),
            digest: Digest([digest; 32]),
            sites: sites.collect(),
            signed: None,
        }
    }

    #[test]
    fn no_two_targets_are_signed_alike() {
        let log = |number| LogId(Uuid::from_u128(number));
        let signed = [
            signed_bytes(log(1), &target(1, 1, &[("ab", 1), ("c", 2)])),
            signed_bytes(log(2), &target(1, 1, &[("ab", 1), ("c", 2)])),
            signed_bytes(log(1), &target(2, 1, &[("ab", 1), ("c", 2)])),
            signed_bytes(log(1), &target(1, 2, &[("ab", 1), ("c", 2)])),
            signed_bytes(log(1), &target(1, 1, &[("a", 1), ("bc", 2)])),
            signed_bytes(log(1), &target(1, 1, &[("ab", 2), ("c", 1)])),
            signed_bytes(log(1), &target(1, 1, &[("ab", 1)])),
        ];
        for (at, one) in signed.iter().enumerate() {
            assert!(!signed[..at].contains(one), "{at}");
        }
    }
}
