//! Whom the fleet believes: the rows that the fold's effects write, and the state read back from them.

use super::{
    StoreError,
    entity::{revocations, trusted_keys},
};
use crate::fold::{Effect, Revocation, Trust, TrustedKey};
use latencify_conf::change::{KeyUse, Octets, Revoked};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

/// Writes one effect.
pub(super) async fn save(
    transaction: &impl ConnectionTrait,
    effect: &Effect,
) -> Result<(), StoreError> {
    match effect {
        Effect::KeyAdded { kid, key } => {
            let row = trusted_keys::ActiveModel {
                kid: Set(kid.clone()),
                purpose: Set(key.purpose.as_str().to_owned()),
                public_key: Set(key.public_key.0.to_vec()),
            };
            trusted_keys::Entity::insert(row)
                .exec_without_returning(transaction)
                .await?;
        }
        Effect::KeyRetired { kid } => {
            trusted_keys::Entity::delete_by_id(kid.clone())
                .exec(transaction)
                .await?;
        }
        Effect::Revoked { what, revocation } => {
            let what = name(what)?;
            revocations::Entity::delete_by_id(what.clone())
                .exec(transaction)
                .await?;
            let row = revocations::ActiveModel {
                what: Set(what),
                before_ms: Set(revocation.before_ms),
                until_ms: Set(revocation.until_ms),
            };
            revocations::Entity::insert(row)
                .exec_without_returning(transaction)
                .await?;
        }
        Effect::RevocationsForgotten(forgotten) => {
            for what in forgotten {
                revocations::Entity::delete_by_id(name(what)?)
                    .exec(transaction)
                    .await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Reads everything back.
pub(super) async fn load(connection: &impl ConnectionTrait) -> Result<Trust, StoreError> {
    let mut trust = Trust::default();
    for row in trusted_keys::Entity::find().all(connection).await? {
        let damaged = |why: &str| StoreError::damaged("a key", why);
        let purpose = match row.purpose.as_str() {
            "tokens" => KeyUse::Tokens,
            "policies" => KeyUse::Policies,
            other => return Err(damaged(&format!("use {other:?}"))),
        };
        let octets = row.public_key.try_into();
        let public_key = Octets(octets.map_err(|_| damaged("it is not 32 octets"))?);
        let key = TrustedKey {
            purpose,
            public_key,
        };
        trust.keys.insert(row.kid, key);
    }
    for row in revocations::Entity::find().all(connection).await? {
        let what: Revoked = serde_json::from_str(&row.what)
            .map_err(|error| StoreError::damaged("a revocation", error))?;
        let revocation = Revocation {
            before_ms: row.before_ms,
            until_ms: row.until_ms,
        };
        trust.revocations.insert(what, revocation);
    }
    Ok(trust)
}

fn name(what: &Revoked) -> Result<String, StoreError> {
    serde_json::to_string(what).map_err(|error| StoreError::damaged("a revocation", error))
}
