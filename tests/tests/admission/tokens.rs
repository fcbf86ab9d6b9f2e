//! Tokens: which are let in, which are not, and what is said to those.

use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use latencify_tests::{Client, Edge, Origin, Reply, body, reply};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const SIGNING_KEY: &str = include_str!("../../fixtures/jwt/signing.key");
const FOREIGN_KEY: &str = include_str!("../../fixtures/jwt/foreign.key");
const PUBLIC_KEY: &str = include_str!("../../fixtures/jwt/signing.pub");
const SECRET: &str = "a-shared-secret-of-more-than-32-bytes";

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Claims that the policy below accepts, with changes; `null` takes a claim out.
fn claims(changes: Value) -> Value {
    let mut claims = json!({"iss": "https://id.example", "aud": "shop", "sub": "ada", "role": "reader", "exp": now() + 300});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn rs256(key: &str, claims: &Value) -> String {
    encode(
        &Header::new(Algorithm::RS256),
        claims,
        &EncodingKey::from_rsa_pem(key.as_bytes()).unwrap(),
    )
    .unwrap()
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(secret),
    )
    .unwrap()
}

/// `header.claims.` as a forger writes it who hopes that nobody looks at the signature.
fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| base64_url(value.to_string().as_bytes());
    format!(
        "{}.{}.",
        part(&json!({"alg": "none", "typ": "JWT"})),
        part(claims)
    )
}

fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(group >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

async fn guarded(origin: &Origin) -> Edge {
    let key = PUBLIC_KEY.lines().fold(String::new(), |key, line| {
        key + "              " + line + "\n"
    });
    Edge::alone(&format!(
        r#"version: 1
origins: {{app: {{url: "{origin}"}}}}
sites:
  shop:
    hosts: ["*"]
    routes:
      - match: {{path: /rs/**}}
        auth:
          jwt:
            algorithms: [RS256]
            public_key: |
{key}            issuer: https://id.example
            audience: [shop, till]
            claims: {{role: reader}}
            leeway: 1m
        origins: [app]
      - match: {{path: /hs/**}}
        auth: {{jwt: {{algorithms: [HS256], secret: "{SECRET}", from: [{{cookie: session}}, {{query: token}}]}}}}
        origins: [app]
"#,
        origin = origin.url(),
    ))
    .start()
    .await
}

async fn with_token(edge: &Edge, path: &str, token: &str) -> Reply {
    let request = Client::request("GET", "shop.example", path)
        .header("authorization", format!("Bearer {token}"))
        .header("accept", "application/problem+json")
        .body(body::empty())
        .unwrap();
    Client::new().send(edge.http(), request).await.unwrap()
}

#[tokio::test]
async fn only_a_good_token_reaches_the_origin() {
    let origin = Origin::serve(|_| async { reply::text("secret").done() }).await;
    let edge = guarded(&origin).await;
    let good = rs256(SIGNING_KEY, &claims(json!({})));
    let altered = {
        let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
        parts[1] = base64_url(claims(json!({"sub": "eve"})).to_string().as_bytes());
        parts.join(".")
    };
    let cases = [
        ("good", good.clone(), StatusCode::OK, ""),
        (
            "second audience",
            rs256(SIGNING_KEY, &claims(json!({"aud": ["x", "till"]}))),
            StatusCode::OK,
            "",
        ),
        (
            "expired within the leeway",
            rs256(SIGNING_KEY, &claims(json!({"exp": now() - 1}))),
            StatusCode::OK,
            "",
        ),
        (
            "expired",
            rs256(SIGNING_KEY, &claims(json!({"exp": now() - 600}))),
            StatusCode::UNAUTHORIZED,
            "token_expired",
        ),
        (
            "no expiry",
            rs256(SIGNING_KEY, &claims(json!({"exp": null}))),
            StatusCode::UNAUTHORIZED,
            "token_without_expiry",
        ),
        (
            "not yet",
            rs256(SIGNING_KEY, &claims(json!({"nbf": now() + 600}))),
            StatusCode::UNAUTHORIZED,
            "token_not_yet_valid",
        ),
        (
            "wrong audience",
            rs256(SIGNING_KEY, &claims(json!({"aud": "bank"}))),
            StatusCode::UNAUTHORIZED,
            "token_wrong_audience",
        ),
        (
            "no audience",
            rs256(SIGNING_KEY, &claims(json!({"aud": null}))),
            StatusCode::UNAUTHORIZED,
            "token_wrong_audience",
        ),
        (
            "wrong issuer",
            rs256(SIGNING_KEY, &claims(json!({"iss": "https://evil.example"}))),
            StatusCode::UNAUTHORIZED,
            "token_wrong_issuer",
        ),
        (
            "wrong claim",
            rs256(SIGNING_KEY, &claims(json!({"role": "guest"}))),
            StatusCode::FORBIDDEN,
            "token_wrong_claim",
        ),
        (
            "wrong key",
            rs256(FOREIGN_KEY, &claims(json!({}))),
            StatusCode::UNAUTHORIZED,
            "token_bad_signature",
        ),
        (
            "altered",
            altered,
            StatusCode::UNAUTHORIZED,
            "token_bad_signature",
        ),
        (
            "alg none",
            unsigned(&claims(json!({}))),
            StatusCode::UNAUTHORIZED,
            "token_algorithm",
        ),
        // The public key, which everybody knows, used as an HMAC secret.
        (
            "key confusion",
            hs256(PUBLIC_KEY.as_bytes(), &claims(json!({}))),
            StatusCode::UNAUTHORIZED,
            "token_algorithm",
        ),
        (
            "garbage",
            "not.a.token".to_owned(),
            StatusCode::UNAUTHORIZED,
            "token_malformed",
        ),
        (
            "oversized",
            rs256(SIGNING_KEY, &claims(json!({"pad": "x".repeat(9000)}))),
            StatusCode::UNAUTHORIZED,
            "token_oversized",
        ),
    ];
    for (what, token, status, reason) in cases {
        let before = origin.requests();
        let reply = with_token(&edge, "/rs/a", &token).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert_eq!(
            origin.requests() - before,
            usize::from(status == 200),
            "{what}: requests at the origin"
        );
        if status == 200 {
            continue;
        }
        assert_eq!(
            reply.header("content-type"),
            "application/problem+json",
            "{what}"
        );
        let problem: Value = reply.json();
        assert!(
            problem["type"].as_str().unwrap().ends_with(reason),
            "{what}: {problem}"
        );
        if status == 401 {
            assert!(
                reply.header("www-authenticate").starts_with("Bearer"),
                "{what}: RFC 6750 §3 wants a challenge"
            );
        }
    }
    let missing = edge.get("shop.example", "/rs/a").await;
    assert_eq!(missing.status, 401);
    assert!(
        !missing.header("www-authenticate").contains("error="),
        "RFC 6750 §3.1: no error code without a token"
    );
}

#[tokio::test]
async fn a_token_counts_only_where_the_policy_says_it_stands() {
    let origin = Origin::serve(|_| async { reply::text("secret").done() }).await;
    let edge = guarded(&origin).await;
    let token = hs256(SECRET.as_bytes(), &json!({"exp": now() + 60}));
    let cookie = Client::request("GET", "shop.example", "/hs/a")
        .header("cookie", format!("theme=dark; session={token}"))
        .body(body::empty())
        .unwrap();
    assert_eq!(
        Client::new()
            .send(edge.http(), cookie)
            .await
            .unwrap()
            .status,
        200,
        "in the cookie"
    );
    assert_eq!(
        edge.get("shop.example", &format!("/hs/a?token={token}"))
            .await
            .status,
        200,
        "in the query"
    );
    assert_eq!(
        with_token(&edge, "/hs/a", &token).await.status,
        401,
        "Authorization is not named by this route"
    );
}
