//! Sealing everything anew with the newest key, at start.

use crate::{
    seal::Seal,
    store::{Store, secrets::SealedValue},
};
use anyhow::Context as _;

/// Opens every value once, so that a missing key is found at start and not when an edge asks; and seals those anew that an older
/// key has sealed. Says how many those were.
pub async fn seal_anew(store: &Store, seal: &Seal) -> anyhow::Result<usize> {
    let mut anew = 0;
    for value in store.all_secret_values().await? {
        let SealedValue {
            name,
            version,
            sealed,
        } = value;
        let context = SealedValue::context(&name, version);
        let resealed = seal
            .reseal(&context, &sealed)
            .with_context(|| format!("the secret {name}, version {version}"))?;
        let Some(sealed) = resealed else { continue };
        let value = SealedValue {
            name,
            version,
            sealed,
        };
        store.replace_secret_value(value).await?;
        anew += 1;
    }
    Ok(anew)
}
