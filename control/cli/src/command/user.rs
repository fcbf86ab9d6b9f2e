//! `latencify user …`

use super::password;
use crate::{
    args::{UserChangeArgs, UserVerb},
    failure::Failure,
    output::{Output, to_the_second},
    server::{Patience, Server},
};
use latencify_conf::api::{NewUser, PasswordChange, User, UserChange, Users};
use std::collections::BTreeSet;

/// Runs a verb.
pub async fn run(verb: UserVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    match verb {
        UserVerb::List => {
            let users: Users = server.get("v1/users").await?;
            output.answer(&users, |users| table(&users.users, output))
        }
        UserVerb::Show { name } => {
            let user: User = server.get(&path(&name)?).await?;
            output.answer(&user, |user| table(std::slice::from_ref(user), output))
        }
        UserVerb::Add { name, roles, sites } => {
            let new = NewUser {
                password: password::ask_new(&format!("password of {name}"))?,
                name,
                roles: roles.into_iter().collect(),
                sites: limited(sites),
            };
            let user: User = server
                .post("v1/users", None, &new, Patience::once())
                .await?;
            output.answer(&user, |user| format!("{} has an account", user.name))
        }
        UserVerb::Change(wanted) => change(wanted, server, output).await,
        UserVerb::Remove { name } => {
            let user: User = server.delete(&path(&name)?).await?;
            output.answer(&user, |user| {
                format!("{} has no account any more", user.name)
            })
        }
        UserVerb::Logout { name } => {
            let path = format!("{}/logout", path(&name)?);
            let user: User = server
                .post(&path, None, &serde_json::json!({}), Patience::brief())
                .await?;
            output.answer(&user, |user| {
                format!("every session of {} is over", user.name)
            })
        }
        UserVerb::Password => {
            let change = PasswordChange {
                old: password::ask("your password until now")?,
                new: password::ask_new("your new password")?,
            };
            server.put::<()>("v1/password", &change).await?;
            server.forget_session()?;
            output.answer(&serde_json::json!({"password": "changed"}), |_| {
                "the password is changed, and every session is over: log in again".to_owned()
            })
        }
    }
}

async fn change(wanted: UserChangeArgs, server: &Server, output: &Output) -> Result<(), Failure> {
    let UserChangeArgs {
        name,
        roles,
        sites,
        all_sites,
        disable,
        enable,
        password,
    } = wanted;
    let change = UserChange {
        password: password
            .then(|| password::ask_new(&format!("new password of {name}")))
            .transpose()?,
        roles: limited(roles),
        sites: limited(sites),
        all_sites,
        disabled: (disable || enable).then_some(disable),
    };
    let user: User = server.patch(&path(&name)?, &change).await?;
    output.answer(&user, |user| table(std::slice::from_ref(user), output))
}

fn limited(names: Vec<String>) -> Option<BTreeSet<String>> {
    (!names.is_empty()).then(|| names.into_iter().collect())
}

fn path(name: &str) -> Result<String, Failure> {
    Ok(format!(
        "v1/users/{}",
        super::edge::path_segment_of(name, "user")?
    ))
}

fn table(users: &[User], output: &Output) -> String {
    let mut table = output.table(&["user", "roles", "sites", "state", "since"]);
    for user in users {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        table.row([
            user.name.clone(),
            list(&user.roles),
            user.sites.as_ref().map_or_else(|| "all".to_owned(), list),
            if user.disabled { "disabled" } else { "open" }.to_owned(),
            to_the_second(&user.created),
        ]);
    }
    table.to_string()
}
