//! Certificates that were issued: what has to be taken back when an edge is revoked.

use crate::store::{
    Store, StoreError,
    entity::{certificates, invitations},
};
use latencify_conf::change::RevokedCertificate;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, TransactionTrait,
    sea_query::OnConflict,
};

impl Store {
    /// Notes a certificate before it is given out, and forgets those that have expired.
    pub async fn note_certificate(
        &self,
        edge: &str,
        serial: &str,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let writer = self.writer().await?;
        let noted = async {
            let transaction = writer.begin().await?;
            certificates::Entity::delete_many()
                .filter(certificates::Column::UntilMs.lt(now_ms))
                .exec(&transaction)
                .await?;
            let row = certificates::ActiveModel {
                serial: Set(serial.to_owned()),
                edge: Set(edge.to_owned()),
                until_ms: Set(until_ms),
            };
            let again = OnConflict::column(certificates::Column::Serial)
                .do_nothing()
                .to_owned();
            certificates::Entity::insert(row)
                .on_conflict(again)
                .exec_without_returning(&transaction)
                .await?;
            transaction.commit().await
        };
        self.noted(noted.await.map_err(StoreError::from)).await
    }

    /// Notes a certificate that was presented, if this store does not know it: it may be an older copy.
    pub async fn know_certificate(
        &self,
        edge: &str,
        serial: &str,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let known = certificates::Entity::find_by_id(serial.to_owned());
        if known.one(&self.read).await?.is_some() {
            return Ok(());
        }
        self.note_certificate(edge, serial, until_ms, now_ms).await
    }

    /// Whether an edge of that name has a certificate, or an invitation.
    pub async fn knows_edge(&self, edge: &str, now_ms: i64) -> Result<bool, StoreError> {
        let invited = invitations::Entity::find()
            .filter(invitations::Column::Edge.eq(edge))
            .filter(invitations::Column::ExpiresMs.gt(now_ms))
            .one(&self.read)
            .await?;
        Ok(invited.is_some() || !self.certificates_of(edge, now_ms).await?.is_empty())
    }

    /// The certificates of an edge that have not expired.
    pub async fn certificates_of(
        &self,
        edge: &str,
        now_ms: i64,
    ) -> Result<Vec<RevokedCertificate>, StoreError> {
        let valid = certificates::Entity::find()
            .filter(certificates::Column::Edge.eq(edge))
            .filter(certificates::Column::UntilMs.gte(now_ms));
        let rows = valid.all(&self.read).await?;
        Ok(rows
            .into_iter()
            .map(|row| RevokedCertificate {
                serial: row.serial,
                until_ms: row.until_ms,
            })
            .collect())
    }
}
