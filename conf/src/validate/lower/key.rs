//! What a public key is, read from its PEM text (RFC 7468, RFC 5280 §4.1.2.7). Enough to say that an edge will be able
//! to use it; nothing is verified with it here.

use super::{Flaw, auth::KeyKind};
use base64::Engine as _;

/// The fewest bits of an RSA modulus (RFC 7518 §3.3).
const RSA_BITS_MIN: usize = 2048;
/// The most: verification slows down with the square.
const RSA_BITS_MAX: usize = 8192;

const HELP: &str = "a PEM text: -----BEGIN PUBLIC KEY-----, base64 lines, -----END PUBLIC KEY-----";

// Object identifiers, DER-encoded.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

// Tags of DER (X.690 §8).
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The kind of a public key.
pub(super) fn kind(pem: &str) -> Result<KeyKind, Flaw> {
    let (label, der) = decode(pem)?;
    match label {
        "PUBLIC KEY" => subject_public_key(&der)
            .ok_or_else(|| unreadable("its contents are not a public key"))?,
        "RSA PUBLIC KEY" => {
            rsa(&der).ok_or_else(|| unreadable("its contents are not an RSA public key"))?
        }
        "CERTIFICATE" => {
            let flaw = Flaw::new("this is a certificate, not a public key");
            Err(flaw.help("`openssl x509 -pubkey -noout -in FILE` prints its key"))
        }
        private if private.contains("PRIVATE KEY") => {
            let flaw = Flaw::new("this is a private key: whoever reads the policy can make tokens");
            Err(flaw.help("`openssl pkey -pubout -in FILE` prints the public one; replace this key, it has been shown"))
        }
        other => Err(Flaw::new(format!("`{other}` is not a public key")).help(HELP)),
    }
}

/// The label and the contents of the first PEM block.
fn decode(pem: &str) -> Result<(&str, Vec<u8>), Flaw> {
    let begin = pem
        .trim_start()
        .strip_prefix("-----BEGIN ")
        .ok_or_else(|| unreadable("it does not begin as PEM"))?;
    let (label, rest) = begin
        .split_once("-----")
        .ok_or_else(|| unreadable("its first line does not end"))?;
    let end = format!("-----END {label}-----");
    let (body, _) = rest
        .split_once(&end)
        .ok_or_else(|| unreadable(&format!("there is no {end}")))?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .map_err(|_| unreadable("its lines are not base64"))?;
    Ok((label, der))
}

fn unreadable(why: &str) -> Flaw {
    Flaw::new(format!("this public key can't be read: {why}")).help(HELP)
}

/// SubjectPublicKeyInfo; none if it is malformed.
fn subject_public_key(der: &[u8]) -> Option<Result<KeyKind, Flaw>> {
    let (info, _) = value(der, SEQUENCE)?;
    let (algorithm, rest) = value(info, SEQUENCE)?;
    let (name, parameters) = value(algorithm, OBJECT_ID)?;
    let (bits, _) = value(rest, BIT_STRING)?;
    // The first octet counts unused bits; keys have none.
    let key = bits.strip_prefix(&[0])?;
    let curve = || value(parameters, OBJECT_ID).map(|(curve, _)| curve);
    if name == RSA_ENCRYPTION {
        rsa(key)
    } else if name == ED25519 {
        (key.len() == 32).then_some(Ok(KeyKind::Ed25519))
    } else if name == EC_PUBLIC_KEY && curve()? == P256 {
        (key.len() == 65).then_some(Ok(KeyKind::P256))
    } else if name == EC_PUBLIC_KEY && curve()? == P384 {
        (key.len() == 97).then_some(Ok(KeyKind::P384))
    } else {
        let flaw = Flaw::new("no algorithm here uses a key of this kind");
        Some(Err(flaw.help("RSA, P-256, P-384 and Ed25519 are known")))
    }
}

/// RSAPublicKey (RFC 8017 §A.1.1); none if it is malformed.
fn rsa(der: &[u8]) -> Option<Result<KeyKind, Flaw>> {
    let (key, _) = value(der, SEQUENCE)?;
    let (modulus, rest) = value(key, INTEGER)?;
    value(rest, INTEGER)?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        let flaw = Flaw::new(format!("an RSA key of {bits} bits"));
        return Some(Err(
            flaw.help(format!("from {RSA_BITS_MIN} to {RSA_BITS_MAX} bits"))
        ));
    }
    Some(Ok(KeyKind::Rsa))
}

/// The contents of the DER value of that tag at the start, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (
                octets
                    .iter()
                    .fold(0, |sum, octet| sum << 8 | usize::from(*octet)),
                rest,
            )
        }
        _ => return None,
    };
    (first == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}
