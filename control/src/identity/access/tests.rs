//! Theft and confusion: what is presented as an access token and is none, and why it is not believed.

use super::*;
use crate::fold::{Revocation, TrustedKey};
use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use latencify_conf::change::{Octets, PublicKey, Revoked};
use serde_json::{Value, json};

struct Key {
    public: PublicKey,
    private: EncodingKey,
}

fn key() -> Key {
    let pair = Ed25519KeyPair::generate().unwrap();
    let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
    Key {
        public: Octets(pair.public_key().as_ref().try_into().unwrap()),
        private: EncodingKey::from_ed_der(der.as_ref()),
    }
}

fn trusting(keys: &[(&str, &Key, KeyUse)]) -> Trust {
    let mut trust = Trust::default();
    for (kid, key, purpose) in keys {
        let key = TrustedKey {
            purpose: *purpose,
            public_key: key.public,
        };
        trust.keys.insert((*kid).to_owned(), key);
    }
    trust
}

fn now_ms() -> i64 {
    crate::identity::now_ms()
}

fn alice() -> Claims {
    let subject = Subject {
        user: "alice".into(),
        session: Uuid::from_u128(1),
        roles: BTreeSet::from(["viewer".to_owned()]),
        sites: None,
    };
    claims(subject, now_ms())
}

/// A token of these parts, as they are.
fn assembled(header: &Value, claims: &impl serde::Serialize, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = serde_json::to_value(claims).unwrap();
    format!("{}.{}.{signature}", part(header), part(&claims))
}

fn signed(header: Header, claims: &impl serde::Serialize, key: &EncodingKey) -> String {
    encode(&header, claims, key).unwrap()
}

fn header(kid: &str) -> Header {
    Header {
        typ: Some(ACCESS_TOKEN_TYPE.to_owned()),
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::EdDSA)
    }
}

#[test]
fn a_token_of_ours_is_believed_and_says_what_was_signed() {
    let key = key();
    let trust = trusting(&[("k1", &key, KeyUse::Tokens)]);
    let claims = alice();
    let token = sign(&claims, "k1", &key.private).unwrap();
    assert_eq!(verify(&token, &trust), Ok(claims));
}

#[test]
fn the_algorithm_is_ours_whatever_the_header_says() {
    let key = key();
    let trust = trusting(&[("k1", &key, KeyUse::Tokens)]);
    let none = json!({"alg": "none", "typ": ACCESS_TOKEN_TYPE, "kid": "k1"});
    let unsigned = assembled(&none, &alice(), "");
    assert_eq!(verify(&unsigned, &trust), Err(Denied::Algorithm), "none");
    let none = json!({"alg": "None", "typ": ACCESS_TOKEN_TYPE, "kid": "k1"});
    assert!(verify(&assembled(&none, &alice(), ""), &trust).is_err());
    // The public key, in each of its forms, as a shared secret.
    for secret in [key.public.0.to_vec(), key.public.to_string().into_bytes()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header {
                alg: algorithm,
                ..header("k1")
            };
            let confused = signed(header, &alice(), &EncodingKey::from_secret(&secret));
            assert_eq!(
                verify(&confused, &trust),
                Err(Denied::Algorithm),
                "{algorithm:?}"
            );
        }
    }
    // An ID token or another kind of JWT that the same key signs.
    for typ in [None, Some("JWT".to_owned()), Some("at+JWT ".to_owned())] {
        let header = Header {
            typ,
            ..header("k1")
        };
        let other = signed(header, &alice(), &key.private);
        assert_eq!(verify(&other, &trust), Err(Denied::Algorithm));
    }
}

