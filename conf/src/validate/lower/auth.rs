//! Tokens.

use super::{At, Flaw, Lowering, key};
use crate::{
    document::{self, Secret},
    policy::{Algorithm, Jwt, JwtKey, TOKEN_SECRET_BYTES_MIN, TokenSource},
};
use std::time::Duration;

const LEEWAY: Duration = Duration::from_secs(30);

/// The kind of a key decides which algorithms may be used with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Lowering<'_, '_, '_> {
    pub(super) fn jwt(&mut self, written: &document::Jwt, at: At<'_>) -> Jwt {
        let (key, kind) = self.jwt_key(written, at);
        for (algorithm, item) in written.algorithms.iter().zip(at.key("algorithms").items()) {
            let needed = kind_of(*algorithm);
            if let Some(kind) = kind.filter(|kind| *kind != needed) {
                let flaw = Flaw::new(format!(
                    "{algorithm:?} needs {}, but the key is {}",
                    needed.name(),
                    kind.name()
                ));
                self.refuse(
                    item,
                    flaw.help(format!("with this key: {}", kind.algorithms())),
                );
            }
        }
        let texts = |list: &Option<document::OneOrMany<document::text::Words>>| {
            list.iter()
                .flat_map(document::OneOrMany::as_slice)
                .map(|text| text.0.clone())
                .collect()
        };
        Jwt {
            algorithms: written.algorithms.clone(),
            key,
            issuers: texts(&written.issuer),
            audiences: texts(&written.audience),
            claims: written
                .claims
                .iter()
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
            sources: written.from.as_ref().map_or_else(
                || vec![TokenSource::Bearer],
                |sources| sources.iter().map(token_source).collect(),
            ),
            leeway: written.leeway.map_or(LEEWAY, |leeway| leeway.0),
            strip: written.strip,
        }
    }

    /// The key and, if it is sound, its kind.
    fn jwt_key(&mut self, written: &document::Jwt, at: At<'_>) -> (JwtKey, Option<KeyKind>) {
        if at.has("public_key_file") {
            let flaw = Flaw::new("a key from a file is not supported");
            self.refuse_key(
                at.key("public_key_file"),
                flaw.help("write the key itself: `public_key: |` and the PEM text below"),
            );
        }
        match (at.has("secret"), at.has("public_key")) {
            (true, true) => {
                let flaw = Flaw::new("`secret` and `public_key` do not go together");
                self.refuse_key(
                    at.key("public_key"),
                    flaw.help("tokens are verified by one key: keep one"),
                );
            }
            (false, false) if !at.has("public_key_file") => {
                let flaw = Flaw::new("there is no key to verify tokens with");
                self.refuse_key(
                    at,
                    flaw.help("add `public_key: |` with the PEM text, or `secret: {ref: NAME}`"),
                );
            }
            _ => {}
        }
        if let Some(Secret::Ref(reference)) = &written.secret {
            let name = self.secret(reference, at.key("secret"));
            return (JwtKey::SecretRef(name), Some(KeyKind::Secret));
        }
        if let Some(Secret::Text(secret)) = &written.secret {
            if secret.len() < TOKEN_SECRET_BYTES_MIN {
                let flaw = Flaw::new(format!(
                    "this secret has {} bytes and can be guessed",
                    secret.len()
                ));
                self.refuse(
                    at.key("secret"),
                    flaw.help(format!(
                        "at least {TOKEN_SECRET_BYTES_MIN}, like the output of `openssl rand -hex 32`"
                    )),
                );
            }
            return (
                JwtKey::Secret(secret.clone().into_bytes()),
                Some(KeyKind::Secret),
            );
        }
        let pem = written.public_key.clone().unwrap_or_default();
        let kind = written
            .public_key
            .as_deref()
            .and_then(|pem| match key::kind(pem) {
                Ok(kind) => Some(kind),
                Err(flaw) => {
                    self.refuse(at.key("public_key"), flaw);
                    None
                }
            });
        (JwtKey::PublicPem(pem), kind)
    }
}

impl KeyKind {
    fn name(self) -> &'static str {
        match self {
            Self::Secret => "a `secret`",
            Self::Rsa => "an RSA key",
            Self::P256 => "a P-256 key",
            Self::P384 => "a P-384 key",
            Self::Ed25519 => "an Ed25519 key",
        }
    }

    fn algorithms(self) -> &'static str {
        match self {
            Self::Secret => "HS256, HS384, HS512",
            Self::Rsa => "RS256, RS384, RS512, PS256, PS384, PS512",
            Self::P256 => "ES256",
            Self::P384 => "ES384",
            Self::Ed25519 => "EdDSA",
        }
    }
}

fn kind_of(algorithm: Algorithm) -> KeyKind {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => KeyKind::Secret,
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => KeyKind::Rsa,
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => KeyKind::Rsa,
        Algorithm::ES256 => KeyKind::P256,
        Algorithm::ES384 => KeyKind::P384,
        Algorithm::EdDSA => KeyKind::Ed25519,
    }
}

fn token_source(written: &document::TokenSource) -> TokenSource {
    match written {
        document::TokenSource::Bearer => TokenSource::Bearer,
        document::TokenSource::Header(name) => TokenSource::Header(name.0.clone()),
        document::TokenSource::Cookie(name) => TokenSource::Cookie(name.0.clone()),
        document::TokenSource::Query(name) => TokenSource::Query(name.0.clone()),
    }
}
