//! Who asks, and what they may do.
//!
//! # Characters
//! - [`Permission`]: the one table of what may be done, and which [built-in role](Builtin) may do it;
//! - [`Caller`]: who a token stands for, with what it may do and the sites that it is limited to;
//! - [`Identity`]: tells the caller of a token, and changes [accounts](accounts), [sessions](logins), [API tokens](api_tokens)
//!   and [signing keys](keys);
//! - [`access`]: access tokens, pure; [`attempts`]: how often somebody may try; [`passwords`]: argon2id; [`Denied`]: why not.
//!
//! # Three kinds of tokens
//! - The token that control was started with, or made at its first start: an administrator of everything, for the first
//!   account and for machines that have no other.
//! - Access tokens: ten minutes, signed, verified by what the log says, so by every replica and by edges without asking
//!   anybody. A session gives new ones for refresh tokens, each of which counts once: one that is shown again was stolen by
//!   whoever showed it first or last, so the session ends, and what it gave is revoked through the log.
//! - API tokens: random, kept as a hash, looked up with every request, so taking one back holds at once. One never may
//!   more than the account that made it may now.
//!
//! # Callers that are limited to sites
//! They may read what their roles read. They may change only their sites: purge these, and submit policies that differ from the
//! head in nothing but these, and not in which hosts they answer for. What concerns all sites (edges, users, secrets,
//! rollouts) they may not change, whatever their roles say.
//!
//! # Rejected
//! - *Roles looked up with every access token*: edges could not do it. A change of an account revokes what it was given.
//! - *An access token as API token, with a long life*: taking one back would have to be remembered for as long.

pub mod access;
pub mod accounts;
pub mod api_tokens;
pub mod attempts;
mod caller;
mod denied;
pub mod keys;
pub mod logins;
pub mod passwords;
mod permission;
pub mod roles;

pub use caller::{Caller, Forbidden};
pub use denied::Denied;
pub use permission::{Builtin, NoSuchPermission, Permission, Reach};

use crate::{
    auth::Token,
    store::{Store, StoreError},
    verbs::{Control, Refused},
};
use attempts::Attempts;
use keys::Ring;
use latencify_conf::{
    api::API_TOKEN_PREFIX,
    change::{Change, Revoked},
};
use parking_lot::Mutex;
use passwords::Passwords;
use std::{collections::BTreeSet, sync::Arc};
use time::OffsetDateTime;

/// The most characters of the name of an account, a role, an API token or a site.
pub const NAME_CHARS_MAX: usize = 100;
/// The most roles of one account or token, and the most sites that it is limited to.
pub const LIST_MAX: usize = 100;

/// Tells the caller of a token, and changes who may do what. A clone is the same.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    control: Control,
    bootstrap: Token,
    passwords: Passwords,
    attempts: Mutex<Attempts>,
    ring: Ring,
    /// One change of accounts and roles at a time: two administrators can't remove each other and leave none.
    changing: tokio::sync::Mutex<()>,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is not believed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Anything else.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Forbidden> for Error {
    fn from(forbidden: Forbidden) -> Self {
        Self::Refused(forbidden.into())
    }
}

impl Identity {
    /// For this control, whose bootstrap token is that.
    pub fn new(control: Control, bootstrap: Token) -> Result<Self, Denied> {
        Ok(Self {
            inner: Arc::new(Inner {
                control,
                bootstrap,
                passwords: Passwords::new()?,
                attempts: Mutex::default(),
                ring: Ring::default(),
                changing: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// Who shows this token.
    pub async fn caller(&self, token: &str) -> Result<Caller, Error> {
        if self.inner.bootstrap.is(token) {
            return Ok(Caller::bootstrap());
        }
        if token.starts_with(API_TOKEN_PREFIX) {
            return self.caller_of_api_token(token).await;
        }
        if token.bytes().filter(|&byte| byte == b'.').count() != 2 {
            return Err(Denied::Unknown.into());
        }
        let trust = self.inner.control.fleet.fold.state().trust.clone();
        let claims = access::verify(token, &trust)?;
        let permissions = self.permissions_of(&claims.roles).await?;
        let name = format!("user:{}", claims.sub);
        Ok(Caller::new(name, claims.roles, permissions, claims.sites)
            .of_user(claims.sub, Some(claims.sid)))
    }

    fn store(&self) -> &Store {
        &self.inner.control.fleet.store
    }

    /// What roles come to; a role that is not there (any more) to nothing.
    async fn permissions_of(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<BTreeSet<Permission>, StoreError> {
        let mut permissions = BTreeSet::new();
        for name in names {
            if let Some(role) = Builtin::named(name) {
                permissions.extend(role.permissions());
            } else if let Some(row) = self.store().role(name).await? {
                permissions.extend(roles::permissions(&row)?);
            }
        }
        Ok(permissions)
    }

    /// Everything that was issued to these until now is believed no more, on every replica and every edge that hears of it.
    async fn revoke(&self, by: &str, what: Revoked) -> Result<(), Refused> {
        let before_ms = now_ms();
        let longest = access::ACCESS_FOR + 2 * access::SKEW_MAX;
        let change = Change::Revoked {
            what,
            before_ms,
            until_ms: before_ms + longest.as_millis() as i64,
        };
        self.inner.control.write(by, None, change).await?;
        Ok(())
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

/// A time as the API writes it.
pub(crate) fn shown(ms: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Whether a name is one: it is a path segment of the API, and stands in the log.
fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._@".contains(&byte)
        })
        && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

fn check_lists(roles: &BTreeSet<String>, sites: Option<&BTreeSet<String>>) -> Result<(), Refused> {
    if roles.is_empty() || roles.len() > LIST_MAX {
        return Err(Refused::Invalid(format!("name 1 to {LIST_MAX} roles")));
    }
    let Some(sites) = sites else { return Ok(()) };
    let is_site = |site: &String| (1..=NAME_CHARS_MAX).contains(&site.len());
    if sites.len() > LIST_MAX || !sites.iter().all(is_site) {
        let why = format!("name at most {LIST_MAX} sites, each of at most {NAME_CHARS_MAX} bytes");
        return Err(Refused::Invalid(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
