//! Who asks.

use super::{Builtin, Permission, Reach};
use std::{collections::BTreeSet, sync::Arc};
use uuid::Uuid;

/// The caller of a request, once its token is believed. A clone is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    name: String,
    user: Option<String>,
    session: Option<Uuid>,
    roles: BTreeSet<String>,
    permissions: BTreeSet<Permission>,
    sites: Option<BTreeSet<String>>,
}

/// Why a caller may not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// No role of the caller has the permission.
    #[error(
        "{caller} has not the permission {permission}: an administrator gives it by a role (`latencify role list`)"
    )]
    Permission {
        /// Who.
        caller: String,
        /// Which.
        permission: Permission,
    },
    /// The caller is limited to sites, and this reaches further.
    #[error("{caller} is limited to {}, and {what}", listed(.sites))]
    Sites {
        /// Who.
        caller: String,
        /// To which.
        sites: BTreeSet<String>,
        /// What reaches further.
        what: String,
    },
    /// The caller would give what it does not have.
    #[error("{caller} can't give what it has not: {what}")]
    MoreThanOwn {
        /// Who.
        caller: String,
        /// What.
        what: String,
    },
}

impl Forbidden {
    /// Its stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Permission { .. } => "no_permission",
            Self::Sites { .. } => "limited_to_sites",
            Self::MoreThanOwn { .. } => "more_than_own",
        }
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "no site".to_owned();
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    format!("the sites {}", names.join(", "))
}

impl Caller {
    /// Who holds the token that control was started with, or made at its first start: an administrator of everything.
    pub fn bootstrap() -> Self {
        Self::new(
            "token:default".to_owned(),
            BTreeSet::from([Builtin::Admin.as_str().to_owned()]),
            Builtin::Admin.permissions(),
            None,
        )
    }

    /// A caller with these roles, which come to these permissions. `sites`: limited to these; none: to nothing.
    pub fn new(
        name: String,
        roles: BTreeSet<String>,
        permissions: BTreeSet<Permission>,
        sites: Option<BTreeSet<String>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                user: None,
                session: None,
                roles,
                permissions,
                sites,
            }),
        }
    }

    /// The same, as this user, on this session.
    pub fn of_user(self, user: String, session: Option<Uuid>) -> Self {
        let inner = &*self.inner;
        Self {
            inner: Arc::new(Inner {
                name: inner.name.clone(),
                user: Some(user),
                session,
                roles: inner.roles.clone(),
                permissions: inner.permissions.clone(),
                sites: inner.sites.clone(),
            }),
        }
    }

    /// Its name in the log's and the audit's `by`: `user:alice`, `token:ci`.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The account, if it has one.
    pub fn user(&self) -> Option<&str> {
        self.inner.user.as_deref()
    }

    /// The session that it logged in to; none with an API token.
    pub fn session(&self) -> Option<Uuid> {
        self.inner.session
    }

    /// Its roles.
    pub fn roles(&self) -> &BTreeSet<String> {
        &self.inner.roles
    }

    /// What its roles come to.
    pub fn permissions(&self) -> &BTreeSet<Permission> {
        &self.inner.permissions
    }

    /// The sites that it is limited to; none: it is not.
    pub fn sites(&self) -> Option<&BTreeSet<String>> {
        self.inner.sites.as_ref()
    }

    /// Whether it may do that at all. What reaches single sites has to be asked [site by site](Self::of_site), too.
    pub fn may(&self, permission: Permission) -> Result<(), Forbidden> {
        if !self.inner.permissions.contains(&permission) {
            return Err(Forbidden::Permission {
                caller: self.inner.name.clone(),
                permission,
            });
        }
        if permission.reach() == Reach::Fleet {
            return self.everywhere(&format!("{permission} concerns all sites"));
        }
        Ok(())
    }

    /// Whether it may change this site.
    pub fn of_site(&self, site: &str) -> Result<(), Forbidden> {
        match self.sites() {
            Some(sites) if !sites.contains(site) => {
                Err(self.limited(format!("this concerns the site {site}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it may change what all sites share; `what` says why this does.
    pub fn everywhere(&self, what: &str) -> Result<(), Forbidden> {
        match self.sites() {
            Some(_) => Err(self.limited(what.to_owned())),
            None => Ok(()),
        }
    }

    /// Whether it may give somebody these permissions on these sites: nobody gives what they have not.
    pub fn may_give(
        &self,
        permissions: &BTreeSet<Permission>,
        sites: Option<&BTreeSet<String>>,
    ) -> Result<(), Forbidden> {
        let more = |what: String| {
            Err(Forbidden::MoreThanOwn {
                caller: self.inner.name.clone(),
                what,
            })
        };
        if let Some(permission) = permissions.difference(&self.inner.permissions).next() {
            return more(format!("the permission {permission}"));
        }
        match (self.sites(), sites) {
            (None, _) => Ok(()),
            (Some(_), None) => more("every site".to_owned()),
            (Some(own), Some(given)) => match given.difference(own).next() {
                Some(site) => more(format!("the site {site}")),
                None => Ok(()),
            },
        }
    }

    fn limited(&self, what: String) -> Forbidden {
        Forbidden::Sites {
            caller: self.inner.name.clone(),
            sites: self.sites().cloned().unwrap_or_default(),
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn caller(role: Builtin, sites: Option<&[&str]>) -> Caller {
        let roles = set(&[role.as_str()]);
        Caller::new("user:x".into(), roles, role.permissions(), sites.map(set))
    }

    #[test]
    fn who_is_limited_to_sites_changes_nothing_that_all_share() {
        let admin = caller(Builtin::Admin, Some(&["shop"]));
        for permission in Permission::all() {
            let allowed = admin.may(permission).is_ok();
            assert_eq!(allowed, permission.reach() != Reach::Fleet, "{permission}");
        }
        assert!(admin.of_site("shop").is_ok() && admin.of_site("blog").is_err());
        assert!(admin.everywhere("x").is_err());
        assert!(caller(Builtin::Admin, None).of_site("blog").is_ok());
    }

    #[test]
    fn nobody_gives_what_they_have_not() {
        let purger = caller(Builtin::Purger, Some(&["shop", "blog"]));
        let viewer = Builtin::Viewer.permissions();
        let shop = set(&["shop"]);
        assert!(purger.may_give(&viewer, Some(&shop)).is_ok());
        assert!(purger.may_give(&viewer, None).is_err());
        assert!(purger.may_give(&viewer, Some(&set(&["news"]))).is_err());
        let operator = Builtin::Operator.permissions();
        assert!(purger.may_give(&operator, Some(&shop)).is_err());
        assert!(
            Caller::bootstrap()
                .may_give(&Builtin::Admin.permissions(), None)
                .is_ok()
        );
    }
}
