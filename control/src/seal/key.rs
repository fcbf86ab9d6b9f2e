//! A key of the ring, and how it is written: base64 of 32 octets, one a line.

use super::SealError;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The octets of a key.
pub const KEY_BYTES: usize = 32;
/// The octets of a key's id.
pub const KEY_ID_BYTES: usize = 8;
/// The most keys of a ring.
pub const KEYS_MAX: usize = 16;

/// Of both alphabets, with or without padding: whatever made the key.
const FORGIVING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, FORGIVING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, FORGIVING);

/// Which key: the beginning of a hash of it, so that it needs no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(super) [u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

/// A key. It has no `Debug`: nothing may print it.
#[derive(Clone)]
pub struct Key {
    octets: Zeroizing<[u8; KEY_BYTES]>,
    id: KeyId,
}

impl Key {
    /// The key of these octets.
    pub fn of(octets: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"latencify seal key\0");
        hash.update(&octets[..]);
        let mut id = [0; KEY_ID_BYTES];
        id.iter_mut()
            .zip(hash.finalize())
            .for_each(|(id, octet)| *id = octet);
        Self {
            octets,
            id: KeyId(id),
        }
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// It.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..]
    }
}

/// The keys of a text, one a line (or set apart by commas), the newest first. Lines that begin with `#` are comments.
pub fn read(from: &str, text: &str) -> Result<Vec<Key>, SealError> {
    let mut keys: Vec<Key> = Vec::new();
    let no_key = |line, why| SealError::NoKey {
        from: from.to_owned(),
        line,
        why,
    };
    let mut last = 1;
    for (number, line) in text.lines().enumerate() {
        last = number + 1;
        if line.trim_start().starts_with('#') {
            continue;
        }
        for word in line.split(',').map(str::trim) {
            if word.is_empty() {
                continue;
            }
            if keys.len() >= KEYS_MAX {
                return Err(no_key(last, "more than 16 keys"));
            }
            let key = one(word).map_err(|why| no_key(last, why))?;
            if keys.iter().all(|known| known.id() != key.id()) {
                keys.push(key);
            }
        }
    }
    if keys.is_empty() {
        return Err(no_key(last, "no key"));
    }
    Ok(keys)
}

fn one(word: &str) -> Result<Key, &'static str> {
    let decoded = STANDARD.decode(word).or_else(|_| URL_SAFE.decode(word));
    let octets = Zeroizing::new(decoded.map_err(|_| "not base64")?);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if octets.len() != KEY_BYTES {
        return Err("not 32 octets");
    }
    key.copy_from_slice(&octets);
    if key.iter().all(|octet| *octet == 0) {
        return Err("all octets are 0");
    }
    Ok(Key::of(key))
}
