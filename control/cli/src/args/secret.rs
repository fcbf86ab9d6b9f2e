//! `latencify secret …`

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `latencify secret …`
#[derive(Debug, Subcommand)]
pub enum SecretVerb {
    /// Sets a secret: a new one, or another value for one that is there, which edges fetch at once. The value is never an
    /// argument, which others on this machine could read: it comes from a file, from stdin, or is asked for.
    #[command(
        after_help = "Examples:\n  openssl rand -hex 32 | latencify secret set origin-key\n  latencify secret set bucket-key --file key.txt"
    )]
    Set(SecretValue),
    /// Gives a secret that is there another value; one that is not is an error.
    #[command(after_help = "Example:\n  openssl rand -hex 32 | latencify secret rotate origin-key")]
    Rotate(SecretValue),
    /// Every secret: its name, the number of its value, who set it when, and where the policy names it. Values are never shown.
    List,
    /// Removes a secret that the policy does not name.
    Delete {
        /// Its name.
        name: String,
    },
}

/// A secret and where its value comes from.
#[derive(Debug, Args)]
pub struct SecretValue {
    /// Its name, as policies refer to it: `{ref: NAME}`.
    pub name: String,
    /// File that holds the value; - is stdin. One line break at its end is left out. Without it: stdin, or what is typed.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Makes a repeat safe: the same key as before.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}
