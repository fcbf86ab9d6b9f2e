//! Whom the fleet believes: keys that are announced in the log, and what is believed no more.
//!
//! The private half of a key lies sealed in the store of the replica that made it; the log has what everybody may know. Edges
//! and replicas verify by what the log says, so a rotation or a revocation is obeyed by all of them in the same order.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

/// The most bytes of a key's name, and of a subject's.
pub const TRUST_NAME_BYTES_MAX: usize = 200;
/// The most keys of one use that are believed at a time: the one in use, and those before it whose signatures still run.
pub const KEYS_MAX: usize = 8;
/// The most revocations that are kept; with one more, everybody's tokens of before are revoked instead.
pub const REVOCATIONS_MAX: usize = 4096;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyUse {
    /// Access tokens.
    Tokens,
    /// Policies.
    Policies,
}

impl KeyUse {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Policies => "policies",
        }
    }
}

/// Octets of a fixed length, in base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Octets<const N: usize>(pub [u8; N]);

/// An Ed25519 public key (RFC 8032 §5.1.5).
pub type PublicKey = Octets<32>;
/// An Ed25519 signature (RFC 8032 §5.1.6).
pub type Signature = Octets<64>;

impl<const N: usize> fmt::Display for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<const N: usize> Serialize for Octets<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Octets<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(&text)
            .map_err(serde::de::Error::custom)?;
        let count = bytes.len();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("{count} octets instead of {N}")))
    }
}

/// What vouches for a key: an earlier one of the same use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VouchedBy {
    /// The earlier key.
    pub kid: String,
    /// Its signature over [`vouched`].
    pub signature: Signature,
}

/// What the signature of a [voucher](VouchedBy) is over.
pub fn vouched(purpose: KeyUse, kid: &str, key: &PublicKey) -> Vec<u8> {
    let mut bytes = format!("latencify key 1 {} {kid} ", purpose.as_str()).into_bytes();
    bytes.extend_from_slice(&key.0);
    bytes
}

/// Whose tokens are believed no more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// One token, by its `jti`.
    Token(Uuid),
    /// The tokens of one session, by its `sid`.
    Family(Uuid),
    /// The tokens of one subject, by its `sub`.
    Subject(String),
    /// All tokens.
    Everybody,
}

/// What a token says of itself that a revocation may name.
#[derive(Debug, Clone, Copy)]
pub struct Issued<'a> {
    /// `jti`.
    pub token: Uuid,
    /// `sid`.
    pub family: Uuid,
    /// `sub`.
    pub subject: &'a str,
}

impl Issued<'_> {
    /// Everything that may be revoked of which the token is part.
    pub fn parts(&self) -> [Revoked; 4] {
        [
            Revoked::Token(self.token),
            Revoked::Family(self.family),
            Revoked::Subject(self.subject.to_owned()),
            Revoked::Everybody,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_read_back_and_of_their_length() {
        let key = Octets([7; 32]);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&text).unwrap(), key);
        for wrong in ["\"\"", "\"AAAA\"", "\"!\"", "7"] {
            assert!(serde_json::from_str::<PublicKey>(wrong).is_err(), "{wrong}");
        }
    }
}
