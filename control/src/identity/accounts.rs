//! Accounts.

use super::{
    Builtin, Caller, Error, Identity, Permission, check_lists, is_name, now_ms, passwords, shown,
};
use crate::{
    store::{StoreError, accounts, entity::users},
    verbs::Refused,
};
use latencify_conf::api::{NewUser, PasswordChange, User, UserChange, Users};
use std::{collections::BTreeSet, net::IpAddr};
use zeroize::Zeroizing;

/// The most accounts.
pub const USERS_MAX: usize = 10_000;

impl Identity {
    /// Every account.
    pub async fn users(&self) -> Result<Users, Error> {
        let rows = self.store().users().await?;
        let users = rows.iter().map(user).collect::<Result<_, _>>()?;
        Ok(Users { users })
    }

    /// One account.
    pub async fn user(&self, name: &str) -> Result<User, Error> {
        Ok(user(&self.existing(name).await?)?)
    }

    /// Makes an account.
    pub async fn add_user(&self, caller: &Caller, new: NewUser) -> Result<User, Error> {
        let NewUser {
            name,
            password,
            roles,
            sites,
        } = new;
        let password = Zeroizing::new(password);
        if !is_name(&name) {
            let why = "a user's name is 1 to 100 small letters, digits and .-_@";
            return Err(Refused::Invalid(why.into()).into());
        }
        fit(&password)?;
        let permissions = self.checked(&roles, sites.as_ref()).await?;
        caller.may_give(&permissions, sites.as_ref())?;
        let hash = self.inner.passwords.hash(password).await?;
        let _one_at_a_time = self.inner.changing.lock().await;
        if self.store().user(&name).await?.is_some() {
            return Err(Refused::Conflict(format!("there is a user {name} already")).into());
        }
        if self.store().users().await?.len() >= USERS_MAX {
            return Err(Refused::Conflict(format!("there are {USERS_MAX} users already")).into());
        }
        let row = users::Model {
            name,
            password: Some(hash),
            roles: accounts::written(&roles),
            sites: sites.as_ref().map(accounts::written),
            disabled: 0,
            created_ms: now_ms(),
        };
        self.store().put_user(row.clone()).await?;
        Ok(user(&row)?)
    }

    /// Changes an account, and ends its sessions: what they were given may be more than it has now. Before and after.
    pub async fn change_user(
        &self,
        caller: &Caller,
        name: &str,
        change: UserChange,
    ) -> Result<(User, User), Error> {
        let password = change.password.map(Zeroizing::new);
        let hash = match password {
            None => None,
            Some(password) => {
                fit(&password)?;
                Some(self.inner.passwords.hash(password).await?)
            }
        };
        let _one_at_a_time = self.inner.changing.lock().await;
        let row = self.existing(name).await?;
        let before = user(&row)?;
        self.is_below(caller, &before).await?;
        let roles = change.roles.unwrap_or_else(|| before.roles.clone());
        let sites = match (change.all_sites, change.sites) {
            (true, Some(_)) => {
                let why = "sites and all_sites exclude each other";
                return Err(Refused::Invalid(why.into()).into());
            }
            (true, None) => None,
            (false, Some(sites)) => Some(sites),
            (false, None) => before.sites.clone(),
        };
        let permissions = self.checked(&roles, sites.as_ref()).await?;
        caller.may_give(&permissions, sites.as_ref())?;
        let disabled = change.disabled.unwrap_or(before.disabled);
        let row = users::Model {
            password: hash.or(row.password),
            roles: accounts::written(&roles),
            sites: sites.as_ref().map(accounts::written),
            disabled: i64::from(disabled),
            ..row
        };
        let after = user(&row)?;
        if !administers(&after) {
            self.is_not_the_last(&before).await?;
        }
        self.store().put_user(row).await?;
        self.end_sessions(caller.name(), name).await?;
        Ok((before, after))
    }

