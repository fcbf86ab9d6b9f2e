//! What can go wrong with a request, and how it is told. Inside, a fault is a name; here it becomes HTTP: an
//! `application/problem+json` document (RFC 9457) or a small page for browsers, with the request's id and nothing of
//! what is behind the edge.

use bytes::Bytes;
use http::StatusCode;
use latencify_conf::api::Problem;

/// Why a request was not answered as it asked. The name is stable: records, metrics and problem types carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request can't be understood.
    BadRequest,
    /// No token, or one that is not good.
    Unauthorized,
    /// The client is not let in.
    Forbidden,
    /// No site answers for the host.
    NoSite,
    /// The host is not served over this connection.
    Misdirected,
    /// The site has no route for it.
    NoRoute,
    /// The method is refused everywhere.
    MethodNotAllowed,
    /// The request's head did not come in time.
    RequestTimeout,
    /// The request's body is larger than the route allows.
    BodyTooLarge,
    /// The target is longer than the edge allows.
    TargetTooLong,
    /// The header fields are more, or longer, than the edge allows.
    FieldsTooLarge,
    /// The client expects what is not done here.
    ExpectationFailed,
    /// The request needs what nobody here knows.
    NotImplemented,
    /// The version of HTTP is not spoken here.
    VersionNotSupported,
    /// A rate limit is reached.
    RateLimited,
    /// The request came through this edge before.
    Loop,
    /// A defect of this program.
    Internal,
    /// An origin answered with what is not HTTP, or broke off.
    OriginFailed,
    /// No origin could be reached.
    OriginUnreachable,
    /// No origin answered in time.
    OriginTimeout,
    /// As many requests are at origins as the edge lets be there.
    Fetches,
    /// The same of this client's.
    FetchesOfAddress,
    /// No origin of the route is healthy or resolvable.
    NoOrigin,
    /// The edge runs no policy yet.
    NoPolicy,
    /// Control is out of reach, and the request needs it.
    ControlUnreachable,
    /// A purge that this edge obeys, but has not on disk beside what it would find there after a restart.
    PurgeNotKept,
    /// The client wants a stored response only, and there is none.
    OnlyIfCached,
    /// There is a stored response, but the edge is isolated, and it may have been purged.
    Isolated,
    /// There is a stale response that only its origin may let answer, which can't be reached (RFC 9111 §5.2.2.2).
    NotRevalidated,
}

impl Fault {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NoSite => "no_site",
            Self::Misdirected => "misdirected",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::FieldsTooLarge => "fields_too_large",
            Self::ExpectationFailed => "expectation_failed",
            Self::NotImplemented => "not_implemented",
            Self::VersionNotSupported => "version_not_supported",
            Self::RateLimited => "rate_limited",
            Self::Loop => "loop_detected",
            Self::Internal => "internal",
            Self::OriginFailed => "origin_failed",
            Self::OriginUnreachable => "origin_unreachable",
            Self::OriginTimeout => "origin_timeout",
            Self::Fetches => "fetches",
            Self::FetchesOfAddress => "fetches_per_address",
            Self::NoOrigin => "no_origin",
            Self::NoPolicy => "no_policy",
            Self::ControlUnreachable => "control_unreachable",
            Self::PurgeNotKept => "purge_not_kept",
            Self::OnlyIfCached => "only_if_cached",
            Self::Isolated => "isolated",
            Self::NotRevalidated => "not_revalidated",
        }
    }

    /// The status that it becomes.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NoSite | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::OriginFailed | Self::OriginUnreachable => StatusCode::BAD_GATEWAY,
            Self::OriginTimeout | Self::OnlyIfCached | Self::NotRevalidated => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Fetches
            | Self::FetchesOfAddress
            | Self::NoOrigin
            | Self::NoPolicy
            | Self::ControlUnreachable
            | Self::PurgeNotKept
            | Self::Isolated => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The same for every occurrence, for people who read the answer.
    pub fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request can't be understood",
            Self::Unauthorized => "A valid token is needed",
            Self::Forbidden => "Access is not allowed",
            Self::NoSite => "No site answers for this host",
            Self::Misdirected => "This host is not served over this connection",
            Self::NoRoute => "Nothing is served here",
            Self::MethodNotAllowed => "The method is not allowed",
            Self::RequestTimeout => "The request came too slowly",
            Self::BodyTooLarge => "The request's body is too large",
            Self::TargetTooLong => "The address is too long",
            Self::FieldsTooLarge => "The request's header fields are too large",
            Self::ExpectationFailed => "The expectation can't be met",
            Self::NotImplemented => "The request needs what is not done here",
            Self::VersionNotSupported => "This version of HTTP is not spoken here",
            Self::RateLimited => "Too many requests",
            Self::Loop => "The request came here before",
            Self::Internal => "Something went wrong here",
            Self::OriginFailed => "The origin did not answer properly",
            Self::OriginUnreachable => "The origin can't be reached",
            Self::OriginTimeout => "The origin did not answer in time",
            Self::Fetches | Self::FetchesOfAddress => "Too many requests wait for origins",
            Self::NoOrigin => "No origin is available",
            Self::NoPolicy => "The edge is starting",
            Self::ControlUnreachable => "Control can't be reached",
            Self::PurgeNotKept => "The purge does not outlive a restart yet",
            Self::OnlyIfCached => "No stored response",
            Self::Isolated => "The edge is cut off",
            Self::NotRevalidated => "What is stored needs its origin, which can't be reached",
        }
    }

    /// The seconds after which it is worth another try, where that can be said.
    pub fn retry_after(self) -> Option<u32> {
        matches!(self, Self::Fetches | Self::FetchesOfAddress).then_some(1)
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RequestTimeout
                | Self::RateLimited
                | Self::OriginFailed
                | Self::OriginUnreachable
                | Self::OriginTimeout
                | Self::Fetches
                | Self::FetchesOfAddress
                | Self::NoOrigin
                | Self::NoPolicy
                | Self::ControlUnreachable
                | Self::PurgeNotKept
                | Self::Isolated
                | Self::NotRevalidated
        )
    }
}

