//! Sessions and their refresh tokens.

use super::{
    Store, StoreError,
    entity::{refresh_tokens, sessions},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr,
    EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, TransactionTrait,
    sea_query::Expr,
};
use uuid::Uuid;

/// A session that is over is kept for so long, so that a stolen refresh token of it is known. Milliseconds.
const ENDED_FOR_MS: i64 = 60 * 60 * 1000;
/// Sessions that are removed at a time.
const REMOVED_MAX: u64 = 1000;

/// What became of a refresh token that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    /// It counted; it never does again.
    Once(sessions::Model),
    /// It had been used before: whoever has it now or had it then stole it.
    Again(sessions::Model),
    /// Its session is over.
    Over,
    /// There is no such token.
    Unknown,
}

impl Store {
    /// Begins a session with its first refresh token; of more than `sessions_max` the account's oldest end.
    pub async fn begin_session(
        &self,
        session: sessions::Model,
        hash: String,
        sessions_max: u64,
    ) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let begun = begin(&self.writer().await?, session, hash, sessions_max).await;
        self.noted(begun.map_err(StoreError::from)).await
    }

    /// Uses a refresh token, and keeps the one that follows it, in one transaction: of two that show it at a time, one is
    /// first.
    pub async fn use_refresh_token(
        &self,
        hash: &str,
        next: String,
        now_ms: i64,
    ) -> Result<Used, StoreError> {
        let _turn = self.turn.lock().await;
        let used = use_token(&self.writer().await?, hash, next, now_ms).await;
        self.noted(used.map_err(StoreError::from)).await
    }

    /// A session.
    pub async fn session(&self, id: Uuid) -> Result<Option<sessions::Model>, StoreError> {
        Ok(sessions::Entity::find_by_id(id).one(&self.read).await?)
    }

    /// Ends a session.
    pub async fn end_session(&self, id: Uuid, now_ms: i64) -> Result<(), StoreError> {
        let ended = sessions::Entity::update_many()
            .col_expr(sessions::Column::EndedMs, Expr::value(now_ms))
            .filter(sessions::Column::Id.eq(id))
            .filter(sessions::Column::EndedMs.is_null())
            .exec(&self.writer().await?)
            .await;
        self.noted(ended.map(|_| ()).map_err(StoreError::from))
            .await
    }

    /// Ends every session of an account.
    pub async fn end_sessions_of(&self, account: &str, now_ms: i64) -> Result<(), StoreError> {
        let ended = sessions::Entity::update_many()
            .col_expr(sessions::Column::EndedMs, Expr::value(now_ms))
            .filter(sessions::Column::Account.eq(account))
            .filter(sessions::Column::EndedMs.is_null())
            .exec(&self.writer().await?)
            .await;
        self.noted(ended.map(|_| ()).map_err(StoreError::from))
            .await
    }
}

async fn begin(
    database: &DatabaseConnection,
    session: sessions::Model,
    hash: String,
    sessions_max: u64,
) -> Result<(), DbErr> {
    let transaction = database.begin().await?;
    let expired = sessions::Entity::find()
        .filter(
            Condition::any()
                .add(sessions::Column::ExpiresMs.lt(session.created_ms))
                .add(sessions::Column::EndedMs.lt(session.created_ms - ENDED_FOR_MS)),
        )
        .limit(REMOVED_MAX)
        .all(&transaction)
        .await?;
    remove(&transaction, &expired).await?;
    let (now_ms, account) = (session.created_ms, session.account.clone());
    let crowded = sessions::Entity::find()
        .filter(sessions::Column::Account.eq(account))
        .filter(sessions::Column::EndedMs.is_null())
        .order_by_desc(sessions::Column::CreatedMs)
        .offset(sessions_max.saturating_sub(1))
        .limit(REMOVED_MAX)
        .all(&transaction)
        .await?;
    for oldest in crowded {
        sessions::Entity::update_many()
            .col_expr(sessions::Column::EndedMs, Expr::value(now_ms))
            .filter(sessions::Column::Id.eq(oldest.id))
            .exec(&transaction)
            .await?;
    }
    let row = refresh_tokens::ActiveModel {
        hash: Set(hash),
        session: Set(session.id),
        used_ms: Set(None),
    };
    sessions::Entity::insert(session.into_active_model())
        .exec_without_returning(&transaction)
        .await?;
    refresh_tokens::Entity::insert(row)
        .exec_without_returning(&transaction)
        .await?;
    transaction.commit().await
}

async fn remove(
    transaction: &impl ConnectionTrait,
    expired: &[sessions::Model],
) -> Result<(), DbErr> {
    for session in expired {
        refresh_tokens::Entity::delete_many()
            .filter(refresh_tokens::Column::Session.eq(session.id))
            .exec(transaction)
            .await?;
        sessions::Entity::delete_by_id(session.id)
            .exec(transaction)
            .await?;
    }
    Ok(())
}

async fn use_token(
    database: &DatabaseConnection,
    hash: &str,
    next: String,
    now_ms: i64,
) -> Result<Used, DbErr> {
    let transaction = database.begin().await?;
    let token = refresh_tokens::Entity::find_by_id(hash.to_owned())
        .one(&transaction)
        .await?;
    let Some(token) = token else {
        transaction.rollback().await?;
        return Ok(Used::Unknown);
    };
    let session = sessions::Entity::find_by_id(token.session)
        .one(&transaction)
        .await?;
    let used = match session {
        None => Used::Over,
        Some(session) if token.used_ms.is_some() => {
            sessions::Entity::update_many()
                .col_expr(sessions::Column::EndedMs, Expr::value(now_ms))
                .filter(sessions::Column::Id.eq(session.id))
                .filter(sessions::Column::EndedMs.is_null())
                .exec(&transaction)
                .await?;
            Used::Again(session)
        }
        Some(session) if session.ended_ms.is_some() || session.expires_ms <= now_ms => Used::Over,
        Some(session) => {
            refresh_tokens::Entity::update_many()
                .col_expr(refresh_tokens::Column::UsedMs, Expr::value(now_ms))
                .filter(refresh_tokens::Column::Hash.eq(hash))
                .exec(&transaction)
                .await?;
            let row = refresh_tokens::ActiveModel {
                hash: Set(next),
                session: Set(session.id),
                used_ms: Set(None),
            };
            refresh_tokens::Entity::insert(row)
                .exec_without_returning(&transaction)
                .await?;
            Used::Once(session)
        }
    };
    transaction.commit().await?;
    Ok(used)
}
