//! The client's own validators and ranges, against a response that the cache sends.

use crate::{context::Context, request::Request};
use http::{Method, StatusCode, header};
use latencify_decide::{
    conditional::{self, Conditional},
    range::{self, Ranged},
};
use pingora::{
    cache::CacheMeta,
    http::ResponseHeader,
    proxy::{RangeType, Session, range_header_filter},
};
use std::ops::Range;

/// Whether the client already has what is sent.
pub fn is_not_modified(request: &Request<'_>, response: &ResponseHeader, ctx: &Context) -> bool {
    let Some(asked) = &ctx.asked else {
        return false;
    };
    conditional::evaluate(
        &asked.method,
        request.headers,
        response.status.as_u16(),
        &response.headers,
        ctx.clock.began_at,
    ) == Conditional::NotModified
}

/// What of a stored body of that length the request is about, at most.
pub fn wanted(request: &Request<'_>, meta: &CacheMeta, length: u64, ctx: &Context) -> Range<u64> {
    let (status, stored) = (meta.response_header().status.as_u16(), meta.headers());
    let now = ctx.clock.began_at;
    match range::evaluate(request.method, request.headers, status, stored, length, now) {
        _ if *request.method == Method::HEAD => 0..0,
        Ranged::Whole => 0..length,
        Ranged::NotSatisfiable => 0..0,
        Ranged::Parts(parts) => {
            let start = parts.iter().map(|part| part.start).min();
            let end = parts.iter().map(|part| part.end).max();
            start.unwrap_or(0)..end.unwrap_or(length)
        }
    }
}

/// The part of the body that is sent; sets status and fields for it. A body of unknown length is sent whole.
pub fn part(session: &Session, response: &mut ResponseHeader, ctx: &Context) -> RangeType {
    let length = response
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let (Some(asked), Some(length)) = (&ctx.asked, length) else {
        return RangeType::None;
    };
    let request = &session.req_header().headers;
    match range::evaluate(
        &asked.method,
        request,
        response.status.as_u16(),
        &response.headers,
        length,
        ctx.clock.began_at,
    ) {
        Ranged::Whole => RangeType::None,
        Ranged::NotSatisfiable => not_satisfiable(response, length),
        Ranged::Parts(parts) => match parts.as_slice() {
            [part] => single(response, part, length),
            // The form of several parts is Pingora's: the same ranges, read once more.
            _ => range_header_filter(session.req_header(), response, Some(range::RANGES_MAX + 1)),
        },
    }
}

fn single(response: &mut ResponseHeader, part: &std::ops::Range<u64>, length: u64) -> RangeType {
    let Some(content_range) = range::content_range(part, length) else {
        return RangeType::None;
    };
    let (Ok(start), Ok(end)) = (usize::try_from(part.start), usize::try_from(part.end)) else {
        return RangeType::None;
    };
    let set = response
        .set_status(StatusCode::PARTIAL_CONTENT)
        .and_then(|()| response.insert_header(header::CONTENT_LENGTH, part.end - part.start))
        .and_then(|()| response.insert_header(header::CONTENT_RANGE, content_range));
    match set {
        Ok(()) => RangeType::Single(start..end),
        Err(_) => RangeType::None,
    }
}

fn not_satisfiable(response: &mut ResponseHeader, length: u64) -> RangeType {
    let set = response
        .set_status(StatusCode::RANGE_NOT_SATISFIABLE)
        .and_then(|()| response.insert_header(header::CONTENT_LENGTH, 0))
        .and_then(|()| match range::unsatisfied_range(length) {
            Some(value) => response.insert_header(header::CONTENT_RANGE, value),
            None => Ok(()),
        });
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
    ] {
        response.remove_header(&name);
    }
    if set.is_ok() {
        RangeType::Invalid
    } else {
        RangeType::None
    }
}
