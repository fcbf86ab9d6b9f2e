//! Access lists.

use super::{At, Flaw, Lowering};
use crate::{
    document::{self, AccessRule as Written, OneOrMany, Verdict, text::Client},
    policy::{Access, AccessRule},
};

impl Lowering<'_, '_, '_> {
    pub(super) fn access(&mut self, written: &document::Access, at: At<'_>) -> Access {
        match written {
            document::Access::Rules(rules) => ordered(rules, None),
            document::Access::Ordered(access) => ordered(&access.rules, access.otherwise),
            document::Access::ByKind(access) => {
                if !at.has("allow") && !at.has("deny") {
                    let flaw = Flaw::new("an access list needs `allow` or `deny`");
                    self.refuse_key(at, flaw.help("like `access: { allow: [10.0.0.0/8, FR] }`"));
                }
                let mut rules = Vec::new();
                rules.extend(clients(access.deny.as_ref()).map(|client| (client, false)));
                rules.extend(clients(access.allow.as_ref()).map(|client| (client, true)));
                let otherwise = lets_in(access.otherwise, access.allow.is_some());
                Access { rules, otherwise }
            }
        }
    }
}

fn ordered(written: &[Written], otherwise: Option<Verdict>) -> Access {
    let mut rules = Vec::new();
    for rule in written {
        let (who, allowed) = match rule {
            Written::Allow(who) => (who, true),
            Written::Deny(who) => (who, false),
        };
        rules.extend(clients(Some(who)).map(|client| (client, allowed)));
    }
    let otherwise = lets_in(
        otherwise,
        written.iter().any(|rule| matches!(rule, Written::Allow(_))),
    );
    Access { rules, otherwise }
}

fn clients(written: Option<&OneOrMany<Client>>) -> impl Iterator<Item = AccessRule> {
    written
        .map_or(&[][..], |clients| clients.as_slice())
        .iter()
        .map(|client| client.0.clone())
}

/// A list that names whom it allows is meant to keep the others out.
fn lets_in(otherwise: Option<Verdict>, allows: bool) -> bool {
    otherwise.map_or(!allows, |verdict| verdict == Verdict::Allow)
}
