//! Who asks, and what they did.

use super::{id, maybe_number, maybe_text, number, table, text};
use sea_orm::sea_query::{ColumnDef, Index, IndexCreateStatement, TableCreateStatement};

pub(super) fn tables() -> Vec<TableCreateStatement> {
    // Keys are bounded, because MySQL indexes no unbounded text.
    let name = |name: &'static str| ColumnDef::new(name).string_len(200).not_null().take();
    let what = |name: &'static str| ColumnDef::new(name).string_len(700).not_null().take();
    let blob = |name: &'static str| ColumnDef::new(name).blob().not_null().take();
    vec![
        table(
            "trusted_keys",
            vec![name("kid"), text("purpose"), blob("public_key")],
        ),
        table(
            "revocations",
            vec![what("what"), number("before_ms"), number("until_ms")],
        ),
        table(
            "signing_keys",
            vec![
                name("kid"),
                blob("sealed"),
                blob("public_key"),
                number("created_ms"),
            ],
        ),
        table(
            "users",
            vec![
                name("name"),
                maybe_text("password"),
                text("roles"),
                maybe_text("sites"),
                number("disabled"),
                number("created_ms"),
            ],
        ),
        table(
            "roles",
            vec![name("name"), text("permissions"), text("description")],
        ),
        table(
            "sessions",
            vec![
                id("id"),
                name("account"),
                number("created_ms"),
                number("expires_ms"),
                maybe_number("ended_ms"),
            ],
        ),
        table(
            "refresh_tokens",
            vec![name("hash"), id("session"), maybe_number("used_ms")],
        ),
        table(
            "api_tokens",
            vec![
                id("id"),
                name("hash"),
                name("name"),
                maybe_text("account"),
                text("roles"),
                maybe_text("sites"),
                number("created_ms"),
                number("expires_ms"),
                maybe_number("revoked_ms"),
            ],
        ),
        table(
            "audit",
            vec![
                number("seq"),
                number("at_ms"),
                name("caller"),
                name("action"),
                name("outcome"),
                text("record"),
                blob("hash"),
            ],
        ),
    ]
}

pub(super) fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &'static str, table: &'static str, column: &'static str| {
        Index::create().name(name).table(table).col(column).take()
    };
    vec![
        index("sessions_by_account", "sessions", "account"),
        index("sessions_by_expiry", "sessions", "expires_ms"),
        index("refresh_tokens_by_session", "refresh_tokens", "session"),
        index("api_tokens_by_hash", "api_tokens", "hash")
            .unique()
            .take(),
        index("api_tokens_by_account", "api_tokens", "account"),
        index("audit_by_caller", "audit", "caller"),
        index("audit_by_action", "audit", "action"),
    ]
}
