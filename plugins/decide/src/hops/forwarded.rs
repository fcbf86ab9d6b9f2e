//! One element of `Forwarded` (RFC 7239 §4).

use super::client;
use crate::fields;
use std::net::IpAddr;

/// The address of an element's `for` parameter; none for `unknown`, an obfuscated name, no `for` or several.
pub(super) fn for_address(element: &[u8]) -> Option<IpAddr> {
    let mut values =
        fields::split(element, b';').filter_map(|parameter| match fields::pair(parameter) {
            (name, Some(value)) if name.eq_ignore_ascii_case(b"for") => Some(value),
            _ => None,
        });
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    client::address(std::str::from_utf8(&fields::unquote(value)).ok()?)
}
