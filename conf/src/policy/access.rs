//! Access lists by address and country.

use std::{fmt, str::FromStr};

/// An access list: the first rule that matches decides, else the default.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// In the order of the file.
    pub rules: Vec<(AccessRule, bool)>,
    /// For a client that no rule matches: whether it is let in.
    pub otherwise: bool,
}

/// What a rule of an access list matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessRule {
    /// The client's address.
    Address(ipnet::IpNet),
    /// The client's country by GeoIP; a client whose country is unknown matches no country.
    Country(Country),
}

/// A country by its ISO 3166-1 alpha-2 code, upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

/// Not two letters.
#[derive(Debug, thiserror::Error)]
#[error("a country is two letters (ISO 3166-1), like FR, not {0:?}")]
pub struct BadCountry(String);

impl FromStr for Country {
    type Err = BadCountry;
    fn from_str(text: &str) -> Result<Self, BadCountry> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(BadCountry(text.chars().take(40).collect())),
        }
    }
}

impl Country {
    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
