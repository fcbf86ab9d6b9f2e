//! Signing of requests to an origin, so that it answers nobody but edges: a header of which only they know the value, or AWS
//! Signature Version 4.
//!
//! It is the last thing that is done to a request before it goes out, at each attempt anew: what a retry, a condition or a range
//! changes is signed as it goes, with the time of its going. What clients send in fields that a signature is made of is taken
//! out before anything of the policy is added. A request to an origin that is not signed asks once whether it is.

pub mod aws;
#[cfg(test)]
mod tests;

use crate::{incoming::Incoming, outgoing::Outgoing, secrets::Secrets};
use aws::Aws;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use latencify_conf::{digest::Digest, policy::Sign};
use parking_lot::Mutex;
use pingora::{Error, ErrorType, OrErr as _, Result};
use std::time::{Duration, Instant, SystemTime};

/// AWS refuses a signature whose time is further away than 15 minutes; its clock is told in whole seconds, and a little later.
const SKEW_MAX: Duration = Duration::from_secs(15 * 60 - 5);
/// That clocks differ is told so often at the most.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// How the requests to one origin are signed, with the values of its secrets.
pub struct Signing {
    how: How,
    told: Mutex<Option<Instant>>,
}

enum How {
    Header {
        name: HeaderName,
        value: HeaderValue,
    },
    Aws(Box<Aws>),
}

impl Signing {
    /// With the values of its secrets; the error names the secret that is missing or can't be used.
    pub fn build(sign: &Sign, secrets: &Secrets) -> Result<Self, String> {
        let how = match sign {
            Sign::Header(header) => {
                let value = secrets.require(&header.value)?;
                let value = HeaderValue::from_bytes(value).map_err(|_| {
                    format!(
                        "secret `{}` can't be a header's value: it has a line break or another control character",
                        header.value
                    )
                });
                let mut value = value?;
                if value.is_empty() {
                    return Err(format!("secret `{}` is empty", header.value));
                }
                value.set_sensitive(true);
                How::Header {
                    name: header.name.clone(),
                    value,
                }
            }
            Sign::AwsV4(rule) => How::Aws(Box::new(Aws::build(rule, secrets)?)),
        };
        Ok(Self {
            how,
            told: Mutex::new(None),
        })
    }

    /// Takes out what only an edge may say.
    pub fn strip(&self, request: &mut impl Outgoing) {
        match &self.how {
            How::Header { name, .. } => request.remove(name),
            How::Aws(_) => aws::strip(request),
        }
    }

    /// Signs a request that is ready to go.
    pub fn sign(&self, request: &mut impl Outgoing, now: SystemTime) -> Result<()> {
        match &self.how {
            How::Header { name, value } => request.set(name.clone(), value.clone()),
            How::Aws(aws) => aws.sign(request, now),
        }
    }

    /// Whether the signature stands in `Authorization`: then that field says nothing of the client.
    pub fn takes_authorization(&self) -> bool {
        match &self.how {
            How::Header { name, .. } => name == header::AUTHORIZATION,
            How::Aws(_) => true,
        }
    }

    /// Whether a response refuses a request for the time of its signature (`RequestTimeTooSkewed`): it says nothing of what was
    /// asked for, and is never stored. It is told that the clocks differ.
    pub fn is_refused_for_time(&self, status: u16, fields: &HeaderMap, now: SystemTime) -> bool {
        if status != 403 || !matches!(self.how, How::Aws(_)) {
            return false;
        }
        let date = fields.get(header::DATE).and_then(|date| date.to_str().ok());
        let theirs = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let Some(theirs) = theirs else { return false };
        let apart = now
            .duration_since(theirs)
            .unwrap_or_else(|before| before.duration());
        apart >= SKEW_MAX
    }

    /// Tells the operator, now and then, that an origin's clock and this edge's are too far apart, if its response says so.
    pub fn heard(&self, origin: &str, response: &impl Incoming) {
        let status = response.status();
        if status != StatusCode::FORBIDDEN
            || !self.is_refused_for_time(status.as_u16(), &response.to_map(), SystemTime::now())
        {
            return;
        }
        let mut told = self.told.lock();
        if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            tracing::error!(
                origin,
                "the origin refuses signed requests, and its clock is more than 15 minutes away from this edge's: set this \
                 machine's clock (NTP)"
            );
        }
    }
}

/// A digest over the values of the secrets that an origin needs, so that it is built anew when one of them changes. Never told.
pub fn fingerprint<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    Digest::of_parts(values)
}

/// A value for a field, never shown.
fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value: HeaderValue = text
        .parse()
        .or_err(ErrorType::InternalError, "a signature that is no value")?;
    value.set_sensitive(true);
    Ok(value)
}

fn failed(why: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InternalError, why).into_up()
}
