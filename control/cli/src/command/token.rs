//! `latencify token …`

use crate::{
    args::TokenVerb,
    failure::Failure,
    output::{Output, to_the_second},
    server::{Patience, Server},
};
use latencify_conf::api::{
    ApiToken, ApiTokenMade, ApiTokenState, ApiTokens, KeyRotated, KeyRotation, NewApiToken,
};

/// Runs a verb.
pub async fn run(verb: TokenVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    match verb {
        TokenVerb::List => {
            let tokens: ApiTokens = server.get("v1/tokens").await?;
            output.answer(&tokens, |tokens| table(tokens, output))
        }
        TokenVerb::Create {
            name,
            roles,
            sites,
            expires_days,
        } => {
            let new = NewApiToken {
                name,
                roles: roles.into_iter().collect(),
                sites: (!sites.is_empty()).then(|| sites.into_iter().collect()),
                expires_in_seconds: expires_days * 86_400,
            };
            let made: ApiTokenMade = server
                .post("v1/tokens", None, &new, Patience::once())
                .await?;
            output.note(&format!(
                "token {} ({}) counts until {}; it is shown this once",
                made.about.name,
                made.about.id,
                to_the_second(&made.about.expires)
            ));
            output.answer(&made, |made| made.token.clone())
        }
        TokenVerb::Revoke { id } => {
            let token: ApiToken = server.delete(&format!("v1/tokens/{id}")).await?;
            output.answer(&token, |token| {
                format!("token {} counts no more", token.name)
            })
        }
        TokenVerb::RotateKeys { retire_earlier } => {
            let wanted = KeyRotation { retire_earlier };
            let rotated: KeyRotated = server
                .post("v1/keys/rotate", None, &wanted, Patience::once())
                .await?;
            output.answer(&rotated, |rotated| {
                format!("access tokens are signed with {} from now on", rotated.kid)
            })
        }
    }
}

fn table(tokens: &ApiTokens, output: &Output) -> String {
    if tokens.tokens.is_empty() {
        return "there is no token".to_owned();
    }
    let mut table = output.table(&["token", "user", "roles", "sites", "state", "expires", "id"]);
    for token in &tokens.tokens {
        let list = |names: &std::collections::BTreeSet<String>| {
            names.iter().cloned().collect::<Vec<_>>().join(", ")
        };
        let state = match token.state {
            ApiTokenState::Live => "live",
            ApiTokenState::Expired => "expired",
            ApiTokenState::Revoked => "revoked",
        };
        table.row([
            token.name.clone(),
            token.user.clone().unwrap_or_else(|| "-".to_owned()),
            list(&token.roles),
            token.sites.as_ref().map_or_else(|| "all".to_owned(), list),
            state.to_owned(),
            to_the_second(&token.expires),
            token.id.to_string(),
        ]);
    }
    table.to_string()
}
