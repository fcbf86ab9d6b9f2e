//! API tokens: random, hashed, expiring, limited.

use super::{
    Caller, Denied, Error, Identity, NAME_CHARS_MAX, Permission,
    logins::{hash_of, random_token},
    now_ms, shown,
};
use crate::{
    store::{StoreError, accounts, entity::api_tokens},
    verbs::Refused,
};
use latencify_conf::api::{
    API_TOKEN_PREFIX, ApiToken, ApiTokenMade, ApiTokenState, ApiTokens, NewApiToken,
};
use std::time::Duration;
use uuid::Uuid;

/// The longest that one counts.
pub const TOKEN_FOR_MAX: Duration = Duration::from_hours(366 * 24);
/// The most that count at a time.
pub const TOKENS_MAX: u64 = 10_000;
/// The most of one list.
pub const TOKENS_LISTED_MAX: u64 = 1_000;
/// The most bytes of one that are looked at.
const TOKEN_BYTES_MAX: usize = 200;

impl Identity {
    /// Who shows an API token: what it was given, and never more than its account has now.
    pub(super) async fn caller_of_api_token(&self, token: &str) -> Result<Caller, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Denied::Unknown.into());
        }
        let row = self.store().api_token(&hash_of(token)).await?;
        let row = row.ok_or(Denied::Unknown)?;
        match state(&row, now_ms()) {
            ApiTokenState::Live => {}
            ApiTokenState::Expired => return Err(Denied::Expired.into()),
            ApiTokenState::Revoked => return Err(Denied::Revoked.into()),
        }
        let roles = accounts::names(&row.roles)?;
        let mut permissions = self.permissions_of(&roles).await?;
        let mut sites = accounts::sites(row.sites.as_deref())?;
        let name = match &row.account {
            None => format!("token:{}", row.name),
            Some(account) => format!("token:{account}/{}", row.name),
        };
        let Some(account) = row.account else {
            return Ok(Caller::new(name, roles, permissions, sites));
        };
        let maker = self.store().user(&account).await?;
        let maker = maker
            .filter(|maker| maker.disabled == 0)
            .ok_or(Denied::NoAccount)?;
        let of_maker = self.permissions_of(&accounts::names(&maker.roles)?).await?;
        permissions.retain(|permission| of_maker.contains(permission));
        if let Some(own) = accounts::sites(maker.sites.as_deref())? {
            sites = Some(match sites {
                None => own,
                Some(sites) => sites.intersection(&own).cloned().collect(),
            });
        }
        Ok(Caller::new(name, roles, permissions, sites).of_user(account, None))
    }

    /// API tokens, the newest first: everybody's for who may take them back, otherwise one's own.
    pub async fn api_tokens(&self, caller: &Caller) -> Result<ApiTokens, Error> {
        let all = caller.may(Permission::TokensWrite).is_ok();
        let account = if all { None } else { caller.user() };
        if !all && account.is_none() {
            return Ok(ApiTokens { tokens: Vec::new() });
        }
        let rows = self.store().api_tokens(account, TOKENS_LISTED_MAX).await?;
        let tokens = rows.iter().map(about).collect::<Result<_, _>>()?;
        Ok(ApiTokens { tokens })
    }

    /// Makes an API token that may nothing that its maker may not.
    pub async fn make_api_token(
        &self,
        caller: &Caller,
        new: NewApiToken,
    ) -> Result<ApiTokenMade, Error> {
        let NewApiToken {
            name,
            roles,
            sites,
            expires_in_seconds,
        } = new;
        if caller.session().is_none() && caller.may(Permission::TokensWrite).is_err() {
            // A token that makes tokens would outlive being found out.
            let why = "an API token makes no other: log in";
            return Err(Refused::Invalid(why.into()).into());
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@/".contains(&byte);
        // `token:default` is who control was started with.
        if !(1..=NAME_CHARS_MAX).contains(&name.len())
            || !name.bytes().all(is_plain)
            || name == "default"
        {
            let why = "a token's name is 1 to 100 letters, digits and .-_@/, and not \"default\"";
            return Err(Refused::Invalid(why.into()).into());
        }
        if !(1..=TOKEN_FOR_MAX.as_secs()).contains(&expires_in_seconds) {
            let days = TOKEN_FOR_MAX.as_secs() / 86_400;
            let why = format!("a token expires in 1 second to {days} days");
            return Err(Refused::Invalid(why).into());
        }
        let sites = sites.or_else(|| caller.sites().cloned());
        let permissions = self.checked(&roles, sites.as_ref()).await?;
        caller.may_give(&permissions, sites.as_ref())?;
        let created_ms = now_ms();
        if self.store().count_api_tokens(created_ms).await? >= TOKENS_MAX {
            let why = format!("there are {TOKENS_MAX} tokens already: wait until some expire");
            return Err(Refused::Conflict(why).into());
        }
        let token = random_token(API_TOKEN_PREFIX);
        let row = api_tokens::Model {
            id: Uuid::new_v4(),
            hash: hash_of(&token),
            name,
            account: caller.user().map(str::to_owned),
            roles: accounts::written(&roles),
            sites: sites.as_ref().map(accounts::written),
            created_ms,
            expires_ms: created_ms + expires_in_seconds as i64 * 1000,
            revoked_ms: None,
        };
        let about = about(&row)?;
        self.store().add_api_token(row).await?;
        Ok(ApiTokenMade { token, about })
    }

    /// Takes an API token back: one's own, or anybody's for who may.
    pub async fn revoke_api_token(&self, caller: &Caller, id: Uuid) -> Result<ApiToken, Error> {
        let missing = || Refused::NotFound(format!("there is no token {id}"));
        let row = self
            .store()
            .api_token_by_id(id)
            .await?
            .ok_or_else(missing)?;
        let is_own = row.account.is_some() && row.account.as_deref() == caller.user();
        if !is_own && caller.may(Permission::TokensWrite).is_err() {
            // Whether it is somebody else's is not told.
            return Err(missing().into());
        }
        self.store().revoke_api_token(id, now_ms()).await?;
        let row = self
            .store()
            .api_token_by_id(id)
            .await?
            .ok_or_else(missing)?;
        Ok(about(&row)?)
    }
}

fn state(row: &api_tokens::Model, now_ms: i64) -> ApiTokenState {
    if row.revoked_ms.is_some() {
        ApiTokenState::Revoked
    } else if row.expires_ms <= now_ms {
        ApiTokenState::Expired
    } else {
        ApiTokenState::Live
    }
}

fn about(row: &api_tokens::Model) -> Result<ApiToken, StoreError> {
    Ok(ApiToken {
        id: row.id,
        name: row.name.clone(),
        user: row.account.clone(),
        roles: accounts::names(&row.roles)?,
        sites: accounts::sites(row.sites.as_deref())?,
        created: shown(row.created_ms),
        expires: shown(row.expires_ms),
        state: state(row, now_ms()),
    })
}
