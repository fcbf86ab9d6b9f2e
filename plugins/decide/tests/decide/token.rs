//! Tokens: every way to get one wrong has a name.

use crate::house::{Asking, now};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderName;
use jsonwebtoken::{EncodingKey, Header};
use latencify_conf::policy::{Algorithm, Jwt, JwtKey, TOKEN_BYTES_MAX, TokenSource};
use latencify_decide::admit::{BadKey, Refusal, Token, Verifier};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

const SECRET: &[u8] = b"a secret of at least thirty-two octets";
const RSA_PUBLIC: &str = include_str!("../keys/rsa.public.pem");
const RSA_PRIVATE: &[u8] = include_bytes!("../keys/rsa.private.pem");
const OTHER_PRIVATE: &[u8] = include_bytes!("../keys/other.private.pem");

fn rule(algorithms: &[Algorithm], key: JwtKey) -> Jwt {
    Jwt {
        algorithms: algorithms.to_vec(),
        key,
        issuers: Vec::new(),
        audiences: Vec::new(),
        claims: BTreeMap::new(),
        sources: vec![TokenSource::Bearer],
        leeway: Duration::from_secs(30),
        strip: false,
    }
}

fn hs256() -> Jwt {
    rule(&[Algorithm::HS256], JwtKey::Secret(SECRET.to_vec()))
}

fn rs256() -> Jwt {
    rule(&[Algorithm::RS256], JwtKey::PublicPem(RSA_PUBLIC.to_owned()))
}

fn seconds() -> u64 {
    now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(algorithm: jsonwebtoken::Algorithm, key: &EncodingKey, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
}

fn hs(claims: &Value) -> String {
    sign(jsonwebtoken::Algorithm::HS256, &EncodingKey::from_secret(SECRET), claims)
}

/// A token whose header is chosen freely, signed by HMAC with this secret.
fn forged(header: &Value, secret: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(&good()));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn good() -> Value {
    json!({"sub": "ada", "exp": seconds() + 60})
}

fn verify(rule: &Jwt, asking: &Asking) -> Result<Token, Refusal> {
    Verifier::new(&Arc::new(rule.clone())).unwrap().verify(&asking.facts())
}

fn bearing(token: &str) -> Asking {
    Asking::get("h", "/").header("authorization", &format!("Bearer {token}"))
}

#[test]
fn a_good_token_of_each_kind_is_verified() {
    let check = |ours, theirs, public: &str, private: EncodingKey| {
        let token = sign(theirs, &private, &good());
        let found = verify(&rule(&[ours], JwtKey::PublicPem(public.to_owned())), &bearing(&token)).unwrap();
        assert_eq!(found.claims.get("sub"), Some(&json!("ada")), "{ours:?}");
    };
    use jsonwebtoken::Algorithm as Theirs;
    let rsa = || EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap();
    check(Algorithm::RS256, Theirs::RS256, RSA_PUBLIC, rsa());
    check(Algorithm::RS512, Theirs::RS512, RSA_PUBLIC, rsa());
    check(Algorithm::PS256, Theirs::PS256, RSA_PUBLIC, rsa());
    let p256 = EncodingKey::from_ec_pem(include_bytes!("../keys/p256.private.pem")).unwrap();
    check(Algorithm::ES256, Theirs::ES256, include_str!("../keys/p256.public.pem"), p256);
    let ed = EncodingKey::from_ed_pem(include_bytes!("../keys/ed25519.private.pem")).unwrap();
    check(Algorithm::EdDSA, Theirs::EdDSA, include_str!("../keys/ed25519.public.pem"), ed);
    assert!(verify(&hs256(), &bearing(&hs(&good()))).is_ok());
}

#[test]
fn forged_tokens_are_refused_by_name() {
    let check = |what: &str, rule: &Jwt, token: &str, expected: Refusal| {
        assert_eq!(verify(rule, &bearing(token)), Err(expected), "{what}");
    };
    let b64 = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let payload = b64(&good().to_string());
    for none in ["none", "None", "NONE"] {
        let header = b64(&json!({ "alg": none }).to_string());
        check("alg none", &rs256(), &format!("{header}.{payload}."), Refusal::TokenAlgorithm);
    }
    let confused = forged(&json!({"alg": "HS256"}), RSA_PUBLIC.as_bytes());
    check("the public key as an HMAC secret", &rs256(), &confused, Refusal::TokenAlgorithm);
    let renamed = forged(&json!({"alg": "RS256"}), RSA_PUBLIC.as_bytes());
    check("an HMAC that calls itself RS256", &rs256(), &renamed, Refusal::TokenBadSignature);
    let rs512 = sign(jsonwebtoken::Algorithm::RS512, &EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap(), &good());
    check("right key, algorithm not listed", &rs256(), &rs512, Refusal::TokenAlgorithm);
    let other = sign(jsonwebtoken::Algorithm::RS256, &EncodingKey::from_rsa_pem(OTHER_PRIVATE).unwrap(), &good());
    check("another key", &rs256(), &other, Refusal::TokenBadSignature);
    check("no algorithm", &hs256(), &forged(&json!({"typ": "JWT"}), SECRET), Refusal::TokenMalformed);
    let critical = forged(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), SECRET);
    check("RFC 7515 §4.1.11", &hs256(), &critical, Refusal::TokenMalformed);
    let own_key =
        forged(&json!({"alg": "HS256", "jwk": {"kty": "oct", "k": b64("attacker's secret")}}), b"attacker's secret");
    check("a key of its own", &hs256(), &own_key, Refusal::TokenBadSignature);

    let token = hs(&good());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let altered = b64(&json!({"sub": "eve", "exp": seconds() + 60}).to_string());
    check("altered claims", &hs256(), &format!("{header}.{altered}.{signature}"), Refusal::TokenBadSignature);
    check("no signature", &hs256(), &format!("{message}."), Refusal::TokenBadSignature);
    check("two parts", &hs256(), message, Refusal::TokenMalformed);
    check("four parts", &hs256(), &format!("{token}.x"), Refusal::TokenMalformed);
    check("five parts (JWE)", &hs256(), "a.b.c.d.e", Refusal::TokenMalformed);
    check("no base64", &hs256(), "ä.ö.ü", Refusal::TokenMalformed);
    check("a list", &hs256(), &hs(&json!([1])), Refusal::TokenMalformed);
    check("oversized", &hs256(), &"a".repeat(TOKEN_BYTES_MAX + 1), Refusal::TokenOversized);
    check("empty", &hs256(), "", Refusal::TokenMalformed);
}