    /// Removes an account, its sessions and its API tokens.
    pub async fn remove_user(&self, caller: &Caller, name: &str) -> Result<User, Error> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let before = user(&self.existing(name).await?)?;
        self.is_below(caller, &before).await?;
        self.is_not_the_last(&before).await?;
        self.store().remove_user(name).await?;
        self.store().revoke_api_tokens_of(name, now_ms()).await?;
        self.end_sessions(caller.name(), name).await?;
        Ok(before)
    }

    /// Ends every session of an account.
    pub async fn log_out_user(&self, caller: &Caller, name: &str) -> Result<User, Error> {
        let before = user(&self.existing(name).await?)?;
        self.is_below(caller, &before).await?;
        self.end_sessions(caller.name(), name).await?;
        Ok(before)
    }

    /// Changes the caller's own password, and ends its sessions, this one too.
    pub async fn change_password(
        &self,
        caller: &Caller,
        change: PasswordChange,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        let PasswordChange { old, new } = change;
        let (old, new) = (Zeroizing::new(old), Zeroizing::new(new));
        let Some(name) = caller.user().filter(|_| caller.session().is_some()) else {
            let why = "only who is logged in has a password to change";
            return Err(Refused::Invalid(why.into()).into());
        };
        fit(&new)?;
        self.believe_password(name, old, from).await?;
        let hash = self.inner.passwords.hash(new).await?;
        let _one_at_a_time = self.inner.changing.lock().await;
        let row = users::Model {
            password: Some(hash),
            ..self.existing(name).await?
        };
        self.store().put_user(row).await?;
        self.end_sessions(caller.name(), name).await
    }

    async fn existing(&self, name: &str) -> Result<users::Model, Error> {
        let row = self.store().user(name).await?;
        Ok(row.ok_or_else(|| Refused::NotFound(format!("there is no user {name:?}")))?)
    }

    /// What these roles come to; each must be there.
    pub(super) async fn checked(
        &self,
        roles: &BTreeSet<String>,
        sites: Option<&BTreeSet<String>>,
    ) -> Result<BTreeSet<Permission>, Error> {
        check_lists(roles, sites)?;
        for name in roles {
            if Builtin::named(name).is_none() && self.store().role(name).await?.is_none() {
                let why = format!("there is no role {name:?}; `latencify role list` shows them");
                return Err(Refused::Invalid(why).into());
            }
        }
        Ok(self.permissions_of(roles).await?)
    }

    /// Whoever changes an account must have what it has: with its password they would get it.
    async fn is_below(&self, caller: &Caller, account: &User) -> Result<(), Error> {
        let permissions = self.permissions_of(&account.roles).await?;
        Ok(caller.may_give(&permissions, account.sites.as_ref())?)
    }

    /// Without an administrator nobody could make one.
    async fn is_not_the_last(&self, account: &User) -> Result<(), Error> {
        if !administers(account) {
            return Ok(());
        }
        for row in self.store().users().await? {
            let other = user(&row)?;
            if other.name != account.name && administers(&other) {
                return Ok(());
            }
        }
        let why = format!(
            "{} is the last administrator: make another one first",
            account.name
        );
        Err(Refused::Conflict(why).into())
    }
}

/// Whether it is open, an administrator, and limited to nothing.
fn administers(user: &User) -> bool {
    !user.disabled && user.sites.is_none() && user.roles.contains(Builtin::Admin.as_str())
}

fn fit(password: &str) -> Result<(), Refused> {
    passwords::unfit(password).map_or(Ok(()), |why| Err(Refused::Invalid(why)))
}

/// An account as it is shown.
pub(super) fn user(row: &users::Model) -> Result<User, StoreError> {
    Ok(User {
        name: row.name.clone(),
        roles: accounts::names(&row.roles)?,
        sites: accounts::sites(row.sites.as_deref())?,
        disabled: row.disabled != 0,
        created: shown(row.created_ms),
    })
}
