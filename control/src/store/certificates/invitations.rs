//! Join tokens that let one edge in, once; and edges that nothing else lets in.

use crate::store::{
    Store, StoreError,
    entity::{barred_edges, invitations},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, PaginatorTrait as _, QueryFilter, TransactionTrait,
    sea_query::{Expr, OnConflict},
};

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of its token, in hexadecimal digits.
    pub hash: String,
    /// Whom it lets in.
    pub edge: String,
    /// Who made it.
    pub by: String,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: i64,
    /// SHA-256 of the public key that it was used for.
    pub used_for: Option<Vec<u8>>,
}

impl Store {
    /// How many invitations have neither been used nor expired.
    pub async fn open_invitations(&self, now_ms: i64) -> Result<u64, StoreError> {
        let open = invitations::Entity::find()
            .filter(invitations::Column::ExpiresMs.gt(now_ms))
            .filter(invitations::Column::UsedFor.is_null());
        Ok(open.count(&self.read).await?)
    }

    /// Keeps an invitation, and forgets those that have expired.
    pub async fn invite(&self, invitation: Invitation, now_ms: i64) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let writer = self.writer().await?;
        let kept = async {
            let transaction = writer.begin().await?;
            invitations::Entity::delete_many()
                .filter(invitations::Column::ExpiresMs.lte(now_ms))
                .exec(&transaction)
                .await?;
            let row = invitations::ActiveModel {
                hash: Set(invitation.hash),
                edge: Set(invitation.edge),
                by: Set(invitation.by),
                expires_ms: Set(invitation.expires_ms),
                used_for: Set(None),
            };
            invitations::Entity::insert(row)
                .exec_without_returning(&transaction)
                .await?;
            transaction.commit().await
        };
        self.noted(kept.await.map_err(StoreError::from)).await
    }

    /// The invitation of a token.
    pub async fn invitation(&self, hash: &str) -> Result<Option<Invitation>, StoreError> {
        let found = invitations::Entity::find_by_id(hash.to_owned())
            .one(&self.read)
            .await?;
        Ok(found.map(|row| Invitation {
            hash: row.hash,
            edge: row.edge,
            by: row.by,
            expires_ms: row.expires_ms,
            used_for: row.used_for,
        }))
    }

    /// Uses an invitation for a public key, and lifts the bar of its edge; false: it was used for another, or is gone. Of two
    /// at a time one gets it.
    pub async fn redeem(&self, invitation: &Invitation, key: &[u8]) -> Result<bool, StoreError> {
        let _turn = self.turn.lock().await;
        let writer = self.writer().await?;
        let redeemed = async {
            let transaction = writer.begin().await?;
            let free_or_same = Condition::any()
                .add(invitations::Column::UsedFor.is_null())
                .add(invitations::Column::UsedFor.eq(key.to_vec()));
            let used = invitations::Entity::update_many()
                .col_expr(invitations::Column::UsedFor, Expr::value(key.to_vec()))
                .filter(invitations::Column::Hash.eq(invitation.hash.clone()))
                .filter(free_or_same)
                .exec(&transaction)
                .await?;
            if used.rows_affected == 1 {
                barred_edges::Entity::delete_by_id(invitation.edge.clone())
                    .exec(&transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok::<_, sea_orm::DbErr>(used.rows_affected == 1)
        };
        self.noted(redeemed.await.map_err(StoreError::from)).await
    }

    /// From now on only a new invitation lets this edge in: its earlier ones are gone.
    pub async fn bar_edge(&self, edge: &str, now_ms: i64) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let writer = self.writer().await?;
        let barred = async {
            let transaction = writer.begin().await?;
            invitations::Entity::delete_many()
                .filter(invitations::Column::Edge.eq(edge))
                .exec(&transaction)
                .await?;
            let row = barred_edges::ActiveModel {
                edge: Set(edge.to_owned()),
                at_ms: Set(now_ms),
            };
            let again = OnConflict::column(barred_edges::Column::Edge)
                .update_column(barred_edges::Column::AtMs)
                .to_owned();
            barred_edges::Entity::insert(row)
                .on_conflict(again)
                .exec_without_returning(&transaction)
                .await?;
            transaction.commit().await
        };
        self.noted(barred.await.map_err(StoreError::from)).await
    }

    /// Whether only an invitation lets this edge in.
    pub async fn is_barred(&self, edge: &str) -> Result<bool, StoreError> {
        let found = barred_edges::Entity::find_by_id(edge.to_owned());
        Ok(found.one(&self.read).await?.is_some())
    }
}
