//! The secrets of the policy that runs, as control gives them: fetched with a policy and whenever one changes, kept in the state
//! folder for starts without control. A secret that control does not have is not there: the policy that names it is not built.

use super::{client::Client, state::StateFolder};
use crate::secrets::{SECRETS_MAX, SecretStore, Secrets, Value};
use latencify_conf::{
    bundle::Bundle,
    digest::Digest,
    policy::{SECRET_BYTES_MAX, SecretName},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, sync::Arc};
use zeroize::{Zeroize, Zeroizing};

/// The file in the state folder.
const FILE: &str = "secrets.json";
/// The version of its format. Every former version stays readable.
const FORMAT: u32 = 1;
/// The most bytes of it.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Keeps the edge's secrets up to date.
pub struct Keeper {
    client: Client,
    folder: StateFolder,
    store: Arc<SecretStore>,
    /// The policy whose secrets were fetched last, if none has changed since.
    fetched: Option<Digest>,
}

/// Values in hexadecimal: whatever octets they have.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: u32,
    secrets: BTreeMap<String, String>,
}

impl Drop for Saved {
    fn drop(&mut self) {
        self.secrets.values_mut().for_each(Zeroize::zeroize);
    }
}

impl Keeper {
    /// Nothing is fetched yet.
    pub fn new(client: Client, folder: StateFolder, store: Arc<SecretStore>) -> Self {
        Self {
            client,
            folder,
            store,
            fetched: None,
        }
    }

    /// Takes over what an earlier run has saved. The error says why nothing of it is believed.
    pub fn load(&self) -> Result<(), String> {
        let path = self.folder.path().join(FILE);
        let about = |why: String| format!("{}: {why}", path.display());
        let text = match std::fs::metadata(&path) {
            Ok(file) if file.len() > FILE_BYTES_MAX => {
                return Err(about(format!("larger than {FILE_BYTES_MAX} bytes")));
            }
            Ok(_) => std::fs::read(&path).map(Zeroizing::new),
            Err(error) => Err(error),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(about(error.to_string())),
        };
        let secrets = read(&text).map_err(about)?;
        self.store.set(secrets);
        Ok(())
    }

    /// One of them has changed, or may have.
    pub fn have_changed(&mut self) {
        self.fetched = None;
    }

    /// Whether they have to be fetched for this policy.
    pub fn needs(&self, digest: Digest) -> bool {
        self.fetched != Some(digest)
    }

    /// Fetches those that a policy names. Says whether they differ from what is known.
    pub async fn fetch(&mut self, digest: Digest, bundle: &Bundle) -> Result<bool, String> {
        let fetched = if names_any(bundle) {
            self.client.fetch_secrets(digest).await?
        } else {
            Secrets::default()
        };
        self.fetched = Some(digest);
        Ok(self.store.set(fetched))
    }

    /// Writes down what is known: the values of the policy that runs.
    pub fn save(&self) -> io::Result<()> {
        let secrets = self.store.now();
        let path = self.folder.path().join(FILE);
        if secrets.is_empty() && !path.exists() {
            return Ok(());
        }
        self.folder.replace(FILE, &write(&secrets)?)
    }
}

/// A policy without the word names no secret.
fn names_any(bundle: &Bundle) -> bool {
    bundle.files().iter().any(|file| file.text.contains("ref"))
}

fn write(secrets: &Secrets) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let secrets = secrets.iter().map(|(name, value)| {
        let octets = value.octets();
        let hex = octets.iter().flat_map(|octet| {
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
            [digit(octet >> 4), digit(octet & 15)]
        });
        let mut text = String::with_capacity(2 * octets.len());
        text.extend(hex);
        (name.0.to_string(), text)
    });
    let saved = Saved {
        format: FORMAT,
        secrets: secrets.collect(),
    };
    serde_json::to_vec(&saved).map(Zeroizing::new)
}

/// No error quotes what is read.
fn read(text: &[u8]) -> Result<Secrets, String> {
    let saved: Saved = serde_json::from_slice(text).map_err(|error| {
        format!(
            "not understood at line {}, column {}",
            error.line(),
            error.column()
        )
    })?;
    if saved.format != FORMAT {
        return Err(format!(
            "format {} is of another version of this program",
            saved.format
        ));
    }
    if saved.secrets.len() > SECRETS_MAX {
        return Err(format!("more than {SECRETS_MAX} secrets"));
    }
    let secrets = saved.secrets.iter().map(|(name, hex)| {
        let octets = octets(hex).ok_or_else(|| format!("the value of `{name}` is damaged"))?;
        Ok((SecretName::from(name.as_str()), Value::exactly(octets)))
    });
    secrets.collect()
}

fn octets(hex: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !hex.len().is_multiple_of(2) || hex.len() > 2 * SECRET_BYTES_MAX {
        return None;
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(hex.len() / 2));
    for pair in hex.as_bytes().chunks(2) {
        let digit = |octet: u8| char::from(octet).to_digit(16);
        let [high, low] = pair else { return None };
        octets.push((digit(*high)? * 16 + digit(*low)?) as u8);
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_again_and_damage_is_told_without_a_value() {
        let secrets: Secrets = [("a", &b"hunter2"[..]), ("b", b"\n\xff\x00"), ("c", b"")]
            .into_iter()
            .map(|(name, octets)| {
                let value = Value::exactly(Zeroizing::new(octets.to_vec()));
                (SecretName::from(name), value)
            })
            .collect();
        let text = write(&secrets).unwrap();
        assert_eq!(read(&text).unwrap(), secrets);
        let good = String::from_utf8(text.to_vec()).unwrap();
        for (bad, reason) in [
            (good.replace("\"format\":1", "\"format\":9"), "format 9"),
            (good.replace("68756e74", "68756e7g"), "`a`"),
            (good.replace("68756e74", "6"), "`a`"),
            (
                good.replace("\"format\":1", "\"format\":\"hunter2\""),
                "line 1",
            ),
            (good[..good.len() / 2].to_owned(), "line 1"),
        ] {
            let error = read(bad.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert!(
                !error.contains("hunter2") && !error.contains("68756"),
                "{error}"
            );
        }
    }
}
