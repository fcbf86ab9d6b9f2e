//! What may be done, and which built-in role may do it: one table, which the API, the descriptions of custom roles and the
//! tests read.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// Something that a caller may be allowed to do. Every route of the API needs one of them or is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// To ask who one is, to log out, to change one's password, to make, list and revoke one's own API tokens.
    Own,
    /// To read revisions, their files and who runs them.
    PoliciesRead,
    /// To submit a policy.
    PoliciesWrite,
    /// To read receipts.
    PurgesRead,
    /// To purge.
    PurgesWrite,
    /// To read the roster.
    EdgesRead,
    /// To take an edge out of the roster, or its certificate back.
    EdgesWrite,
    /// To invite an edge into the fleet.
    EdgesEnrol,
    /// To read who serves this API.
    ReplicasRead,
    /// To read the change log.
    LogRead,
    /// To send content events.
    EventsWrite,
    /// To read how rollouts stand.
    RolloutsRead,
    /// To start, pause, resume and abort rollouts.
    RolloutsWrite,
    /// To read the names of secrets, never their values.
    SecretsRead,
    /// To set, rotate and remove secrets.
    SecretsWrite,
    /// To read who has an account.
    UsersRead,
    /// To make, change and remove accounts, and to end their sessions.
    UsersWrite,
    /// To read roles.
    RolesRead,
    /// To make, change and remove custom roles.
    RolesWrite,
    /// To list and revoke everybody's API tokens.
    TokensWrite,
    /// To rotate the keys that tokens are signed with.
    KeysWrite,
    /// To read the audit log.
    AuditRead,
}

/// A built-in role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Builtin {
    /// Reads.
    Viewer,
    /// Reads, purges and sends content events.
    Purger,
    /// Runs the fleet.
    Operator,
    /// Everything.
    Admin,
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It changes nothing of others'.
    Reads,
    /// It changes named sites, and is checked against them.
    Sites,
    /// It changes what all sites share: nobody who is limited to sites has it, whatever the roles say.
    Fleet,
}

use Permission as P;
use Reach::{Fleet, Reads, Sites};

/// Permission, name, reach, and whether viewer, purger, operator and admin have it.
#[rustfmt::skip]
const TABLE: &[(Permission, &str, Reach, [bool; 4])] = &[
    (P::Own,           "own",            Reads, [true,  true,  true,  true]),
    (P::PoliciesRead,  "policies.read",  Reads, [true,  true,  true,  true]),
    (P::PoliciesWrite, "policies.write", Sites, [false, false, true,  true]),
    (P::PurgesRead,    "purges.read",    Reads, [true,  true,  true,  true]),
    (P::PurgesWrite,   "purges.write",   Sites, [false, true,  true,  true]),
    (P::EdgesRead,     "edges.read",     Reads, [true,  true,  true,  true]),
    (P::EdgesWrite,    "edges.write",    Fleet, [false, false, true,  true]),
    (P::EdgesEnrol,    "edges.enrol",    Fleet, [false, false, false, true]),
    (P::ReplicasRead,  "replicas.read",  Reads, [true,  true,  true,  true]),
    (P::LogRead,       "log.read",       Reads, [true,  true,  true,  true]),
    (P::EventsWrite,   "events.write",   Sites, [false, true,  true,  true]),
    (P::RolloutsRead,  "rollouts.read",  Reads, [true,  true,  true,  true]),
    (P::RolloutsWrite, "rollouts.write", Fleet, [false, false, true,  true]),
    (P::SecretsRead,   "secrets.read",   Fleet, [false, false, true,  true]),
    (P::SecretsWrite,  "secrets.write",  Fleet, [false, false, false, true]),
    (P::UsersRead,     "users.read",     Fleet, [false, false, false, true]),
    (P::UsersWrite,    "users.write",    Fleet, [false, false, false, true]),
    (P::RolesRead,     "roles.read",     Reads, [true,  true,  true,  true]),
    (P::RolesWrite,    "roles.write",    Fleet, [false, false, false, true]),
    (P::TokensWrite,   "tokens.write",   Fleet, [false, false, false, true]),
    (P::KeysWrite,     "keys.write",     Fleet, [false, false, false, true]),
    (P::AuditRead,     "audit.read",     Fleet, [false, false, false, true]),
];

impl Permission {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// Its stable name: custom roles, the description of the API and refusals have it.
    pub fn as_str(self) -> &'static str {
        row(self).map_or("", |row| row.1)
    }

    /// How far it reaches.
    pub fn reach(self) -> Reach {
        row(self).map_or(Reach::Fleet, |row| row.2)
    }
}

fn row(permission: Permission) -> Option<&'static (Permission, &'static str, Reach, [bool; 4])> {
    TABLE.iter().find(|row| row.0 == permission)
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no permission of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission {0:?}; `latencify role list` shows those that there are")]
pub struct NoSuchPermission(pub String);

impl FromStr for Permission {
    type Err = NoSuchPermission;

    fn from_str(name: &str) -> Result<Self, NoSuchPermission> {
        TABLE
            .iter()
            .find(|row| row.1 == name)
            .map(|row| row.0)
            .ok_or_else(|| NoSuchPermission(name.to_owned()))
    }
}

impl Builtin {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Purger, Self::Operator, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Purger => "purger",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What it may do.
    pub fn permissions(self) -> BTreeSet<Permission> {
        let column = Self::ALL.iter().position(|role| *role == self);
        TABLE
            .iter()
            .filter(|row| column.and_then(|column| row.3.get(column)) == Some(&true))
            .map(|row| row.0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        let names: BTreeSet<_> = Permission::all().map(Permission::as_str).collect();
        assert_eq!(names.len(), TABLE.len());
        for permission in Permission::all() {
            assert_eq!(permission.as_str().parse(), Ok(permission));
        }
        assert!("policies.writ".parse::<Permission>().is_err());
    }

    #[test]
    fn each_built_in_role_may_do_what_the_one_before_may_and_more() {
        let mut before = BTreeSet::new();
        for role in Builtin::ALL {
            let permissions = role.permissions();
            assert!(permissions.is_superset(&before), "{role:?}");
            assert!(permissions.len() > before.len(), "{role:?}");
            assert_eq!(Builtin::named(role.as_str()), Some(role));
            before = permissions;
        }
        assert_eq!(before.len(), TABLE.len(), "an admin may do everything");
    }
}
