//! The values of the secrets that policies name, as this edge knows them: from control, or from a folder of files. They are
//! kept in memory that is wiped when they go, and nothing here prints one.

pub mod folder;

use arc_swap::ArcSwap;
use latencify_conf::policy::SecretName;
use std::{collections::BTreeMap, fmt, sync::Arc};
use zeroize::Zeroizing;

/// The most secrets of an edge.
pub const SECRETS_MAX: usize = 10_000;

/// The value of a secret. Its `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<Zeroizing<Vec<u8>>>);

/// All that are known at one moment, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<SecretName, Value>);

/// Where the edge looks them up when it builds a policy.
#[derive(Debug, Default)]
pub struct SecretStore(ArcSwap<Secrets>);

impl Value {
    /// The value of these octets. One line break at the end is the file's, not the secret's.
    pub fn of(mut octets: Zeroizing<Vec<u8>>) -> Self {
        if octets.last() == Some(&b'\n') {
            octets.pop();
            if octets.last() == Some(&b'\r') {
                octets.pop();
            }
        }
        Self::exactly(octets)
    }

    /// The value of exactly these octets.
    pub fn exactly(octets: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(octets))
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Value(…)")
    }
}

impl FromIterator<(SecretName, Value)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (SecretName, Value)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Secrets {
    /// The octets of a secret.
    pub fn get(&self, name: &SecretName) -> Option<&[u8]> {
        self.0.get(name).map(Value::octets)
    }

    /// The octets of a secret, or that it is not there.
    pub fn require(&self, name: &SecretName) -> Result<&[u8], String> {
        self.get(name)
            .ok_or_else(|| format!("secret `{name}` is not there"))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretName, &Value)> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl SecretStore {
    /// Those that are known now.
    pub fn now(&self) -> Arc<Secrets> {
        self.0.load_full()
    }

    /// These are known from now on: policies that are built later have them. Says whether they differ from those before.
    pub fn set(&self, secrets: Secrets) -> bool {
        if **self.0.load() == secrets {
            return false;
        }
        self.0.store(Arc::new(secrets));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_by_nothing_and_one_line_break_is_not_of_it() {
        let value = |text: &str| Value::of(Zeroizing::new(text.as_bytes().to_vec()));
        for (text, expected) in [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("hunter2\n\n", "hunter2\n"),
            ("", ""),
        ] {
            assert_eq!(value(text).octets(), expected.as_bytes(), "{text:?}");
        }
        let secrets: Secrets = [(SecretName::from("a"), value("hunter2"))]
            .into_iter()
            .collect();
        let store = SecretStore::default();
        assert!(store.set(secrets.clone()) && !store.set(secrets));
        let told = format!("{store:?} {:?}", store.now());
        assert!(
            !told.contains("hunter2") && !told.contains("104, 117"),
            "{told}"
        );
    }
}
