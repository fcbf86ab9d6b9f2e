//! AWS Signature Version 4, in the header `Authorization`, with the rules of S3 for `s3`: the path is encoded once and not
//! normalised, and a body is not part of the signature.

use super::{failed, sensitive};
use crate::{outgoing::Outgoing, secrets::Secrets};
use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use latencify_conf::policy::{AwsV4, SecretName};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use pingora::Result;
use std::{borrow::Cow, fmt::Write as _, time::SystemTime};
use time::OffsetDateTime;
use zeroize::Zeroizing;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What the hash of a body is that nobody hashes.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing.
pub const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// What the fields begin with that are always signed.
const X_AMZ: &str = "x-amz-";
/// All but RFC 3986's unreserved characters is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The keys of one origin.
pub struct Aws {
    region: String,
    service: String,
    access_key: String,
    secret_key: Zeroizing<Vec<u8>>,
    token: Option<HeaderValue>,
    /// The key of a day, which is derived from the secret one.
    of_day: Mutex<Option<(String, hmac::Key)>>,
}

/// What is signed of a request.
pub struct Signed<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it goes over the wire.
    pub path: &'a [u8],
    /// Its query.
    pub query: &'a [u8],
    /// The fields, by lower-case names, sorted.
    pub fields: &'a [(String, String)],
    /// The hash of its body, in hexadecimal, or that it is unsigned.
    pub payload: &'a str,
}

impl Aws {
    /// With the values of its secrets.
    pub fn build(rule: &AwsV4, secrets: &Secrets) -> Result<Self, String> {
        let text = |name: &SecretName| {
            let value = std::str::from_utf8(secrets.require(name)?).ok();
            let good = value.filter(|text| {
                !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
            });
            good.map(str::to_owned).ok_or_else(|| {
                format!("secret `{name}` can't be a key of AWS: visible ASCII characters without blanks are expected")
            })
        };
        let access_key = text(&rule.access_key)?;
        if access_key.contains(['/', ',', '=']) {
            return Err(format!(
                "secret `{}` is not the id of an access key",
                rule.access_key
            ));
        }
        let token = rule.session_token.as_ref().map(text).transpose()?;
        let token = token.map(|token| sensitive(&token).map_err(|error| error.to_string()));
        Ok(Self {
            region: rule.region.clone(),
            service: rule.service.clone(),
            access_key,
            secret_key: Zeroizing::new(text(&rule.secret_key)?.into_bytes()),
            token: token.transpose()?,
            of_day: Mutex::new(None),
        })
    }

    /// Signs a request as it goes: whatever `x-amz-…` fields it has by now are signed with it.
    pub fn sign(&self, request: &mut impl Outgoing, now: SystemTime) -> Result<()> {
        let now = stamp(now);
        let payload = payload(request.method(), request.fields());
        request.remove(&header::AUTHORIZATION);
        request.set(X_AMZ_DATE, sensitive(&now)?)?;
        request.set(X_AMZ_CONTENT_SHA256, HeaderValue::from_static(payload))?;
        if let Some(token) = &self.token {
            request.set(X_AMZ_SECURITY_TOKEN, token.clone())?;
        }
        let fields = fields_of(request.fields())?;
        let target = request.target();
        let (path, query) = match target.iter().position(|octet| *octet == b'?') {
            Some(at) => (
                target.get(..at).unwrap_or_default(),
                target.get(at + 1..).unwrap_or_default(),
            ),
            None => (&target[..], &[][..]),
        };
        let authorization = self.authorization(
            &Signed {
                method: request.method().as_str(),
                path,
                query,
                fields: &fields,
                payload,
            },
            &now,
        );
        request.set(header::AUTHORIZATION, sensitive(&authorization)?)
    }

    /// The value of `Authorization`.
    pub fn authorization(&self, signed: &Signed<'_>, now: &str) -> String {
        let day = now.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let canonical = canonical(signed, self.service == "s3");
        let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("{ALGORITHM}\n{now}\n{scope}\n{hashed}");
        let signature = hex(hmac::sign(&self.key_of(day), text.as_bytes()).as_ref());
        let names = names(signed.fields);
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        )
    }

    fn key_of(&self, day: &str) -> hmac::Key {
        let mut of_day = self.of_day.lock();
        if let Some((known, key)) = of_day.as_ref()
            && known == day
        {
            return key.clone();
        }
        let secret = Zeroizing::new([b"AWS4", &self.secret_key[..]].concat());
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        for part in [day, &self.region, &self.service, "aws4_request"] {
            let tag = hmac::sign(&key, part.as_bytes());
            key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
        }
        *of_day = Some((day.to_owned(), key.clone()));
        key
    }
}

