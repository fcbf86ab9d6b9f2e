//! `latencify login|logout|whoami`

use super::password;
use crate::{
    args::{LoginArgs, ServerArgs},
    failure::Failure,
    output::Output,
    server::{Patience, Server},
};
use latencify_conf::api::{LoggedIn, Login, WhoAmI};
use serde::Serialize;

/// What a login came to, for programs: no token.
#[derive(Serialize)]
struct Done {
    user: String,
    session: uuid::Uuid,
    server: String,
}

/// Logs in, and keeps the session.
pub async fn log_in(args: LoginArgs, server: &ServerArgs, output: &Output) -> Result<(), Failure> {
    let is_overruled = Server::is_given_a_token(server);
    let server = Server::of_session(server)?;
    let password = password::ask(&format!("password of {}", args.user))?;
    let login = Login {
        user: args.user.clone(),
        password,
    };
    let given: LoggedIn = server.post_once("v1/login", &login).await?;
    server.keep_session(&args.user, &given)?;
    let done = Done {
        user: args.user,
        session: given.session,
        server: server.base().to_string(),
    };
    let days = given.refresh_expires_in.div_ceil(86_400);
    output.answer(&done, |done| {
        format!(
            "{} is logged in to {} for {days} days",
            done.user, done.server
        )
    })?;
    if is_overruled {
        output.note("a token that is given wins over the session: unset LATENCIFY_API_TOKEN and LATENCIFY_API_TOKEN_FILE to use it");
    }
    Ok(())
}

/// Ends the session, here and there.
pub async fn log_out(server: &ServerArgs, output: &Output) -> Result<(), Failure> {
    let server = Server::of_session(server)?;
    if !server.has_session() {
        return output.answer(&serde_json::json!({"session": null}), |_| {
            "nobody was logged in".to_owned()
        });
    }
    let ended = server
        .post::<()>("v1/logout", None, &serde_json::json!({}), Patience::brief())
        .await;
    // Whatever control says, it is not used here any more.
    server.forget_session()?;
    ended.map_err(|failure| {
        failure.and_then("the session is forgotten here; it may still count: an administrator ends it by `latencify user logout`")
    })?;
    output.answer(&serde_json::json!({"session": "ended"}), |_| {
        "logged out".to_owned()
    })
}

/// Tells who asks.
pub async fn who_am_i(server: &Server, output: &Output) -> Result<(), Failure> {
    let who: WhoAmI = server.get("v1/whoami").await?;
    output.answer(&who, |who| {
        let list = |names: &std::collections::BTreeSet<String>| {
            names.iter().cloned().collect::<Vec<_>>().join(", ")
        };
        let sites = who.sites.as_ref().map_or_else(|| "all".to_owned(), list);
        format!(
            "{}\nroles        {}\nsites        {sites}\npermissions  {}",
            who.name,
            list(&who.roles),
            list(&who.permissions)
        )
    })
}
