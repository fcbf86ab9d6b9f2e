//! Access lists.

use super::Refusal;
use crate::facts::Request;
use latencify_conf::policy::{Access, AccessRule, Site};
use std::net::IpAddr;

/// Which part of an access list denied a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessDenied {
    /// A rule on the address.
    Address,
    /// A rule on the country.
    Country,
    /// No rule matched, and the list is closed to others.
    Otherwise,
}

impl From<AccessDenied> for Refusal {
    fn from(denied: AccessDenied) -> Self {
        match denied {
            AccessDenied::Address => Self::AccessAddress,
            AccessDenied::Country => Self::AccessCountry,
            AccessDenied::Otherwise => Self::AccessOtherwise,
        }
    }
}

/// Whether an access list lets a client in: the first rule that matches decides. An IPv4 address inside IPv6
/// (`::ffff:192.0.2.1`) is the IPv4 address; a client whose country is unknown matches no country.
pub fn allowed(access: &Access, request: &Request<'_>) -> Result<(), AccessDenied> {
    let client = request.client.to_canonical();
    let country = request.place.and_then(|place| place.country);
    for (rule, lets_in) in &access.rules {
        let (matches, denied) = match rule {
            AccessRule::Address(net) => (net.contains(&client), AccessDenied::Address),
            AccessRule::Country(of) => (country == Some(*of), AccessDenied::Country),
        };
        if matches {
            return if *lets_in { Ok(()) } else { Err(denied) };
        }
    }
    if access.otherwise {
        Ok(())
    } else {
        Err(AccessDenied::Otherwise)
    }
}

/// Whether a client may send `PURGE` for a site.
pub fn may_purge(site: &Site, client: IpAddr) -> bool {
    let client = client.to_canonical();
    site.purge.from.iter().any(|net| net.contains(&client))
}