/// Takes out what a client may not say.
pub fn strip(request: &mut impl Outgoing) {
    request.remove(&header::AUTHORIZATION);
    let is_theirs = |name: &&HeaderName| name.as_str().starts_with(X_AMZ);
    let theirs: Vec<_> = request.fields().keys().filter(is_theirs).cloned().collect();
    for name in theirs {
        request.remove(&name);
    }
}

/// Nothing where there can be no body; else the body goes unsigned, for it is not here yet.
fn payload(method: &Method, fields: &HeaderMap) -> &'static str {
    let has_body = fields.contains_key(header::TRANSFER_ENCODING)
        || fields
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length != "0");
    if matches!(*method, Method::GET | Method::HEAD) && !has_body {
        EMPTY
    } else {
        UNSIGNED
    }
}

/// `Host` and whatever begins with `x-amz-`, sorted.
fn fields_of(fields: &HeaderMap) -> Result<Vec<(String, String)>> {
    let is_signed = |name: &HeaderName| *name == header::HOST || name.as_str().starts_with(X_AMZ);
    let mut signed: Vec<(String, String)> = Vec::new();
    for name in fields.keys().filter(|name| is_signed(name)) {
        let mut text = String::new();
        for value in fields.get_all(name) {
            let value = value
                .to_str()
                .map_err(|_| failed("a field that can't be signed: it is no ASCII text"))?;
            if !text.is_empty() {
                text.push(',');
            }
            trimmed(value, &mut text);
        }
        signed.push((name.as_str().to_owned(), text));
    }
    signed.sort_unstable();
    Ok(signed)
}

/// Without blanks around it, and one in the place of several.
fn trimmed(value: &str, text: &mut String) {
    for (number, word) in value.split_ascii_whitespace().enumerate() {
        if number > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
}

fn names(fields: &[(String, String)]) -> String {
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.join(";")
}

/// The canonical request.
pub fn canonical(signed: &Signed<'_>, is_s3: bool) -> String {
    let mut text = String::with_capacity(512);
    text.push_str(signed.method);
    text.push('\n');
    path(signed.path, is_s3, &mut text);
    text.push('\n');
    text.push_str(&query(signed.query));
    text.push('\n');
    for (name, value) in signed.fields {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name}:{value}");
    }
    text.push('\n');
    text.push_str(&names(signed.fields));
    text.push('\n');
    text.push_str(signed.payload);
    text
}

/// Each segment encoded as AWS encodes; for other services than S3 twice, after `.` and `..` are resolved.
fn path(path: &[u8], is_s3: bool, text: &mut String) {
    let encoded = |segment: &[u8]| {
        let plain: Cow<'_, [u8]> = percent_decode(segment).into();
        percent_encode(&plain, ENCODED).to_string()
    };
    let segments = path.split(|octet| *octet == b'/').skip(1).map(encoded);
    if is_s3 {
        for segment in segments {
            text.push('/');
            text.push_str(&segment);
        }
    } else {
        let mut kept: Vec<String> = Vec::new();
        let mut is_folder = true;
        for segment in segments {
            is_folder = matches!(segment.as_str(), "" | "." | "..");
            match segment.as_str() {
                "" | "." => {}
                ".." => drop(kept.pop()),
                _ => kept.push(segment),
            }
        }
        for segment in &kept {
            text.push('/');
            text.extend(percent_encode(segment.as_bytes(), ENCODED));
        }
        if is_folder || kept.is_empty() {
            text.push('/');
        }
    }
    if path.is_empty() {
        text.push('/');
    }
}

/// Names and values encoded as AWS encodes, sorted. A `+` is a blank, as it is to whoever verifies.
fn query(query: &[u8]) -> String {
    if query.is_empty() {
        return String::new();
    }
    let encoded = |part: &[u8]| {
        let blanks: Vec<u8> = part
            .iter()
            .map(|octet| if *octet == b'+' { b' ' } else { *octet })
            .collect();
        let plain: Cow<'_, [u8]> = percent_decode(&blanks).into();
        percent_encode(&plain, ENCODED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split(|octet| *octet == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |octet| *octet == b'=');
            let name = halves.next().unwrap_or_default();
            (encoded(name), encoded(halves.next().unwrap_or_default()))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// `20150830T123600Z`.
pub fn stamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(
        String::with_capacity(2 * octets.len()),
        |mut text, octet| {
            let _ = write!(text, "{octet:02x}");
            text
        },
    )
}
