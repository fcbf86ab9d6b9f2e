//! Keys that verify tokens.

use super::{check, in_route};
use crate::support::{read, with_route};
#[test]
fn tokens_are_verified_by_one_key_of_one_kind() {
    let secret = "0123456789abcdef0123456789abcdef";
    let jwt = |keys: &str| format!("auth: {{ jwt: {{ {keys} }} }}");
    let refused = |keys: &str, path: &str, message: &str, help: &str| {
        in_route(&jwt(keys), path, message, help);
    };
    refused(
        &format!("algorithms: [HS256, ▸RS256], secret: {secret}"),
        "auth.jwt.algorithms[1]",
        "RS256 needs an RSA key, but the key is a `secret`",
        "HS256, HS384, HS512",
    );
    refused(
        "algorithms: [HS256], secret: ▸short",
        "auth.jwt.secret",
        "5 bytes",
        "at least 32",
    );
    refused(
        &format!("algorithms: [▸none], secret: {secret}"),
        "auth.jwt.algorithms[0]",
        "`none` is not known",
        "",
    );
    refused(
        &format!("algorithms: ▸[], secret: {secret}"),
        "auth.jwt.algorithms",
        "empty",
        "",
    );
    check(
        &with_route(&jwt("algorithms: [HS256]").replace("jwt:", "▸jwt:")),
        &[(
            "sites.main.routes[0].auth.jwt",
            "there is no key",
            "public_key",
        )],
    );
    refused(
        "algorithms: [RS256], ▸public_key_file: a.pem",
        "auth.jwt.public_key_file",
        "a key from a file is not supported",
        "public_key: |",
    );
    refused(
        "algorithms: [RS256], public_key: ▸abc",
        "auth.jwt.public_key",
        "does not begin as PEM",
        "BEGIN PUBLIC KEY",
    );
    refused(
        &format!("algorithms: [HS256], secret: {secret}, from: [{{ ▸cookie: a, header: b }}]"),
        "auth.jwt.from[0].cookie",
        "`cookie` does not go together with `header`",
        "keep one",
    );
    in_route(
        "rate_limits: [{ rate: 1/s, key: ▸{ claim: sub } }]",
        "rate_limits[0].key",
        "this route has no `auth`",
        "count by `address`",
    );
}

#[test]
fn public_keys_are_read_before_an_edge_has_to() {
    let cases = [
        ("RS256", include_str!("../keys/rsa-2048.pem"), ""),
        ("PS512", include_str!("../keys/rsa-2048.pem"), ""),
        ("RS256", include_str!("../keys/rsa-pkcs1.pem"), ""),
        ("ES256", include_str!("../keys/p256.pem"), ""),
        ("ES384", include_str!("../keys/p384.pem"), ""),
        ("EdDSA", include_str!("../keys/ed25519.pem"), ""),
        (
            "ES256",
            include_str!("../keys/p384.pem"),
            "ES256 needs a P-256 key, but the key is a P-384 key",
        ),
        (
            "HS256",
            include_str!("../keys/rsa-2048.pem"),
            "HS256 needs a `secret`, but the key is an RSA key",
        ),
        (
            "EdDSA",
            include_str!("../keys/p256.pem"),
            "EdDSA needs an Ed25519 key",
        ),
        (
            "RS256",
            include_str!("../keys/rsa-1024.pem"),
            "an RSA key of 1024 bits",
        ),
        (
            "ES384",
            include_str!("../keys/p521.pem"),
            "no algorithm here uses a key of this kind",
        ),
        (
            "ES384",
            include_str!("../keys/certificate.pem"),
            "this is a certificate",
        ),
        (
            "RS256",
            "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n",
            "not base64",
        ),
        (
            "RS256",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "not a public key",
        ),
        (
            "RS256",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n",
            "there is no -----END PUBLIC KEY-----",
        ),
        (
            "RS256",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "this is a private key",
        ),
    ];
    for (algorithm, pem, expected) in cases {
        let quoted = serde_json::to_string(pem).unwrap();
        let outcome = read(&with_route(&format!(
            "auth: {{ jwt: {{ algorithms: [{algorithm}], public_key: {quoted} }} }}"
        )));
        match outcome {
            Ok(_) => assert_eq!(expected, "", "{algorithm} {pem}"),
            Err(errors) => {
                assert!(
                    !expected.is_empty() && errors.len() == 1,
                    "{algorithm} {pem} {errors:?}"
                );
                assert!(
                    errors[0].message.contains(expected),
                    "{expected}: {errors:?}"
                );
            }
        }
    }
}
