//! What must not lie in a database in the clear: secrets and private keys are sealed before they are stored.
//!
//! # Characters
//! - [`Seal`]: the ring of [keys](key::Key) that open, the first of which seals. A clone is the same.
//! - [`source`]: where keys come from: a file, the environment, a command (a KMS), or a file that is made in the data folder.
//! - the *context*: what a sealed value is for (`secret/origin-key/3`), bound to it as associated data, so that nobody who can
//!   write to the database puts one value in the place of another.
//!
//! # A sealed value
//! | octets | what |
//! |---|---|
//! | 1 | the version, 1 |
//! | 8 | the id of the key |
//! | 32 | salt |
//! | n + 16 | AES-256-GCM of the value |
//!
//! Each value has a key of its own, HKDF-SHA-256 of the ring's key and the salt (NIST SP 800-108, RFC 5869), and that key seals
//! once, under a nonce of zeros. So no number of values wears a key of the ring out, which 96 random bits of a nonce would after
//! 2³² of them. Version, id, salt and context are associated data.
//!
//! # Rotation
//! A new key is put before the old ones; at the next start everything is sealed anew with it, and the log says when the old ones
//! may go.

mod command;
mod key;
pub mod source;
#[cfg(test)]
mod tests;

pub use key::KeyId;
pub use source::SealSettings;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce},
    hkdf::{HKDF_SHA256, Salt},
    hmac, rand,
};
use key::{KEY_ID_BYTES, Key};
use std::{fmt, path::Path, sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// The version of sealed values.
const VERSION: u8 = 1;
/// The octets of a value's salt.
const SALT_BYTES: usize = 32;
/// What stands before the sealed octets.
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + SALT_BYTES;
/// The most octets of a context.
pub const CONTEXT_BYTES_MAX: usize = 1024;
/// The most octets of a value.
pub const PLAIN_BYTES_MAX: usize = 1024 * 1024;
/// What a value's key is derived for.
const DERIVED_FOR: &[u8] = b"latencify seal 1 aes-256-gcm";
/// And the key of fingerprints.
const FINGERPRINT_FOR: &[u8] = b"latencify seal 1 fingerprint";

/// The ring of keys that secrets and private keys are sealed with.
#[derive(Clone)]
pub struct Seal {
    keys: Arc<[Key]>,
}

/// Why nothing can be sealed or unsealed. No variant holds a key or a value.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file can't be read or made.
    #[error("{what} {path}: {why}")]
    File {
        /// Which flag or file.
        what: &'static str,
        /// Where.
        path: String,
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// What was given is no ring of keys.
    #[error(
        "{from}, line {line}: {why}; a key is 32 random octets in base64, one a line, the newest first (`openssl rand -base64 32`)"
    )]
    NoKey {
        /// Where it was read.
        from: String,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The command did not give keys.
    #[error("--seal-key-command {0}")]
    Command(String),
    /// It was not sealed here, or it was cut off.
    #[error("what is stored is no sealed value, or was cut off")]
    Malformed,
    /// The key that it was sealed with is not in the ring.
    #[error(
        "it was sealed with the key {0}, which is not among those that were given: give it too, behind the newest"
    )]
    UnknownKey(KeyId),
    /// It was altered, or belongs elsewhere.
    #[error(
        "the sealed value for {0} does not agree with its seal: it was altered, or is another's"
    )]
    Altered(String),
    /// More than can be sealed.
    #[error("more than {PLAIN_BYTES_MAX} octets, or a context of more than {CONTEXT_BYTES_MAX}")]
    TooLarge,
    /// The cryptographic library refused.
    #[error("the system has no random octets, or its cryptography failed")]
    Crypto,
}

impl From<aws_lc_rs::error::Unspecified> for SealError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(Key::id);
        formatter.debug_list().entries(ids).finish()
    }
}

impl Seal {
    /// Reads the ring of keys from where the operator keeps it; with nothing said, from a file of the data folder, which is made
    /// at the first start. Blocks: a command may take [`command::TIME_MAX`].
    pub fn open(settings: &SealSettings, data_folder: &Path) -> Result<Self, SealError> {
        source::read(settings, data_folder).map(Self::of)
    }

