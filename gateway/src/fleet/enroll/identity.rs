//! The edge's key and certificate, and the CAs that vouch for control: one file in the state folder, replaced as a whole, so
//! that they always belong together.

use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{X509, X509Req},
};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

/// The file in the state folder: private key, certificate, CAs; PEM, nobody's but the owner's.
pub const FILE: &str = "identity.pem";
const FILE_MODE: u32 = 0o600;
/// The most octets of it.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// A key whose certificate is still to be got.
#[derive(Clone)]
pub struct Key(PKey<Private>);

/// A key with its certificate.
#[derive(Clone)]
pub struct Identity {
    key: PKey<Private>,
    certificate: X509,
    authorities: Vec<X509>,
}

/// Why what came is no identity.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It can't be read.
    #[error("{0}")]
    Unreadable(#[from] ErrorStack),
    /// Parts are missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// They do not belong together.
    #[error("the certificate is not for the key")]
    OtherKey,
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Key {
    /// A new one, on P-256.
    pub fn make() -> Result<Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        Ok(Self(PKey::from_ec_key(EcKey::generate(&group)?)?))
    }

    /// The request for a certificate (PKCS #10, DER), which proves that the key is here.
    pub fn request(&self) -> Result<Vec<u8>, ErrorStack> {
        let mut request = X509Req::builder()?;
        request.set_pubkey(&self.0)?;
        request.sign(&self.0, MessageDigest::sha256())?;
        request.build().to_der()
    }

    /// With what control has answered, DER.
    pub fn certified<T: AsRef<[u8]>>(
        self,
        chain: &[T],
        authorities: &[T],
    ) -> Result<Identity, Unfit> {
        let read = |der: &T| X509::from_der(der.as_ref());
        let certificate = chain.first().ok_or(Unfit::Missing("the certificate"))?;
        let certificate = read(certificate)?;
        let authorities = authorities
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        Identity::of(self.0, certificate, authorities)
    }
}

impl Identity {
    fn of(key: PKey<Private>, certificate: X509, authorities: Vec<X509>) -> Result<Self, Unfit> {
        if authorities.is_empty() {
            return Err(Unfit::Missing("the CA"));
        }
        if !certificate.public_key()?.public_eq(&key) {
            return Err(Unfit::OtherKey);
        }
        Ok(Self {
            key,
            certificate,
            authorities,
        })
    }

    /// What a folder has; none: nothing yet.
    pub fn load(folder: &Path) -> Result<Option<Self>, Unfit> {
        let file = match File::open(folder.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut pem = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut pem)?;
        let key = PKey::private_key_from_pem(&pem)?;
        let mut certificates = X509::stack_from_pem(&pem)?.into_iter();
        let certificate = certificates.next();
        let certificate = certificate.ok_or(Unfit::Missing("the certificate"))?;
        Self::of(key, certificate, certificates.collect()).map(Some)
    }

    /// Puts it into the folder, as a whole or not at all.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let text = [
            self.key_pem()?,
            self.certificate_pem()?,
            self.authorities_pem()?,
        ]
        .concat();
        let fresh = folder.join(format!("{FILE}.{}.new", std::process::id()));
        let _ = fs::remove_file(&fresh);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&fresh)?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        let replaced = written.and_then(|()| fs::rename(&fresh, folder.join(FILE)));
        if replaced.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        replaced?;
        File::open(folder)?.sync_all()
    }

    /// The private key, PKCS #8 in PEM.
    pub fn key_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.key.private_key_to_pem_pkcs8()
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        self.certificate.to_pem()
    }

    /// The CAs in PEM.
    pub fn authorities_pem(&self) -> Result<Vec<u8>, ErrorStack> {
        let mut all = Vec::new();
        for authority in &self.authorities {
            all.extend(authority.to_pem()?);
        }
        Ok(all)
    }

    /// How long it still holds by this machine's clock; none: it has expired.
    pub fn holds(&self) -> Option<Duration> {
        let now = Asn1Time::days_from_now(0).ok()?;
        between(&now, self.certificate.not_after())
    }

    /// How long it holds from its beginning to its end.
    pub fn lifetime(&self) -> Duration {
        between(self.certificate.not_before(), self.certificate.not_after()).unwrap_or_default()
    }

    /// When it expires, for people.
    pub fn until(&self) -> String {
        self.certificate.not_after().to_string()
    }

    /// Whether it is the same certificate.
    pub fn is(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

/// None if the end is not behind the beginning.
fn between(from: &Asn1TimeRef, until: &Asn1TimeRef) -> Option<Duration> {
    let difference = from.diff(until).ok()?;
    let seconds = i64::from(difference.days) * 86_400 + i64::from(difference.secs);
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("until", &self.until())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_saved_is_loaded_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Identity::load(folder.path()).unwrap().is_none());
        let made = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let key = PKey::private_key_from_pem(made.signing_key.serialize_pem().as_bytes()).unwrap();
        let der = [made.cert.der()];
        let identity = Key(key).certified(&der, &der).unwrap();
        for _ in 0..2 {
            identity.save(folder.path()).unwrap();
        }
        let loaded = Identity::load(folder.path()).unwrap().unwrap();
        assert!(loaded.is(&identity) && loaded.holds().is_some());
        assert_eq!(loaded.authorities.len(), 1);
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let mode = files[0].metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE);
        // A torn or foreign file is told apart.
        let text = fs::read(folder.path().join(FILE)).unwrap();
        fs::write(folder.path().join(FILE), &text[..text.len() / 3]).unwrap();
        assert!(Identity::load(folder.path()).is_err());
        let other = Key::make().unwrap().certified(&der, &der);
        assert!(matches!(other, Err(Unfit::OtherKey)));
    }
}
