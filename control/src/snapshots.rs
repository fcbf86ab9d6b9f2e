//! The key that policies are signed with: made with the store, sealed in it. Edges build nothing that it has not signed.
//!
//! It lies in the store alone, as the authority of edges' certificates does: whoever loses the store begins anew with both.

use crate::{
    seal::{Seal, SealError},
    store::{Store, StoreError, entity::policy_keys},
};
use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use latencify_conf::{
    change::{LogId, Octets, PublicKey},
    link::{
        replica::Target,
        snapshot::{Signed, signed_bytes},
    },
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Signs what edges are to run. A clone has the same key.
#[derive(Clone)]
pub struct Signer {
    kid: String,
    public_key: PublicKey,
    pair: Arc<Ed25519KeyPair>,
}

/// The key that policies are signed with can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It can't be sealed or unsealed.
    #[error("the key that policies are signed with: {0}")]
    Seal(#[from] SealError),
    /// It can't be made or read.
    #[error("the key that policies are signed with can't be {0}")]
    Key(&'static str),
}

impl Signer {
    /// The store's key; one is made if there is none.
    pub async fn establish(store: &Store, seal: &Seal) -> Result<Self, SignerError> {
        if let Some(row) = store.policy_key().await? {
            let pkcs8 = seal.unseal(&context(&row.kid), &row.sealed)?;
            if let Some(sealed) = seal.reseal(&context(&row.kid), &row.sealed)? {
                store.reseal_policy_key(&row.kid, sealed).await?;
            }
            return Self::of(row.kid, &pkcs8);
        }
        let unmade = |_| SignerError::Key("made");
        let pair = Ed25519KeyPair::generate().map_err(unmade)?;
        let pkcs8: Pkcs8V1Der<'static> = pair.as_der().map_err(unmade)?;
        let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
        let kid = format!("p{:016x}", rand::random::<u64>());
        let sealed = seal.seal(&context(&kid), &pkcs8)?;
        let signer = Self::of(kid.clone(), &pkcs8)?;
        let public_key = signer.public_key.0.to_vec();
        store
            .add_policy_key(policy_keys::Model {
                kid,
                sealed,
                public_key,
            })
            .await?;
        tracing::info!(kid = signer.kid, "policies are signed with a new key");
        Ok(signer)
    }

    fn of(kid: String, pkcs8: &[u8]) -> Result<Self, SignerError> {
        let unread = || SignerError::Key("read");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| unread())?;
        let public_key = pair.public_key().as_ref().try_into();
        Ok(Self {
            kid,
            public_key: Octets(public_key.map_err(|_| unread())?),
            pair: Arc::new(pair),
        })
    }

    /// A target with its signature.
    pub fn signed(&self, log: LogId, target: Target) -> Target {
        let signature = self.pair.sign(&signed_bytes(log, &target));
        let signed = signature.as_ref().try_into().ok().map(|signature| Signed {
            kid: self.kid.clone(),
            public_key: self.public_key,
            signature: Octets(signature),
        });
        Target { signed, ..target }
    }
}

fn context(kid: &str) -> String {
    format!("policy-key/{kid}")
}