/// The body of an error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Bytes,
}

/// The body for a fault in the form that the client prefers: JSON unless HTML is asked for more. `kind` names the
/// problem more exactly than the fault.
pub fn body(
    fault: Fault,
    kind: Option<&str>,
    detail: Option<&str>,
    request_id: &str,
    accept: Option<&str>,
) -> ErrorBody {
    if accept.is_some_and(prefers_html) {
        return ErrorBody {
            content_type: "text/html; charset=utf-8",
            bytes: page(fault, detail, request_id).into(),
        };
    }
    let problem = Problem {
        kind: format!("/problems/{}", kind.unwrap_or(fault.name())),
        title: fault.title().to_owned(),
        status: fault.status().as_u16(),
        detail: detail.map(str::to_owned),
        request_id: Some(request_id.to_owned()),
        retryable: fault.is_retryable(),
        errors: Vec::new(),
    };
    ErrorBody {
        content_type: "application/problem+json",
        bytes: serde_json::to_vec(&problem).unwrap_or_default().into(),
    }
}

/// Whether `Accept` puts HTML before JSON (RFC 9110 §12.5.1).
fn prefers_html(accept: &str) -> bool {
    let quality = |wanted: &[&str]| {
        accept
            .split(',')
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next()?.to_ascii_lowercase();
                let q = parts
                    .find_map(|parameter| parameter.strip_prefix("q="))
                    .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
                wanted.contains(&name.as_str()).then_some(q)
            })
            .fold(0.0, f32::max)
    };
    quality(&["text/html", "application/xhtml+xml"])
        > quality(&[
            "application/problem+json",
            "application/json",
            "application/*",
        ])
}

fn page(fault: Fault, detail: Option<&str>, request_id: &str) -> String {
    let status = fault.status().as_u16();
    let title = fault.title();
    let detail = detail
        .map(|detail| format!("<p>{}</p>", escape(detail)))
        .unwrap_or_default();
    let request_id = escape(request_id);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{status} {title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;\
         padding:0 1rem}}code{{color:#666}}</style><h1>{title}</h1>{detail}<p><code>{status} · {request_id}</code></p></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_a_page_and_programs_get_json() {
        let check = |accept: Option<&str>, html: bool| {
            let body = body(Fault::NoSite, None, None, "id-1", accept);
            assert_eq!(
                body.content_type.starts_with("text/html"),
                html,
                "{accept:?}"
            );
            let text = String::from_utf8(body.bytes.to_vec()).unwrap();
            assert!(text.contains("id-1"), "{text}");
        };
        check(None, false);
        check(Some("*/*"), false);
        check(Some("application/json"), false);
        check(
            Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            true,
        );
        check(Some("text/html;q=0.5, application/json"), false);
        check(Some("text/html;q=0"), false);
    }

    #[test]
    fn what_clients_send_is_escaped() {
        let body = body(
            Fault::Forbidden,
            None,
            Some("<script>"),
            "\"><b>",
            Some("text/html"),
        );
        let text = String::from_utf8(body.bytes.to_vec()).unwrap();
        assert!(
            !text.contains("<script>") && !text.contains("<b>"),
            "{text}"
        );
    }

    #[test]
    fn a_problem_names_its_kind_and_whether_to_try_again() {
        let body = body(Fault::OriginTimeout, None, None, "id", None);
        let problem: Problem = serde_json::from_slice(&body.bytes).unwrap();
        assert_eq!(
            (problem.status, problem.kind.as_str(), problem.retryable),
            (504, "/problems/origin_timeout", true)
        );
    }
}