#[test]
fn claims_are_checked() {
    let at = seconds();
    let check = |change: &dyn Fn(&mut Jwt), claims: Value, expected: Result<(), Refusal>| {
        let mut rule = hs256();
        change(&mut rule);
        assert_eq!(verify(&rule, &bearing(&hs(&claims))).map(|_| ()), expected, "{claims}");
    };
    let plain = |_: &mut Jwt| {};
    check(&plain, json!({"exp": at - 29}), Ok(()));
    check(&plain, json!({"exp": at - 30}), Err(Refusal::TokenExpired));
    check(&plain, json!({"exp": at as f64 + 0.5}), Ok(()));
    check(&plain, json!({"exp": 1e300}), Ok(()));
    check(&plain, json!({"exp": -1}), Err(Refusal::TokenExpired));
    check(&plain, json!({"exp": (at + 60).to_string()}), Err(Refusal::TokenMalformed));
    check(&plain, json!({"exp": null}), Err(Refusal::TokenMalformed));
    check(&plain, json!({"sub": "x"}), Err(Refusal::TokenWithoutExpiry));
    check(&plain, json!({"exp": at + 60, "nbf": at + 30}), Ok(()));
    check(&plain, json!({"exp": at + 60, "nbf": at + 31}), Err(Refusal::TokenNotYetValid));
    check(&plain, json!({"exp": at + 60, "nbf": "soon"}), Err(Refusal::TokenMalformed));
    check(&plain, json!({"exp": at + 60, "aud": "anyone"}), Ok(()));

    let issued = |rule: &mut Jwt| rule.issuers = vec!["a".to_owned(), "b".to_owned()];
    check(&issued, json!({"exp": at + 60, "iss": "b"}), Ok(()));
    check(&issued, json!({"exp": at + 60, "iss": "c"}), Err(Refusal::TokenWrongIssuer));
    check(&issued, json!({"exp": at + 60, "iss": ["a"]}), Err(Refusal::TokenWrongIssuer));
    check(&issued, json!({"exp": at + 60}), Err(Refusal::TokenWrongIssuer));

    let meant = |rule: &mut Jwt| rule.audiences = vec!["shop".to_owned()];
    check(&meant, json!({"exp": at + 60, "aud": "shop"}), Ok(()));
    check(&meant, json!({"exp": at + 60, "aud": ["x", "shop"]}), Ok(()));
    check(&meant, json!({"exp": at + 60, "aud": "shop2"}), Err(Refusal::TokenWrongAudience));
    check(&meant, json!({"exp": at + 60, "aud": []}), Err(Refusal::TokenWrongAudience));
    check(&meant, json!({"exp": at + 60}), Err(Refusal::TokenWrongAudience));

    let admin = |rule: &mut Jwt| rule.claims = BTreeMap::from([("role".to_owned(), json!("admin"))]);
    check(&admin, json!({"exp": at + 60, "role": "admin"}), Ok(()));
    check(&admin, json!({"exp": at + 60, "role": ["admin"]}), Err(Refusal::TokenWrongClaim));
    check(&admin, json!({"exp": at + 60}), Err(Refusal::TokenWrongClaim));
}

