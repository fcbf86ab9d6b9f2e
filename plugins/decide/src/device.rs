//! The kind of device that a request comes from: a facet of the key with three values, so that it multiplies objects by three
//! and not by the number of browsers.

use http::{HeaderMap, HeaderName, header};
use serde::Serialize;

const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// Whatever is none of the others, crawlers too.
    Desktop,
    /// A phone.
    Mobile,
    /// A tablet.
    Tablet,
}

impl Device {
    /// Reads `User-Agent` and `Sec-CH-UA-Mobile`, in this order:
    /// 1. `iPad` or `Tablet`, or `Android` without `Mobi`: a tablet;
    /// 2. `Sec-CH-UA-Mobile: ?1`, or `Mobi`: a phone;
    /// 3. all else: a desktop.
    pub fn of(request: &HeaderMap) -> Self {
        let agent = request
            .get(header::USER_AGENT)
            .map_or(&b""[..], http::HeaderValue::as_bytes);
        let says = |word: &[u8]| {
            agent
                .windows(word.len())
                .any(|part| part.eq_ignore_ascii_case(word))
        };
        let is_mobile = says(b"mobi");
        if says(b"ipad") || says(b"tablet") || (says(b"android") && !is_mobile) {
            return Self::Tablet;
        }
        let hint = request.get(SEC_CH_UA_MOBILE);
        if is_mobile || hint.is_some_and(|hint| hint.as_bytes().trim_ascii() == b"?1") {
            return Self::Mobile;
        }
        Self::Desktop
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
        }
    }
}
