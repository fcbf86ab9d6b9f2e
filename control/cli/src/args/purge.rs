//! `latencify purge …`

use clap::{Args, Subcommand};
use latencify_conf::{api::PurgeTarget, change::Mode};
use std::time::Duration;

/// What is purged.
#[derive(Debug, Subcommand)]
pub enum PurgeVerb {
    /// URLs: each path over all its queries and variants.
    #[command(
        after_help = "Example:\n  latencify purge url https://shop.example/cart https://shop.example/ --wait"
    )]
    Url {
        /// The URLs, as clients ask for them.
        #[arg(required = true, value_name = "URL")]
        urls: Vec<String>,
        #[command(flatten)]
        options: PurgeOptions,
    },
    /// Everything that the origin tagged so (Surrogate-Key, Cache-Tag).
    #[command(after_help = "Example:\n  latencify purge tag article-7 --site shop --wait")]
    Tag {
        /// The tags.
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
        /// Only on this site. Default: on every site.
        #[arg(long, value_name = "NAME")]
        site: Option<String>,
        #[command(flatten)]
        options: PurgeOptions,
    },
    /// URLs and everything below them, in whole path segments.
    #[command(after_help = "Example:\n  latencify purge prefix https://shop.example/img/ --wait")]
    Prefix {
        /// The URLs that everything below starts with.
        #[arg(required = true, value_name = "URL")]
        urls: Vec<String>,
        #[command(flatten)]
        options: PurgeOptions,
    },
    /// Whole sites by their names in the policy.
    #[command(after_help = "Example:\n  latencify purge site shop --soft")]
    Site {
        /// The sites' names.
        #[arg(required = true, value_name = "NAME")]
        sites: Vec<String>,
        #[command(flatten)]
        options: PurgeOptions,
    },
    /// Everything.
    All {
        #[command(flatten)]
        options: PurgeOptions,
    },
}

/// How it is purged.
#[derive(Debug, Clone, Args)]
pub struct PurgeOptions {
    /// Make it stale instead: revalidated, and served under the policy's stale rules meanwhile.
    #[arg(long)]
    pub soft: bool,
    /// Wait for the receipt: every edge obeys the purge. Exit 1 naming who does not in time.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = super::duration, requires = "wait")]
    pub timeout: Duration,
    /// Makes repeating the command safe; by default each run makes its own.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

impl PurgeVerb {
    /// The targets as the API takes them, and how.
    pub fn into_parts(self) -> (Vec<PurgeTarget>, PurgeOptions) {
        match self {
            Self::Url { urls, options } => {
                (urls.into_iter().map(PurgeTarget::Url).collect(), options)
            }
            Self::Prefix { urls, options } => {
                (urls.into_iter().map(PurgeTarget::Prefix).collect(), options)
            }
            Self::Site { sites, options } => {
                (sites.into_iter().map(PurgeTarget::Site).collect(), options)
            }
            Self::Tag {
                tags,
                site,
                options,
            } => (
                tags.into_iter()
                    .map(|tag| PurgeTarget::Tag {
                        tag,
                        site: site.clone(),
                    })
                    .collect(),
                options,
            ),
            Self::All { options } => (vec![PurgeTarget::All(true)], options),
        }
    }
}

impl PurgeOptions {
    /// Hard or soft.
    pub fn mode(&self) -> Mode {
        if self.soft { Mode::Soft } else { Mode::Hard }
    }
}
