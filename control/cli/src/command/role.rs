//! `latencify role …`

use crate::{args::RoleVerb, failure::Failure, output::Output, server::Server};
use latencify_conf::api::{Role, RoleDefinition, Roles};

/// Runs a verb.
pub async fn run(verb: RoleVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    match verb {
        RoleVerb::List => {
            let roles: Roles = server.get("v1/roles").await?;
            output.answer(&roles, |roles| matrix(roles, output))
        }
        RoleVerb::Set {
            name,
            permissions,
            description,
        } => {
            let definition = RoleDefinition {
                description,
                permissions: permissions.into_iter().collect(),
            };
            let role: Role = server.put(&path(&name)?, &definition).await?;
            output.answer(&role, |role| format!("{} is a role", role.name))
        }
        RoleVerb::Remove { name } => {
            let role: Role = server.delete(&path(&name)?).await?;
            output.answer(&role, |role| format!("{} is no role any more", role.name))
        }
    }
}

fn path(name: &str) -> Result<String, Failure> {
    Ok(format!(
        "v1/roles/{}",
        super::edge::path_segment_of(name, "role")?
    ))
}

/// What each role may do.
fn matrix(roles: &Roles, output: &Output) -> String {
    let mut table = output.table(&["role", "may", "description"]);
    for role in &roles.roles {
        let may: Vec<_> = role.permissions.iter().cloned().collect();
        let may = if may.len() == roles.permissions.len() {
            "everything".to_owned()
        } else {
            may.join(" ")
        };
        table.row([role.name.clone(), may, role.description.clone()]);
    }
    table.to_string()
}
