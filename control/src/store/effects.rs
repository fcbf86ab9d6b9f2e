//! What the fold's effects write.

use super::{
    StoreError,
    certificates::revoked,
    entity::{policies, purges, repeats, replicas, roster},
    rollouts, secrets, trust,
};
use crate::fold::Effect;
use latencify_conf::change::{Change, Entry, Epoch, LeaveReason, Mode};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr,
};
use time::format_description::well_known::Rfc3339;

/// Writes one effect of an entry.
pub async fn save(
    transaction: &impl ConnectionTrait,
    epoch: Epoch,
    entry: &Entry,
    effect: &Effect,
) -> Result<(), StoreError> {
    match (effect, &entry.change) {
        (
            Effect::Policy(head),
            Change::Policy { message, .. } | Change::RolloutStarted { message, .. },
        ) => {
            let row = policies::ActiveModel {
                revision: Set(head.revision.0 as i64),
                epoch: Set(epoch.0 as i64),
                digest: Set(head.digest.to_string()),
                by: Set(entry.by.clone()),
                at: Set(entry.at.format(&Rfc3339).unwrap_or_default()),
                message: Set(message.clone()),
                sites: Set(serde_json::to_string(&head.sites).unwrap_or_default()),
            };
            policies::Entity::insert(row)
                .exec_without_returning(transaction)
                .await?;
        }
        (Effect::Purge, Change::Purge { mode, .. }) => {
            let mode = match mode {
                Mode::Hard => "hard",
                Mode::Soft => "soft",
            };
            let row = purges::ActiveModel {
                id: Set(entry.id),
                epoch: Set(epoch.0 as i64),
                mode: Set(mode.to_owned()),
            };
            purges::Entity::insert(row)
                .exec_without_returning(transaction)
                .await?;
        }
        (
            Effect::Joined {
                process,
                edge,
                about,
            },
            _,
        ) => {
            let row = roster::ActiveModel {
                joined: Set(epoch.0 as i64),
                process: Set(process.0),
                edge: Set(edge.clone()),
                about: Set(serde_json::to_string(about).unwrap_or_else(|_| "{}".to_owned())),
                left: Set(None),
                why: Set(None),
            };
            roster::Entity::insert(row)
                .exec_without_returning(transaction)
                .await?;
        }
        (Effect::Left { process, why }, _) => {
            let why = match why {
                LeaveReason::Stopped => "stopped",
                LeaveReason::Removed => "removed",
            };
            roster::Entity::update_many()
                .col_expr(roster::Column::Left, Expr::value(epoch.0 as i64))
                .col_expr(roster::Column::Why, Expr::value(why))
                .filter(roster::Column::Process.eq(process.0))
                .filter(roster::Column::Left.is_null())
                .exec(transaction)
                .await?;
        }
        (
            Effect::ReplicaJoined {
                replica, announced, ..
            },
            _,
        ) => {
            let row = replicas::ActiveModel {
                joined: Set(announced.joined.0 as i64),
                replica: Set(replica.0),
                name: Set(announced.name.clone()),
                kind: Set(announced.store.kind.as_str().to_owned()),
                store: Set(announced.store.id.0),
                version: Set(announced.version.clone()),
                unread_max_ms: Set(announced.unread_max.map(|max| max.as_millis() as i64)),
                left: Set(None),
                why: Set(None),
            };
            replicas::Entity::insert(row)
                .exec_without_returning(transaction)
                .await?;
        }
        (Effect::ReplicaLeft { replica, why }, _) => {
            replicas::Entity::update_many()
                .col_expr(replicas::Column::Left, Expr::value(epoch.0 as i64))
                .col_expr(replicas::Column::Why, Expr::value(why.as_str()))
                .filter(replicas::Column::Replica.eq(replica.0))
                .filter(replicas::Column::Left.is_null())
                .exec(transaction)
                .await?;
        }
        (
            Effect::CertificatesRevoked {
                certificates,
                forgotten_before_ms,
            },
            Change::CertificateRevoked { edge, .. },
        ) => revoked::save(transaction, edge, certificates, *forgotten_before_ms).await?,
        (Effect::RolloutMoved(_) | Effect::RolloutEnded { .. }, _) => {
            rollouts::save(transaction, entry, effect).await?;
        }
        // It is kept with how far the fold has come.
        (Effect::ReplicaAlone, _) => {}
        (Effect::SecretSet { name, version }, _) => {
            secrets::save_set(transaction, epoch, entry, name, *version).await?;
        }
        (Effect::SecretRemoved { name, .. }, _) => {
            secrets::save_removed(transaction, name).await?;
        }
        (
            Effect::KeyAdded { .. }
            | Effect::KeyRetired { .. }
            | Effect::Revoked { .. }
            | Effect::RevocationsForgotten(_),
            _,
        ) => trust::save(transaction, effect).await?,
        (Effect::Remember { name }, _) => {
            // The name may stand for an entry that has left the window.
            repeats::Entity::delete_by_id(name.clone())
                .exec(transaction)
                .await?;
            let row = repeats::ActiveModel {
                name: Set(name.clone()),
                epoch: Set(epoch.0 as i64),
                id: Set(entry.id),
                request: Set(entry.request.map(|digest| digest.to_string())),
            };
            repeats::Entity::insert(row)
                .exec_without_returning(transaction)
                .await?;
        }
        (Effect::Policy(_) | Effect::Purge | Effect::CertificatesRevoked { .. }, _) => {
            return Err(StoreError::damaged(
                "an entry",
                "its effect is of another kind than its change",
            ));
        }
    }
    Ok(())
}