    /// The ring of these keys; the first seals. There is one at least.
    fn of(keys: Vec<Key>) -> Self {
        Self { keys: keys.into() }
    }

    /// Seals a value for a context.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if plain.len() > PLAIN_BYTES_MAX || context.len() > CONTEXT_BYTES_MAX {
            return Err(SealError::TooLarge);
        }
        let key = self.keys.first().ok_or(SealError::Crypto)?;
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt)?;
        let head = head(key.id(), &salt);
        let mut sealed = Vec::with_capacity(HEAD_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&head);
        let mut body = Zeroizing::new(plain.to_vec());
        let tag = value_key(key, &salt)?.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key([0; NONCE_LEN]),
            Aad::from(associated(&head, context)),
            &mut body,
        )?;
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The value that was sealed for this context.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (head, id, salt, body) = parts(sealed)?;
        let known = self.keys.iter().find(|key| key.id() == id);
        let key = known.ok_or(SealError::UnknownKey(id))?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let plain_bytes = value_key(key, &salt)?
            .open_in_place(nonce, Aad::from(associated(head, context)), &mut body)
            .map_err(|_| SealError::Altered(context.to_owned()))?
            .len();
        body.truncate(plain_bytes);
        Ok(body)
    }

    /// The value sealed with the newest key, if an older one sealed it; none if it is sealed with the newest.
    pub fn reseal(&self, context: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        let (_, id, _, _) = parts(sealed)?;
        let plain = self.unseal(context, sealed)?;
        if self.keys.first().is_some_and(|newest| newest.id() == id) {
            return Ok(None);
        }
        self.seal(context, &plain).map(Some)
    }

    /// A digest of octets that tells nothing of them to whoever has no key: two that are the same can be told, none can be guessed.
    pub fn fingerprint(&self, context: &str, octets: &[u8]) -> Result<[u8; 32], SealError> {
        let key = self.keys.first().ok_or(SealError::Crypto)?;
        let derived = Salt::new(HKDF_SHA256, context.as_bytes()).extract(key.octets());
        let key: hmac::Key = derived
            .expand(&[FINGERPRINT_FOR], hmac::HMAC_SHA256)?
            .into();
        let tag = hmac::sign(&key, octets);
        tag.as_ref().try_into().map_err(|_| SealError::Crypto)
    }

    /// The key that seals.
    pub fn newest(&self) -> Option<KeyId> {
        self.keys.first().map(Key::id)
    }

    /// Those that only open, and may go once everything is sealed anew.
    pub fn older(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().skip(1).map(Key::id)
    }
}

/// How long [`Seal::open`] may take at the most.
pub const OPENING_TIME_MAX: Duration = command::TIME_MAX;

type Parts<'s> = (&'s [u8], KeyId, [u8; SALT_BYTES], &'s [u8]);

fn parts(sealed: &[u8]) -> Result<Parts<'_>, SealError> {
    let (head, body) = sealed
        .split_at_checked(HEAD_BYTES)
        .ok_or(SealError::Malformed)?;
    let (version, rest) = head.split_first().ok_or(SealError::Malformed)?;
    let (id, salt) = rest
        .split_first_chunk::<KEY_ID_BYTES>()
        .ok_or(SealError::Malformed)?;
    let salt = salt.try_into().map_err(|_| SealError::Malformed)?;
    if *version != VERSION || body.len() < AES_256_GCM.tag_len() {
        return Err(SealError::Malformed);
    }
    Ok((head, KeyId(*id), salt, body))
}

fn head(id: KeyId, salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.push(VERSION);
    head.extend_from_slice(&id.0);
    head.extend_from_slice(salt);
    head
}

fn associated(head: &[u8], context: &str) -> Vec<u8> {
    // The head has one length, so no two pairs give the same octets.
    [head, context.as_bytes()].concat()
}

fn value_key(key: &Key, salt: &[u8; SALT_BYTES]) -> Result<LessSafeKey, SealError> {
    let derived = Salt::new(HKDF_SHA256, salt).extract(key.octets());
    let octets = derived.expand(&[DERIVED_FOR], &AES_256_GCM)?;
    Ok(LessSafeKey::new(octets.into()))
}
