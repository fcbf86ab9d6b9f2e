//! CA files of origins: read when a policy is built, so that a missing one is that policy's error.

use latencify_conf::digest::Digest;
use pingora::protocols::tls::CaType;
use std::{fs::File, io::Read as _, path::Path, sync::Arc};

/// The most bytes of a CA file.
pub const CA_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The CAs that an origin's certificate is verified against.
#[derive(Clone)]
pub struct Ca {
    /// Parsed.
    pub certificates: Arc<CaType>,
    /// Over the file: connections that were verified against other CAs are not used again.
    pub digest: Digest,
}

impl Ca {
    /// The key that keeps apart connections that were verified against different CAs.
    pub fn group_key(&self) -> u64 {
        let head = self.digest.0.first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(head)
    }
}

/// Reads a PEM file of CA certificates.
pub fn load(path: &Path) -> Result<Ca, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("CA file {}: {error}", path.display());
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CA_BYTES_MAX + 1).read_to_end(&mut pem))
        .map_err(|error| cannot(&error))?;
    if pem.len() as u64 > CA_BYTES_MAX {
        return Err(cannot(&format!("larger than {CA_BYTES_MAX} bytes")));
    }
    let certificates = openssl::x509::X509::stack_from_pem(&pem).map_err(|error| cannot(&error))?;
    if certificates.is_empty() {
        return Err(cannot(&"no certificate in it; PEM is expected"));
    }
    Ok(Ca {
        certificates: Arc::new(certificates.into()),
        digest: Digest::of_parts([pem.as_slice()]),
    })
}
