//! Where a redirect points.

use crate::facts::Request;
use http::HeaderValue;
use latencify_conf::policy::{Redirect, RedirectTo};
use std::fmt::Write;

/// `Location` of a redirect (RFC 9110 §10.2.2). Octets of the request that don't belong into a URL are escaped, so nothing of
/// it can end the header line; and a path of the client's making never becomes another host.
pub fn location(redirect: &Redirect, request: &Request<'_>) -> Option<HeaderValue> {
    let text = match &redirect.to {
        RedirectTo::Https { port } => https(request, *port),
        RedirectTo::Url(template) => {
            let filled = fill(template, request);
            // `//host` is another host's URL (RFC 3986 §4.2); only the policy may say that.
            if filled.starts_with("//") && !template.starts_with("//") {
                format!("/{}", filled.trim_start_matches('/'))
            } else {
                filled
            }
        }
    };
    HeaderValue::try_from(escaped(&text)).ok()
}

fn https(request: &Request<'_>, port: u16) -> String {
    let mut text = String::from("https://");
    push_host(&mut text, request.host);
    if port != 443 {
        // Writing to a String does not fail.
        let _ = write!(text, ":{port}");
    }
    text.push_str(request.path);
    push_query(&mut text, request.query);
    text
}

/// One pass over the template: what is filled in is never read as a placeholder.
fn fill(template: &str, request: &Request<'_>) -> String {
    let mut text = String::with_capacity(template.len() + request.path.len());
    let mut rest = template;
    while let Some((before, from)) = rest.find('{').map(|at| rest.split_at(at)) {
        text.push_str(before);
        if let Some(after) = from.strip_prefix("{host}") {
            push_host(&mut text, request.host);
            rest = after;
        } else if let Some(after) = from.strip_prefix("{path}") {
            text.push_str(request.path);
            rest = after;
        } else if let Some(after) = from.strip_prefix("{query}") {
            push_query(&mut text, request.query);
            rest = after;
        } else {
            text.push('{');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    text.push_str(rest);
    text
}

fn push_host(text: &mut String, host: &str) {
    if host.contains(':') && !host.starts_with('[') {
        text.push('[');
        text.push_str(host);
        text.push(']');
    } else {
        text.push_str(host);
    }
}

fn push_query(text: &mut String, query: Option<&str>) {
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
}

/// Controls, blanks, non-ASCII and delimiters that no URL holds (RFC 3986 §2) as escapes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
