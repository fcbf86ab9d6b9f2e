//! The target of a request, in its four forms (RFC 9112 §3.2).

use crate::{Violation, authority::Authority, octets};

/// Whether it may stand in a target, and what is wrong when it may not. `"` is let pass in a path and refused in a
/// query; that is looked at in [`read`].
static PATH: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0x21;
    while octet < 0x7f {
        table[octet] = !matches!(octet as u8, b'#' | b'<' | b'>' | b'`');
        octet += 1;
    }
    // In a query, and there alone.
    table[b'`' as usize] = true;
    table
};

/// The form that a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `/path?query`.
    Origin,
    /// `http://host/path`: what follows the authority begins `rest` octets into the target.
    Absolute {
        /// Whether the scheme is `https`.
        https: bool,
        /// Where the authority begins.
        authority: usize,
        /// Where it ends.
        rest: usize,
    },
    /// `*`, of `OPTIONS` alone.
    Asterisk,
}

/// Whether an octet may stand in a target.
pub fn is_target_octet(octet: u8) -> bool {
    PATH[octet as usize]
}

/// What is wrong with an octet that may not.
pub fn flaw(octet: u8) -> Violation {
    match octet {
        b'#' => Violation::FragmentInTarget,
        0x80.. => Violation::NonAsciiTarget,
        octet if octets::is_control(octet) => Violation::ControlInTarget,
        _ => Violation::BadTargetOctet,
    }
}

/// Reads a target whose octets are sound one by one.
pub fn read(method: &[u8], target: &[u8]) -> Result<Target, Violation> {
    if method == b"CONNECT" {
        return Err(Violation::Connect);
    }
    if method == b"PRI" {
        return Err(Violation::PriorKnowledge);
    }
    let form = match target.first() {
        Some(b'/') => Target::Origin,
        Some(b'*') if target.len() == 1 && method == b"OPTIONS" => return Ok(Target::Asterisk),
        _ => absolute(target)?,
    };
    let start = match form {
        Target::Absolute { rest, .. } => rest,
        _ => 0,
    };
    let mut parts = target
        .get(start..)
        .unwrap_or_default()
        .splitn(2, |octet| *octet == b'?');
    let (path, query) = (parts.next(), parts.next());
    if path.is_some_and(|path| path.contains(&b'`'))
        || query.is_some_and(|query| query.contains(&b'"'))
    {
        return Err(Violation::BadTargetOctet);
    }
    Ok(form)
}

/// Whether it is a target in origin form (or `*`, of `OPTIONS`), for one that did not come in a request line.
pub fn check_target(method: &[u8], target: &[u8]) -> Result<(), Violation> {
    if let Some(octet) = target.iter().find(|octet| !is_target_octet(**octet)) {
        return Err(flaw(*octet));
    }
    match read(method, target)? {
        Target::Absolute { .. } => Err(Violation::BadTarget),
        Target::Origin | Target::Asterisk => Ok(()),
    }
}

fn absolute(target: &[u8]) -> Result<Target, Violation> {
    const SCHEMES: [(&[u8], bool); 2] = [(b"http://", false), (b"https://", true)];
    let begins = |scheme: &[u8]| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let Some((scheme, https)) = SCHEMES.into_iter().find(|(scheme, _)| begins(scheme)) else {
        return Err(Violation::BadTarget);
    };
    let rest = target.get(scheme.len()..).unwrap_or_default();
    let length = octets::run(rest, |octet| !matches!(octet, b'/' | b'?'));
    let authority = rest.get(..length).unwrap_or_default();
    Authority::read(authority)?;
    Ok(Target::Absolute {
        https,
        authority: scheme.len(),
        rest: scheme.len() + length,
    })
}