#[test]
fn a_key_counts_under_its_name_for_its_use() {
    let (key, other) = (key(), key());
    let trust = trusting(&[
        ("k1", &key, KeyUse::Tokens),
        ("k2", &other, KeyUse::Tokens),
        ("p1", &other, KeyUse::Policies),
    ]);
    let cases = [
        ("k1", &other.private, Denied::Signature),
        ("k2", &key.private, Denied::Signature),
        ("k3", &key.private, Denied::KeyUnknown),
        ("", &key.private, Denied::KeyUnknown),
        ("K1", &key.private, Denied::KeyUnknown),
        ("../k1", &key.private, Denied::KeyUnknown),
        ("p1", &other.private, Denied::KeyUnknown),
    ];
    for (kid, key, expected) in cases {
        let token = signed(header(kid), &alice(), key);
        assert_eq!(verify(&token, &trust), Err(expected), "{kid:?}");
    }
    let nameless = Header {
        kid: None,
        ..header("k1")
    };
    let token = signed(nameless, &alice(), &key.private);
    assert_eq!(verify(&token, &trust), Err(Denied::KeyUnknown));
    // A key that travels with the token is not looked at.
    let jwk = json!({"alg": "EdDSA", "typ": ACCESS_TOKEN_TYPE, "kid": "k3",
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": other.public.to_string()}});
    let token = signed(header("k3"), &alice(), &other.private);
    let signature = token.rsplit('.').next().unwrap();
    assert_eq!(
        verify(&assembled(&jwk, &alice(), signature), &trust),
        Err(Denied::KeyUnknown)
    );
}

#[test]
fn what_is_altered_is_not_believed() {
    let key = key();
    let trust = trusting(&[("k1", &key, KeyUse::Tokens)]);
    let token = sign(&alice(), "k1", &key.private).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let admin = Claims {
        roles: BTreeSet::from(["admin".to_owned()]),
        ..alice()
    };
    let raised = URL_SAFE_NO_PAD.encode(serde_json::to_string(&admin).unwrap());
    let swapped = format!("{}.{raised}.{}", parts[0], parts[2]);
    assert_eq!(verify(&swapped, &trust), Err(Denied::Signature));
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        // The last letter of a part may stand for fewer bits than it has.
        let is_same = verify(&altered, &trust).is_ok();
        let ends_part = token
            .as_bytes()
            .get(at + 1)
            .is_none_or(|&next| next == b'.');
        assert!(!is_same || ends_part, "letter {at}");
    }
    for odd in ["", ".", "..", "a.b.c", &"x.".repeat(20_000)] {
        assert!(verify(odd, &trust).is_err());
    }
}

#[test]
fn it_is_for_this_api_and_in_its_time() {
    let key = key();
    let trust = trusting(&[("k1", &key, KeyUse::Tokens)]);
    let now = now_ms() / 1000;
    let skew = SKEW_MAX.as_secs() as i64;
    let aud = |aud: &[&str]| aud.iter().map(|&name| name.to_owned()).collect();
    let cases: Vec<(&str, Claims, Option<Denied>)> = vec![
        (
            "an edge's alone",
            Claims {
                aud: aud(&[AUDIENCE_EDGE]),
                ..alice()
            },
            Some(Denied::Audience),
        ),
        (
            "nobody's",
            Claims {
                aud: aud(&[]),
                ..alice()
            },
            Some(Denied::Audience),
        ),
        (
            "like ours",
            Claims {
                aud: aud(&["latencify-control.evil"]),
                ..alice()
            },
            Some(Denied::Audience),
        ),
        (
            "another issuer",
            Claims {
                iss: "https://issuer.example".into(),
                ..alice()
            },
            Some(Denied::Audience),
        ),
        (
            "expired",
            Claims {
                exp: now - skew - 5,
                ..alice()
            },
            Some(Denied::Expired),
        ),
        (
            "expired within the skew",
            Claims {
                exp: now - skew + 25,
                ..alice()
            },
            None,
        ),
        (
            "from the future",
            Claims {
                nbf: now + skew + 60,
                ..alice()
            },
            Some(Denied::Early),
        ),
        (
            "from the future within the skew",
            Claims {
                nbf: now + skew - 25,
                ..alice()
            },
            None,
        ),
    ];
    for (name, claims, expected) in cases {
        let verified = verify(&sign(&claims, "k1", &key.private).unwrap(), &trust);
        assert_eq!(verified.err(), expected, "{name}");
    }
    for missing in [
        "exp", "nbf", "aud", "iss", "sub", "jti", "sid", "iat_ms", "roles",
    ] {
        let mut claims = serde_json::to_value(alice()).unwrap();
        claims.as_object_mut().unwrap().remove(missing);
        let token = signed(header("k1"), &claims, &key.private);
        assert!(verify(&token, &trust).is_err(), "without {missing}");
    }
}

#[test]
fn what_was_revoked_is_not_believed_and_what_came_later_is() {
    let key = key();
    let claims = alice();
    let token = sign(&claims, "k1", &key.private).unwrap();
    let cases = [
        (Revoked::Token(claims.jti), claims.iat_ms, true),
        (Revoked::Token(Uuid::from_u128(9)), claims.iat_ms, false),
        (Revoked::Family(claims.sid), claims.iat_ms, true),
        (Revoked::Subject("alice".into()), claims.iat_ms, true),
        (Revoked::Subject("bob".into()), claims.iat_ms, false),
        (Revoked::Everybody, claims.iat_ms, true),
        (Revoked::Subject("alice".into()), claims.iat_ms - 1, false),
    ];
    for (what, before_ms, is_revoked) in cases {
        let mut trust = trusting(&[("k1", &key, KeyUse::Tokens)]);
        let revocation = Revocation {
            before_ms,
            until_ms: i64::MAX,
        };
        trust.revocations.insert(what.clone(), revocation);
        let expected = is_revoked.then_some(Denied::Revoked);
        assert_eq!(verify(&token, &trust).err(), expected, "{what:?}");
    }
}
