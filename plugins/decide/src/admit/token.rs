//! Where a token stands in a request.

use super::Refusal;
use crate::{facts::Request, fields};
use http::{HeaderName, header};
use latencify_conf::policy::{TOKEN_BYTES_MAX, TokenSource};
use std::borrow::Cow;

/// A token as it was found, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The token.
    pub token: Cow<'a, str>,
    /// The index of the place in the rule's list where it stood.
    pub source: usize,
}

/// The token of a request. The first place that holds one counts; another place may only repeat it, because the origin
/// might believe what was not checked here.
pub(super) fn find<'a>(
    sources: &[TokenSource],
    request: &Request<'a>,
) -> Result<Found<'a>, Refusal> {
    let mut found: Option<Found<'a>> = None;
    for (source, place) in sources.iter().enumerate() {
        let Some(token) = at(place, request)? else {
            continue;
        };
        match &found {
            Some(earlier) if earlier.token != token => return Err(Refusal::TokenAmbiguous),
            Some(_) => {}
            None => found = Some(Found { token, source }),
        }
    }
    let found = found.ok_or(Refusal::TokenMissing)?;
    if found.token.len() > TOKEN_BYTES_MAX {
        Err(Refusal::TokenOversized)
    } else {
        Ok(found)
    }
}

fn at<'a>(place: &TokenSource, request: &Request<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
    match place {
        TokenSource::Bearer => bearer(request),
        TokenSource::Header(name) => header_value(request, name),
        TokenSource::Cookie(name) => {
            one(fields::cookies(request.headers, name).map(|value| text(&fields::unquote(value))))
        }
        TokenSource::Query(name) => one(request
            .query
            .unwrap_or_default()
            .split('&')
            .filter(|parameter| fields::parameter_name(parameter) == name.as_str())
            .map(|parameter| {
                let raw = parameter.split_once('=').map_or("", |(_, value)| value);
                Ok(fields::form_decoded(raw))
            })),
    }
}

/// `Authorization: Bearer …` (RFC 6750 §2.1). Another scheme is no token.
fn bearer<'a>(request: &Request<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
    one(request
        .headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(|line| {
            let value = line.as_bytes().trim_ascii();
            let end = value
                .iter()
                .position(|byte| *byte == b' ')
                .unwrap_or(value.len());
            let (scheme, rest) = value.split_at(end);
            scheme
                .eq_ignore_ascii_case(b"bearer")
                .then(|| borrowed(rest.trim_ascii()))
        }))
}

fn header_value<'a>(
    request: &Request<'a>,
    name: &HeaderName,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    one(request
        .headers
        .get_all(name)
        .iter()
        .map(|line| borrowed(line.as_bytes().trim_ascii())))
}

/// At most one token may stand in a place, even if they are equal: whoever sends two is not understood.
fn one<'a>(
    mut tokens: impl Iterator<Item = Result<Cow<'a, str>, Refusal>>,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    let first = tokens.next();
    match (first, tokens.next()) {
        (None, _) => Ok(None),
        (Some(token), None) => token.map(Some),
        (Some(_), Some(_)) => Err(Refusal::TokenAmbiguous),
    }
}

fn borrowed(value: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    std::str::from_utf8(value)
        .map(Cow::Borrowed)
        .map_err(|_| Refusal::TokenMalformed)
}

fn text<'a>(value: &[u8]) -> Result<Cow<'a, str>, Refusal> {
    std::str::from_utf8(value)
        .map(|text| Cow::Owned(text.to_owned()))
        .map_err(|_| Refusal::TokenMalformed)
}