#[test]
fn a_token_is_found_where_the_policy_says() {
    let mut rule = hs256();
    rule.sources = vec![
        TokenSource::Bearer,
        TokenSource::Cookie("t".to_owned()),
        TokenSource::Query("t".to_owned()),
        TokenSource::Header(HeaderName::from_static("x-t")),
    ];
    let token = hs(&good());
    let second = hs(&json!({"sub": "eve", "exp": seconds() + 60}));
    let check = |what: &str, asking: Asking, expected: Result<usize, Refusal>| {
        assert_eq!(verify(&rule, &asking).map(|token| token.source), expected, "{what}");
    };
    let get = || Asking::get("h", "/");
    let query = |query: String| Asking { query: Some(query), ..get() };
    check("nowhere", get(), Err(Refusal::TokenMissing));
    check("bearer", bearing(&token), Ok(0));
    check("scheme in any case", get().header("authorization", &format!("bEARER  {token} ")), Ok(0));
    check("another scheme", get().header("authorization", "Basic YTpi"), Err(Refusal::TokenMissing));
    check("cookie", get().header("cookie", &format!("a=b; t={token}")), Ok(1));
    check("query", query(format!("a=b&t={token}")), Ok(2));
    check("query, escaped name", query(format!("%74={token}")), Ok(2));
    check("header", get().header("x-t", &token), Ok(3));
    check("the same in two places", bearing(&token).header("x-t", &token), Ok(0));
    check("others in two places", bearing(&token).header("x-t", &second), Err(Refusal::TokenAmbiguous));
    check(
        "two lines",
        bearing(&token).header("authorization", &format!("Bearer {token}")),
        Err(Refusal::TokenAmbiguous),
    );
    check("two cookies", get().header("cookie", &format!("t={token}; t={second}")), Err(Refusal::TokenAmbiguous));
    check("two parameters", query(format!("t={token}&%74={second}")), Err(Refusal::TokenAmbiguous));
    check("bearer of nothing", get().header("authorization", "Bearer"), Err(Refusal::TokenMalformed));
}

#[test]
fn keys_that_cannot_verify_are_refused_when_the_policy_is_made_ready() {
    let check = |what: &str, rule: Jwt, expected: fn(&BadKey) -> bool| {
        let refused = Verifier::new(&Arc::new(rule)).unwrap_err();
        assert!(expected(&refused), "{what}: {refused}");
    };
    let public = || JwtKey::PublicPem(RSA_PUBLIC.to_owned());
    check("no PEM", rule(&[Algorithm::RS256], JwtKey::PublicPem("key".to_owned())), |bad| {
        matches!(bad, BadKey::Unreadable(_))
    });
    check("RSA key for EC", rule(&[Algorithm::ES256], public()), |bad| matches!(bad, BadKey::Unreadable(_)));
    check("public key for HMAC", rule(&[Algorithm::HS256], public()), |bad| matches!(bad, BadKey::Unreadable(_)));
    check("mixed kinds", rule(&[Algorithm::RS256, Algorithm::HS256], public()), |bad| {
        matches!(bad, BadKey::OtherKind(Algorithm::HS256))
    });
    let secret = JwtKey::Secret(SECRET.to_vec());
    check("secret for RSA", rule(&[Algorithm::RS256], secret), |bad| matches!(bad, BadKey::OtherKind(_)));
    check("no algorithm", rule(&[], public()), |bad| matches!(bad, BadKey::NoAlgorithm));
}
