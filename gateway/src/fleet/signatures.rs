//! Whether control has signed what this edge is to run. The key is pinned when the edge first hears of control, over the link that the
//! edge's certificate belongs to; from then on nothing that another key signed is built.

use super::{obey::Wanted, state::StateFolder};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use latencify_conf::{
    change::PublicKey,
    link::snapshot::{Signed, signed_bytes},
};
use serde::{Deserialize, Serialize};
use std::{fs, io};
use tracing::{info, warn};

/// In the state folder.
const FILE: &str = "policy-key.json";
/// The most bytes of it.
const BYTES_MAX: usize = 4 * 1024;

/// The key that is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    kid: String,
    public_key: PublicKey,
}

/// What this edge believes of signatures.
pub struct Signatures {
    folder: StateFolder,
    pinned: Option<Pinned>,
}

impl Signatures {
    /// With what an earlier run has pinned.
    pub fn new(folder: StateFolder) -> Self {
        Self {
            folder,
            pinned: None,
        }
    }

    /// Whether control has signed this, or why it is not to be built.
    pub fn verify(&mut self, wanted: &Wanted) -> Result<(), String> {
        let Some(signed) = &wanted.target.signed else {
            return Err("it is not signed".to_owned());
        };
        self.load()?;
        let Signed {
            kid,
            public_key,
            signature,
        } = signed;
        let key = match &self.pinned {
            Some(pinned) if pinned.kid == *kid => pinned.public_key,
            Some(pinned) => {
                return Err(format!(
                    "it is signed with the key {kid:?}, but this edge believes {:?} alone; was control set up anew? Then remove \
                     {FILE} from this edge's state folder",
                    pinned.kid
                ));
            }
            None => *public_key,
        };
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&signed_bytes(wanted.log, &wanted.target), &signature.0)
            .map_err(|_| format!("its signature is not that of the key {kid:?}"))?;
        if self.pinned.is_none() {
            self.pin(kid, key);
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), String> {
        if self.pinned.is_some() {
            return Ok(());
        }
        let path = self.folder.path().join(FILE);
        let unfit =
            |why: &dyn std::fmt::Display| format!("{} can't be read: {why}", path.display());
        match fs::read(&path) {
            Ok(bytes) if bytes.len() > BYTES_MAX => Err(unfit(&"it is too large")),
            Ok(bytes) => {
                let pinned = serde_json::from_slice(&bytes).map_err(|error| unfit(&error))?;
                self.pinned = Some(pinned);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unfit(&error)),
        }
    }

    /// What can't be kept is pinned for this run.
    fn pin(&mut self, kid: &str, public_key: PublicKey) {
        let pinned = Pinned {
            kid: kid.to_owned(),
            public_key,
        };
        let written = serde_json::to_vec(&pinned)
            .map_err(io::Error::from)
            .and_then(|bytes| self.folder.replace(FILE, &bytes));
        match written {
            Ok(()) => info!(kid, "policies are believed that this key has signed"),
            Err(error) => {
                warn!(kid, %error, "the key of policies can't be kept: it is believed for this run");
            }
        }
        self.pinned = Some(pinned);
    }
}
