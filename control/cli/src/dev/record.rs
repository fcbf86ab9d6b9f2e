//! What runs where: `DIR/dev.json` for programs, `DIR/env` for shells.

use super::layout::{self, Layout};
use crate::failure::Failure;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr, path::PathBuf};

/// A run, once all of it is ready.
#[derive(Debug, Serialize)]
pub struct Record {
    /// The run's folder.
    pub dir: PathBuf,
    /// This program's process id.
    pub pid: u32,
    /// The API's URL.
    pub server: String,
    /// A file with the API token.
    pub api_token_file: PathBuf,
    /// A file with the token that edges join with.
    pub join_token_file: PathBuf,
    /// The CA of the demo's certificates.
    pub ca: PathBuf,
    /// Places of loopback addresses (MMDB).
    pub geoip: PathBuf,
    /// The policy, as applied.
    pub policy: PathBuf,
    /// Shell variables of all this.
    pub env: PathBuf,
    /// Where the programs are.
    pub bin: PathBuf,
    /// Control.
    pub control: Control,
    /// The edges.
    pub edges: Vec<Edge>,
    /// The instances of the origin.
    pub origins: BTreeMap<String, SocketAddr>,
    /// The broker's address.
    pub kafka: Option<SocketAddr>,
    /// Addresses that were wanted, but that somebody else has.
    pub taken: Vec<SocketAddr>,
}

/// Control, running.
#[derive(Debug, Serialize)]
pub struct Control {
    /// Its process.
    pub pid: u32,
    /// What it prints.
    pub log: PathBuf,
    /// Its addresses.
    #[serde(flatten)]
    pub ports: ControlPorts,
}

/// The addresses that control has bound.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct ControlPorts {
    /// The API.
    pub api: SocketAddr,
    /// The fleet link.
    pub fleet: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
}

/// An edge, running.
#[derive(Debug, Serialize)]
pub struct Edge {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// What it prints.
    pub log: PathBuf,
    /// Its addresses.
    #[serde(flatten)]
    pub ports: EdgePorts,
}

/// The addresses that an edge has bound.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct EdgePorts {
    /// HTTP, its own address first.
    pub http: Vec<SocketAddr>,
    /// HTTPS, its own address first.
    pub https: Vec<SocketAddr>,
    /// Metrics and health.
    pub admin: SocketAddr,
}

impl Edge {
    /// Its HTTP URL.
    pub fn url(&self) -> String {
        self.ports
            .http
            .first()
            .map(|address| format!("http://{address}"))
            .unwrap_or_default()
    }

    /// `127.10.0.1:8441`.
    pub fn tls(&self) -> String {
        self.ports
            .https
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}

impl Record {
    /// Another process is an edge now; at the same addresses.
    pub fn took_over(&mut self, name: &str, pid: u32) {
        for edge in self.edges.iter_mut().filter(|edge| edge.name == name) {
            edge.pid = pid;
        }
    }

    /// Writes both files; `dev.json` last, because whoever waits waits for it.
    pub fn publish(&self, layout: &Layout) -> Result<(), Failure> {
        layout::replace(&self.env, self.shell().as_bytes())?;
        let json = serde_json::to_vec_pretty(self);
        let json =
            json.map_err(|error| Failure::failed(format!("dev.json can't be encoded: {error}")))?;
        layout::replace(&layout.dir.join("dev.json"), &json)
    }

    /// Variables for a shell: where control is and its token's file, `PARIS`, `PARIS_TLS`, `ORIGIN_PARIS` and so on.
    fn shell(&self) -> String {
        let mut text = String::from(
            "# What `latencify dev` runs. Read it into a shell with a dot in front of its name.\n",
        );
        let mut export = |name: &str, value: &str| {
            let _ = writeln!(text, "export {name}={}", quoted(value));
        };
        export("LATENCIFY_SERVER", &self.server);
        export(
            "LATENCIFY_API_TOKEN_FILE",
            &self.api_token_file.to_string_lossy(),
        );
        export("LATENCIFY_GEOIP", &self.geoip.to_string_lossy());
        export("DEV", &self.dir.to_string_lossy());
        export("DEMO_CA", &self.ca.to_string_lossy());
        for edge in &self.edges {
            let name = variable(&edge.name);
            export(&name, &edge.url());
            export(&format!("{name}_TLS"), &edge.tls());
            export(
                &format!("{name}_ADMIN"),
                &format!("http://{}", edge.ports.admin),
            );
            export(&format!("{name}_PID"), &edge.pid.to_string());
        }
        for (name, address) in &self.origins {
            export(
                &format!("ORIGIN_{}", variable(name)),
                &format!("http://{address}"),
            );
        }
        if let Some(kafka) = self.kafka {
            export("KAFKA", &kafka.to_string());
        }
        let _ = writeln!(
            text,
            "export PATH={}:\"$PATH\"",
            quoted(&self.bin.to_string_lossy())
        );
        text
    }
}

/// `new-york` as `NEW_YORK`.
fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// A word of a shell, whatever it holds.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell_stay_words() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(variable("new-york"), "NEW_YORK");
    }
}
