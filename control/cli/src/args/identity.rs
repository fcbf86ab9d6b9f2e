//! `latencify login|logout|whoami|user|role|token|audit`

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

/// `latencify login`
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// The account. The password is asked for, or read from stdin.
    #[arg(value_name = "USER")]
    pub user: String,
}

/// `latencify user …`
#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Every account.
    List,
    /// One account.
    Show {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Makes an account. The password is asked for, or read from stdin.
    #[command(after_help = "Example:\n  latencify user add alice --role operator --site shop")]
    Add {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// A role, repeatable.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// Limited to this site, repeatable. Without one: for all sites.
        #[arg(long = "site", value_name = "SITE")]
        sites: Vec<String>,
    },
    /// Changes an account, and ends its sessions.
    #[command(after_help = "Example:\n  latencify user change alice --role viewer --all-sites")]
    Change(UserChangeArgs),
    /// Removes an account, its sessions and its API tokens.
    Remove {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Ends every session of an account, on every replica and edge.
    Logout {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Changes your own password, and ends your sessions. Both passwords are asked for, or read from stdin, one a line.
    Password,
}

/// `latencify user change`
#[derive(Debug, Args)]
pub struct UserChangeArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// These roles instead, repeatable.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Limited to these sites instead, repeatable.
    #[arg(long = "site", value_name = "SITE", conflicts_with = "all_sites")]
    pub sites: Vec<String>,
    /// Limited to no sites any more.
    #[arg(long)]
    pub all_sites: bool,
    /// Nobody logs in to it any more.
    #[arg(long, conflicts_with = "enable")]
    pub disable: bool,
    /// It may be logged in to again.
    #[arg(long)]
    pub enable: bool,
    /// A new password, which is asked for, or read from stdin.
    #[arg(long)]
    pub password: bool,
}

/// `latencify role …`
#[derive(Debug, Subcommand)]
pub enum RoleVerb {
    /// Every role and what it may do.
    List,
    /// Makes a custom role, or changes it.
    #[command(
        after_help = "Example:\n  latencify role set releaser --permission policies.read --permission policies.write"
    )]
    Set {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// What it may do, repeatable.
        #[arg(long = "permission", value_name = "PERMISSION", required = true)]
        permissions: Vec<String>,
        /// For people.
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// Removes a custom role that nobody has.
    Remove {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `latencify token …`
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Your API tokens; everybody's, if you may take them back.
    List,
    /// Makes an API token, for a machine. Its text is shown this once, on stdout.
    #[command(
        after_help = "Example:\n  latencify token create ci --role purger --site shop --expires-days 90"
    )]
    Create {
        /// For people.
        #[arg(value_name = "NAME")]
        name: String,
        /// A role, repeatable: nothing that you may not do.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// Limited to this site, repeatable.
        #[arg(long = "site", value_name = "SITE")]
        sites: Vec<String>,
        /// It counts for so many days.
        #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=366))]
        expires_days: u64,
    },
    /// Takes an API token back.
    Revoke {
        /// Its id.
        #[arg(value_name = "ID")]
        id: Uuid,
    },
    /// Another key signs the access tokens of logins from now on.
    RotateKeys {
        /// Earlier keys are believed no more at once: somebody else may know them. Sessions go on.
        #[arg(long)]
        retire_earlier: bool,
    },
}

/// `latencify audit …`
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Who did what, the newest first.
    #[command(after_help = "Example:\n  latencify audit list --by user:alice --outcome refused")]
    List(AuditFilter),
    /// Checks that every record is as it was written, and tells the head of the chain: kept elsewhere, it shows later that none
    /// was cut off.
    #[command(after_help = "Example:\n  latencify audit verify --expect 120:sha256:ab12…")]
    Verify {
        /// A number and the head of then, as an earlier verification told it.
        #[arg(long, value_name = "NUMBER:HEAD")]
        expect: Option<String>,
    },
}

/// `latencify audit list`
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// Of this caller: user:alice, token:ci, stranger.
    #[arg(long, value_name = "CALLER")]
    pub by: Option<String>,
    /// Of this action: a permission, login, refresh, authenticate.
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// That ended so.
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<Outcome>,
    /// Not before this time, as 2026-11-23T19:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this number.
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<u64>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}

/// How something ended.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The caller may not do it.
    Refused,
    /// It was not done for another reason.
    Failed,
}

impl Outcome {
    /// As the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}
