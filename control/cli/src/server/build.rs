//! The HTTP client, the address and the token, from what the user said.

use super::pinned;
use crate::{args::ServerArgs, failure::Failure};
use std::{env, fs, path::Path, time::Duration};
use url::Url;

/// TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt, head and body; longer than any wait that is asked of the server.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The token, unless one is typed or a file is named.
const TOKEN_VARIABLE: &str = "LATENCIFY_API_TOKEN";
/// The token's file, unless one is typed.
const TOKEN_FILE_VARIABLE: &str = "LATENCIFY_API_TOKEN_FILE";

/// A client that trusts what it is told to trust and follows no redirect: the token is for one server.
pub fn client(args: &ServerArgs) -> Result<reqwest::Client, Failure> {
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("latencify/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    let builder = match (&args.ca, args.ca_fingerprint) {
        (None, Some(ca)) => builder.tls_backend_preconfigured(
            pinned::client(ca)
                .map_err(|error| Failure::failed(format!("TLS can't be set up: {error}")))?,
        ),
        (Some(file), _) => builder.tls_certs_only(authorities(file)?),
        // Without TLS nobody needs the system's CAs, and a bare machine has none.
        (None, None) if args.server.scheme() == "http" => builder.tls_certs_only([]),
        (None, None) => builder,
    };
    builder.build().map_err(|error| {
        Failure::failed(format!(
            "TLS can't be set up: {}",
            super::attempt::deepest(&error)
        ))
        .with_help(
            "install the system's CAs (Debian: ca-certificates) or name yours with --ca FILE",
        )
    })
}

/// The address that paths are joined to.
pub fn base(server: &Url) -> Result<Url, Failure> {
    if !matches!(server.scheme(), "http" | "https") || server.host().is_none() {
        return Err(Failure::usage(format!(
            "--server {server} is no http:// or https:// URL"
        )));
    }
    let mut base = server.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    base.set_query(None);
    base.set_fragment(None);
    Ok(base)
}

/// The token: what is typed wins over the environment, and in each of them a file over the token itself. That order is
/// beyond what one option with a variable can say, so the variables are read here.
pub fn token(args: &ServerArgs) -> Result<Option<String>, Failure> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let read = |file: &Path| {
        fs::read_to_string(file).map_err(|error| Failure::file("read the token in", file, &error))
    };
    let token = if let Some(file) = &args.token_file {
        Some(read(file)?)
    } else if args.token.is_some() {
        args.token.clone()
    } else if let Some(file) = variable(TOKEN_FILE_VARIABLE) {
        Some(read(Path::new(&file))?)
    } else {
        variable(TOKEN_VARIABLE).map(|token| token.to_string_lossy().into_owned())
    };
    let token = token
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty());
    if token
        .as_ref()
        .is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(Failure::usage(
            "the API token has characters that no token has; is it the right file?",
        ));
    }
    Ok(token)
}

fn authorities(file: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let pem = fs::read(file).map_err(|error| Failure::file("read the CAs in", file, &error))?;
    let bundle = reqwest::Certificate::from_pem_bundle(&pem);
    bundle
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| Failure::failed(format!("{} holds no certificate in PEM", file.display())))
}
