//! Tokens: made once, printed once, kept as a hash.
//!
//! A token is 256 random bits, so SHA-256 is hash enough: a slow hash (argon2) protects what people choose, because that
//! can be guessed; this can't, and every request would pay for it. A token that the operator presets must be at least
//! [`PRESET_CHARS_MIN`] characters long for the same reason.

use crate::store::{Store, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The least characters of a token that the operator chose.
pub const PRESET_CHARS_MIN: usize = 16;
/// The most bytes of a token that is looked at.
const TOKEN_BYTES_MAX: usize = 1024;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The API.
    Api,
    /// The fleet link.
    Join,
}

impl Purpose {
    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Join => "join",
        }
    }
}

/// A token by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    hash: [u8; 32],
}

/// A token that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The operator's choice is too short.
    #[error(
        "the {0} token is shorter than {PRESET_CHARS_MIN} characters: choose a longer one, or none and one is made"
    )]
    TooShort(&'static str),
    /// It can't be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Token {
    /// The token of this text.
    pub fn of(text: &str) -> Self {
        Self {
            hash: Sha256::digest(text.as_bytes()).into(),
        }
    }

    /// Whether this is the token, in a time that does not tell how near it is.
    pub fn is(&self, presented: &str) -> bool {
        presented.len() <= TOKEN_BYTES_MAX && bool::from(Self::of(presented).hash.ct_eq(&self.hash))
    }

    /// The token for a purpose: the operator's choice, or the one in the store, or a new one, whose text is returned
    /// too: it is nowhere else.
    pub async fn establish(
        store: &Store,
        purpose: Purpose,
        preset: Option<&str>,
    ) -> Result<(Self, Option<String>), TokenError> {
        let name = purpose.as_str();
        if let Some(preset) = preset {
            if preset.chars().count() < PRESET_CHARS_MIN {
                return Err(TokenError::TooShort(name));
            }
            let token = Self::of(preset);
            // A replica starts on a full disk too.
            if store.token_hash(name).await?.as_deref() != Some(&token.hash[..]) {
                store.set_token_hash(name, &token.hash).await?;
            }
            return Ok((token, None));
        }
        if let Some(hash) = store.token_hash(name).await? {
            let hash = hash.try_into().map_err(|_| StoreError::Damaged {
                what: "a token",
                why: "not 32 bytes".into(),
            })?;
            return Ok((Self { hash }, None));
        }
        let text = format!("lat_{name}_{}", random_hex());
        let token = Self::of(&text);
        store.set_token_hash(name, &token.hash).await?;
        Ok((token, Some(text)))
    }
}

/// The token of an `Authorization: Bearer …` header (RFC 6750 §2.1); the scheme's case does not matter.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

fn random_hex() -> String {
    use std::fmt::Write as _;
    rand::random::<[u8; 32]>()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_made_once_and_a_preset_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let (token, text) = Token::establish(&store, Purpose::Api, None).await.unwrap();
        let text = text.unwrap();
        assert!(token.is(&text) && !token.is("") && !token.is(&text[1..]));
        let (again, text_again) = Token::establish(&store, Purpose::Api, None).await.unwrap();
        assert_eq!((again, text_again), (token, None), "made once, told once");
        let (join, _) = Token::establish(&store, Purpose::Join, None).await.unwrap();
        assert!(!join.is(&text), "purposes are apart");
        let (preset, none) = Token::establish(&store, Purpose::Api, Some("chosen-by-the-operator"))
            .await
            .unwrap();
        assert!(none.is_none() && preset.is("chosen-by-the-operator") && !preset.is(&text));
        assert!(
            Token::establish(&store, Purpose::Api, Some("short"))
                .await
                .is_err()
        );
    }

    #[test]
    fn the_bearer_scheme_is_read() {
        let cases = [
            ("Bearer x", Some("x")),
            ("bearer  x ", Some("x")),
            ("Basic x", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("x", None),
        ];
        for (header, expected) in cases {
            assert_eq!(bearer(header), expected, "{header:?}");
        }
    }
}
