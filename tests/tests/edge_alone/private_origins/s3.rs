//! What S3 does with a request, written anew: it shares no code with what signs.

use super::{ID, KEY, TOKEN};
use latencify_tests::Call;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt::Write as _};

pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|octet| octet ^ with);
    let inner = Sha256::new_with_prefix(pad(0x36)).chain_update(text);
    let outer = Sha256::new_with_prefix(pad(0x5c)).chain_update(inner.finalize());
    outer.finalize().to_vec()
}

fn decoded(text: &str) -> Vec<u8> {
    let mut octets = text.bytes();
    let mut plain = Vec::new();
    while let Some(octet) = octets.next() {
        if octet == b'%' {
            let pair = [octets.next().unwrap(), octets.next().unwrap()];
            let pair = std::str::from_utf8(&pair).unwrap();
            plain.push(u8::from_str_radix(pair, 16).unwrap());
        } else {
            plain.push(octet);
        }
    }
    plain
}

fn encoded(octets: &[u8], keeps_slash: bool) -> String {
    octets.iter().fold(String::new(), |mut text, &octet| {
        let is_plain = octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet);
        if is_plain || (keeps_slash && octet == b'/') {
            text.push(char::from(octet));
        } else {
            write!(text, "%{octet:02X}").unwrap();
        }
        text
    })
}

/// What S3 does with a request: why it refuses it, or nothing.
pub fn refusal(call: &Call) -> Result<(), String> {
    let authorization = call.header("authorization");
    let rest = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| format!("AccessDenied: {authorization:?}"))?;
    let parts: BTreeMap<&str, &str> = rest
        .split(", ")
        .filter_map(|part| part.split_once('='))
        .collect();
    let scope: Vec<&str> = parts["Credential"].split('/').collect();
    if scope[0] != ID || scope[2..] != ["eu-west-1", "s3", "aws4_request"] {
        return Err(format!("InvalidAccessKeyId: {scope:?}"));
    }
    let date = call.header("x-amz-date");
    let signed: Vec<&str> = parts["SignedHeaders"].split(';').collect();
    let headers = call.request.headers();
    for name in headers.keys().map(http::HeaderName::as_str) {
        if name.starts_with("x-amz-") && !signed.contains(&name) {
            return Err(format!("AccessDenied: {name} is not signed"));
        }
    }
    if !signed.contains(&"host") {
        return Err("AccessDenied: host is not signed".to_owned());
    }
    if call.header("x-amz-security-token") != TOKEN {
        return Err("InvalidToken".to_owned());
    }
    let of = |name: &str| {
        let authority = call.request.uri().authority();
        match (name, authority) {
            ("host", Some(authority)) => authority.to_string(),
            _ => call.header(name).trim().to_owned(),
        }
    };
    let mut text = format!("{}\n", call.request.method());
    writeln!(text, "{}", encoded(&decoded(call.path()), true)).unwrap();
    let query = call.request.uri().query().unwrap_or_default();
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let form = |text: &str| encoded(&decoded(&text.replace('+', " ")), false);
            (form(name), form(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    writeln!(text, "{}", pairs.join("&")).unwrap();
    for name in &signed {
        writeln!(text, "{name}:{}", of(name)).unwrap();
    }
    let hash = call.header("x-amz-content-sha256");
    write!(text, "\n{}\n{hash}", signed.join(";")).unwrap();
    let scope_text = scope[1..].join("/");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope_text}\n{}",
        hex(&Sha256::digest(&text))
    );
    let mut key = format!("AWS4{KEY}").into_bytes();
    for part in &scope[1..] {
        key = hmac(&key, part);
    }
    if hex(&hmac(&key, &to_sign)) != parts["Signature"] {
        return Err(format!("SignatureDoesNotMatch: {text}"));
    }
    Ok(())
}
