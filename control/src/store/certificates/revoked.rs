//! Certificates that count no more, as the fold knows them.

use crate::{
    fold::RevokedCertificates,
    store::{StoreError, entity::revoked_certificates},
};
use latencify_conf::change::RevokedCertificate;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict,
};

/// Takes new ones, and forgets those that expired before.
pub async fn save(
    transaction: &impl ConnectionTrait,
    edge: &str,
    certificates: &[RevokedCertificate],
    forgotten_before_ms: i64,
) -> Result<(), StoreError> {
    revoked_certificates::Entity::delete_many()
        .filter(revoked_certificates::Column::UntilMs.lt(forgotten_before_ms))
        .exec(transaction)
        .await?;
    for certificate in certificates {
        let row = revoked_certificates::ActiveModel {
            serial: Set(certificate.serial.clone()),
            edge: Set(edge.to_owned()),
            until_ms: Set(certificate.until_ms),
        };
        let again = OnConflict::column(revoked_certificates::Column::Serial)
            .update_columns([
                revoked_certificates::Column::Edge,
                revoked_certificates::Column::UntilMs,
            ])
            .to_owned();
        revoked_certificates::Entity::insert(row)
            .on_conflict(again)
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

/// All of them.
pub async fn load(connection: &impl ConnectionTrait) -> Result<RevokedCertificates, StoreError> {
    let rows = revoked_certificates::Entity::find().all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.serial, row.until_ms))
        .collect())
}
