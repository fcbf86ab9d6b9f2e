//! Custom roles, from the one table of permissions.

use super::{Builtin, Caller, Error, Identity, Permission, is_name};
use crate::{
    store::{StoreError, accounts, entity::roles as rows},
    verbs::Refused,
};
use latencify_conf::api::{Role, RoleDefinition, Roles};
use std::collections::BTreeSet;

/// The most custom roles.
pub const ROLES_MAX: usize = 200;
/// The most bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 500;

impl Identity {
    /// Every role, and every permission.
    pub async fn roles(&self) -> Result<Roles, Error> {
        let mut roles: Vec<_> = Builtin::ALL.into_iter().map(built_in).collect();
        for row in self.store().roles().await? {
            roles.push(custom(&row)?);
        }
        let permissions = Permission::all().map(|permission| permission.to_string());
        Ok(Roles {
            roles,
            permissions: permissions.collect(),
        })
    }

    /// Makes a custom role, or makes it another; before stands what it was.
    pub async fn put_role(
        &self,
        caller: &Caller,
        name: &str,
        definition: RoleDefinition,
    ) -> Result<(Option<Role>, Role), Error> {
        let _one_at_a_time = self.inner.changing.lock().await;
        if Builtin::named(name).is_some() {
            return Err(fixed(name).into());
        }
        if !is_name(name) || definition.description.len() > DESCRIPTION_BYTES_MAX {
            let why = "a role's name is 1 to 100 small letters, digits and .-_@, its description at most 500 bytes";
            return Err(Refused::Invalid(why.into()).into());
        }
        let permissions = definition
            .permissions
            .iter()
            .map(|name| name.parse::<Permission>())
            .collect::<Result<BTreeSet<_>, _>>()
            .map_err(|error| Refused::Invalid(error.to_string()))?;
        let known = self.store().roles().await?;
        let before = known.iter().find(|row| row.name == name);
        if before.is_none() && known.len() >= ROLES_MAX {
            return Err(Refused::Conflict(format!("there are {ROLES_MAX} roles already")).into());
        }
        // Neither more than one's own, nor a change of what is more.
        caller.may_give(&permissions, None)?;
        let before = before.map(custom).transpose()?;
        if let Some(row) = known.iter().find(|row| row.name == name) {
            caller.may_give(&self::permissions(row)?, None)?;
        }
        let row = rows::Model {
            name: name.to_owned(),
            permissions: accounts::written(&definition.permissions),
            description: definition.description,
        };
        self.store().put_role(row.clone()).await?;
        Ok((before, custom(&row)?))
    }

    /// Removes a custom role that nobody has.
    pub async fn remove_role(&self, caller: &Caller, name: &str) -> Result<Role, Error> {
        let _one_at_a_time = self.inner.changing.lock().await;
        if Builtin::named(name).is_some() {
            return Err(fixed(name).into());
        }
        let row = self.store().role(name).await?;
        let row = row.ok_or_else(|| Refused::NotFound(format!("there is no role {name:?}")))?;
        caller.may_give(&permissions(&row)?, None)?;
        for user in self.store().users().await? {
            if accounts::names(&user.roles)?.contains(name) {
                let why = format!(
                    "{} has the role {name}: take it from every user first",
                    user.name
                );
                return Err(Refused::Conflict(why).into());
            }
        }
        self.store().remove_role(name).await?;
        custom(&row).map_err(Error::from)
    }
}

/// What a custom role may do; a permission of a newer version to nothing.
pub(super) fn permissions(row: &rows::Model) -> Result<BTreeSet<Permission>, StoreError> {
    let names = accounts::names(&row.permissions)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

fn custom(row: &rows::Model) -> Result<Role, StoreError> {
    Ok(Role {
        name: row.name.clone(),
        description: row.description.clone(),
        permissions: accounts::names(&row.permissions)?,
        built_in: false,
    })
}

fn built_in(role: Builtin) -> Role {
    let permissions = role.permissions();
    Role {
        name: role.as_str().to_owned(),
        description: match role {
            Builtin::Viewer => "reads",
            Builtin::Purger => "reads, purges and sends content events",
            Builtin::Operator => "runs the fleet",
            Builtin::Admin => "everything",
        }
        .to_owned(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        built_in: true,
    }
}

fn fixed(name: &str) -> Refused {
    Refused::Conflict(format!("the role {name} is built in and stays as it is"))
}
