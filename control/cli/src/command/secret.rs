//! `latencify secret …`. No output and no failure tells a value.

use crate::{
    args::{SecretValue, SecretVerb},
    failure::Failure,
    output::{self, Output, printable, to_the_second},
    server::{Patience, Server},
};
use latencify_conf::{
    api::{SecretAccepted, SecretGone, SecretSubmission, Secrets},
    policy::SECRET_BYTES_MAX,
};
use std::{
    fs::File,
    io::{IsTerminal as _, Read, stdin},
    path::Path,
    process::{Command, Stdio},
};

/// Runs a verb.
pub async fn run(verb: SecretVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    match verb {
        SecretVerb::Set(wanted) => set(wanted, server, output).await,
        SecretVerb::Rotate(wanted) => {
            let secrets: Secrets = server.get("v1/secrets").await?;
            if secrets
                .secrets
                .iter()
                .all(|secret| secret.name != wanted.name)
            {
                let missing = Failure::failed(format!("there is no secret {:?}", wanted.name));
                return Err(missing.with_help("`latencify secret set` makes one"));
            }
            set(wanted, server, output).await
        }
        SecretVerb::List => {
            let secrets: Secrets = server.get("v1/secrets").await?;
            output.answer(&secrets, |secrets| table(secrets, output))
        }
        SecretVerb::Delete { name } => {
            let gone: SecretGone = server.delete(&format!("v1/secrets/{name}")).await?;
            output.answer(&gone, |gone| {
                format!("secret {} is gone, at epoch {}", gone.name, gone.epoch)
            })
        }
    }
}

async fn set(wanted: SecretValue, server: &Server, output: &Output) -> Result<(), Failure> {
    let value = value(&wanted.name, wanted.file.as_deref())?;
    let submission = SecretSubmission {
        name: wanted.name,
        value,
    };
    let accepted: SecretAccepted = server
        .post(
            "v1/secrets",
            wanted.idempotency_key,
            &submission,
            Patience::brief(),
        )
        .await?;
    output.answer(&accepted, |accepted| {
        format!(
            "secret {} has its value number {}, at epoch {}",
            accepted.name, accepted.version, accepted.epoch
        )
    })
}

/// The value, from where it was said to be, without one line break at its end.
fn value(name: &str, file: Option<&Path>) -> Result<String, Failure> {
    let mut text = match file {
        Some(path) if path != Path::new("-") => {
            let unreadable =
                |error: std::io::Error| Failure::file("read the secret in", path, &error);
            read(File::open(path).map_err(unreadable)?).map_err(unreadable)?
        }
        None if stdin().is_terminal() => typed(name)?,
        _ => read(stdin()).map_err(|error| {
            Failure::failed(format!("the secret can't be read from stdin: {error}"))
        })?,
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(Failure::usage("the value of the secret is empty"));
    }
    if text.len() > SECRET_BYTES_MAX {
        return Err(Failure::failed(format!(
            "the value of a secret has {SECRET_BYTES_MAX} bytes at the most"
        )));
    }
    Ok(text)
}

fn read(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    // More than allowed, so that a longer one is seen to be longer.
    source
        .take(SECRET_BYTES_MAX as u64 + 3)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// What is typed, unseen.
fn typed(name: &str) -> Result<String, Failure> {
    output::remark(&format!("value of {name} (not shown), then Enter:"));
    let echo = |how: &str| {
        let stty = Command::new("stty").arg(how).stderr(Stdio::null()).status();
        stty.is_ok_and(|status| status.success())
    };
    if !echo("-echo") {
        return Err(Failure::failed("this terminal would show the value")
            .with_help("give it by --file, or on stdin"));
    }
    let mut text = String::new();
    let read = stdin().read_line(&mut text);
    let _ = echo("echo");
    read.map_err(|error| Failure::failed(format!("nothing can be read: {error}")))?;
    Ok(text)
}

fn table(secrets: &Secrets, output: &Output) -> String {
    let mut table = output.table(&["secret", "number", "set by", "at", "used by"]);
    for secret in &secrets.secrets {
        let uses = if secret.used_by.is_empty() {
            "nothing".to_owned()
        } else {
            secret.used_by.join("\n")
        };
        let number = if secret.stored {
            secret.version.to_string()
        } else {
            format!("{} (its value is lost: set it again)", secret.version)
        };
        table.row([
            secret.name.clone(),
            number,
            printable(&secret.by),
            to_the_second(&secret.at),
            printable(&uses),
        ]);
    }
    table.to_string()
}
