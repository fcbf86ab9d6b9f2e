//! What ends a command without success, and the exit code that says so.

use latencify_conf::api::{PolicyError, Problem};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Done.
pub const EXIT_FAILED: u8 = 1;
/// The command line says something that can't be done, whatever the state of the world.
pub const EXIT_USAGE: u8 = 2;

/// Why a command ended without success.
#[derive(Debug)]
pub enum Failure {
    /// Wrong use: the same words would never work.
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// A policy has errors.
    PolicyInvalid {
        /// All of them.
        errors: Vec<PolicyError>,
        /// The folder that the files' names are relative to, so that places can be clicked; empty when the files are not here.
        folder: PathBuf,
    },
    /// Control answered with a problem.
    Refused(Box<Problem>),
    /// Anything else that did not work.
    Failed {
        /// What did not work, where.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The command has already said on stdout that its answer is no.
    Answered,
}

impl Failure {
    /// Wrong use.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            help: None,
        }
    }

    /// Something that did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            help: None,
        }
    }

    /// A file that can't be read or written.
    pub fn file(doing: &str, path: &Path, error: &impl Display) -> Self {
        Self::failed(format!("can't {doing} {}: {error}", path.display()))
    }

    /// The same with a remedy.
    pub fn with_help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Usage { message, .. } => Self::Usage {
                message,
                help: Some(text.into()),
            },
            Self::Failed { message, .. } => Self::Failed {
                message,
                help: Some(text.into()),
            },
            other => other,
        }
    }

    /// The same with a further remedy, after those that it has.
    pub fn and_then(self, text: &str) -> Self {
        let longer = |help: Option<String>| {
            Some(help.map_or_else(|| text.to_owned(), |help| format!("{help}\n{text}")))
        };
        match self {
            Self::Usage { message, help } => Self::Usage {
                message,
                help: longer(help),
            },
            Self::Failed { message, help } => Self::Failed {
                message,
                help: longer(help),
            },
            Self::Refused(mut problem) => {
                problem.detail = longer(problem.detail);
                Self::Refused(problem)
            }
            other => other,
        }
    }

    /// What happened, on one line, without any remedy.
    pub fn in_short(&self) -> String {
        match self {
            Self::Usage { message, .. } | Self::Failed { message, .. } => message.clone(),
            Self::Refused(problem) => {
                let why = problem.detail.as_deref().and_then(|why| why.lines().next());
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                format!("control says {}: {}{why}", problem.status, problem.title)
            }
            Self::PolicyInvalid { .. } | Self::Answered => String::new(),
        }
    }

    /// 1: refused or failed; 2: wrong use.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage { .. } => EXIT_USAGE,
            Self::PolicyInvalid { .. }
            | Self::Refused(_)
            | Self::Failed { .. }
            | Self::Answered => EXIT_FAILED,
        })
    }
}
