//! The fleet's own CAs, invitations of edges, and their certificates.

use super::{maybe_number, number, table, text};
use sea_orm::sea_query::{ColumnDef, TableCreateStatement};

pub(super) fn tables() -> Vec<TableCreateStatement> {
    // A key is bounded, because MySQL indexes no unbounded text.
    let name = |name: &'static str| ColumnDef::new(name).string_len(200).not_null().take();
    let blob = |name: &'static str| ColumnDef::new(name).blob().not_null().take();
    let maybe_blob = |name: &'static str| ColumnDef::new(name).blob().null().take();
    vec![
        table(
            "authorities",
            vec![
                number("number"),
                blob("certificate"),
                blob("sealed_key"),
                maybe_number("retired_ms"),
            ],
        ),
        table(
            "invitations",
            vec![
                name("hash"),
                text("edge"),
                text("by"),
                number("expires_ms"),
                maybe_blob("used_for"),
            ],
        ),
        table(
            "certificates",
            vec![name("serial"), text("edge"), number("until_ms")],
        ),
        table("barred_edges", vec![name("edge"), number("at_ms")]),
        table(
            "revoked_certificates",
            vec![name("serial"), text("edge"), number("until_ms")],
        ),
    ]
}
