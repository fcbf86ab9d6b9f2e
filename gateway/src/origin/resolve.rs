//! Addresses of origin names: the hosts file first, then DNS, asked again when the answer's TTL is over.

use arc_swap::ArcSwapOption;
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
};
use std::{
    fs,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// A name is not asked for more often than this, whatever its TTL.
pub const TTL_MIN: Duration = Duration::from_secs(1);
/// A name is asked for at least this often, whatever its TTL.
pub const TTL_MAX: Duration = Duration::from_mins(5);
/// After a failure, the name is asked for again after this; doubled with each further failure, up to [`TTL_MAX`] …
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// … or, as long as no address is known, up to this: until then every request fails.
pub const RETRY_UNKNOWN_MAX: Duration = Duration::from_secs(10);

const HOSTS_FILE: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Answers for names.
pub struct Resolver {
    /// The DNS server to ask instead of the system's.
    server: Option<SocketAddr>,
    /// What was made of the system's files, until they change.
    current: ArcSwapOption<Current>,
}

/// The addresses of a name and how long they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// At least one.
    pub addresses: Vec<IpAddr>,
    /// As the records say, not yet clamped.
    pub ttl: Duration,
}

/// A name could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system's resolver settings can't be read.
    #[error("{RESOLV_CONF}: {0}; name a DNS server by --dns")]
    Settings(String),
    /// The servers were asked in vain.
    #[error("{0}")]
    Lookup(String),
    /// The name exists and has no address.
    #[error("no A or AAAA record")]
    Empty,
}

struct Current {
    files: [Option<(SystemTime, u64)>; 2],
    hosts: Hosts,
    dns: TokioResolver,
}

impl Resolver {
    /// A resolver by the system's settings, or by this DNS server. The hosts file counts in both cases.
    pub fn new(server: Option<SocketAddr>) -> Self {
        Self {
            server,
            current: ArcSwapOption::empty(),
        }
    }

    /// The addresses of a name.
    pub async fn lookup(&self, name: &str) -> Result<Answer, ResolveError> {
        let current = self.current()?;
        if let Some(answer) = current.in_hosts(name) {
            return Ok(answer);
        }
        let found = current
            .dns
            .lookup_ip(name)
            .await
            .map_err(|error| ResolveError::Lookup(error.to_string()))?;
        let addresses: Vec<_> = found.iter().collect();
        if addresses.is_empty() {
            return Err(ResolveError::Empty);
        }
        let ttl = found
            .as_lookup()
            .answers()
            .iter()
            .map(|record| record.ttl)
            .min()
            .unwrap_or(0);
        Ok(Answer {
            addresses,
            ttl: Duration::from_secs(ttl.into()),
        })
    }

    /// What the system's files say; read again when one of them has changed.
    fn current(&self) -> Result<Arc<Current>, ResolveError> {
        let files = [HOSTS_FILE, RESOLV_CONF].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        if let Some(current) = self
            .current
            .load_full()
            .filter(|current| current.files == files)
        {
            return Ok(current);
        }
        let current = Arc::new(Current {
            files,
            hosts: Hosts::from_system().unwrap_or_default(),
            dns: self
                .dns()
                .map_err(|error| ResolveError::Settings(error.to_string()))?,
        });
        self.current.store(Some(current.clone()));
        Ok(current)
    }

    fn dns(&self) -> Result<TokioResolver, hickory_resolver::net::NetError> {
        let mut builder = match self.server {
            None => TokioResolver::builder_tokio()?,
            Some(server) => {
                let connections =
                    [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                        connection.port = server.port();
                        connection
                    });
                let server = NameServerConfig::new(server.ip(), true, connections.into());
                TokioResolver::builder_with_config(
                    ResolverConfig::from_parts(None, Vec::new(), vec![server]),
                    TokioRuntimeProvider::default(),
                )
            }
        };
        let options = builder.options_mut();
        // The table of addresses is the cache; a second one would only add its age to the TTL.
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build()
    }
}

impl Current {
    /// A name in the hosts file is not asked of DNS, not even for the other family.
    fn in_hosts(&self, name: &str) -> Option<Answer> {
        let name = Name::from_utf8(name).ok()?.to_lowercase();
        let addresses: Vec<_> = [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| {
                self.hosts
                    .lookup_static_host(&Query::query(name.clone(), kind))
            })
            .flat_map(|lookup| {
                lookup
                    .answers()
                    .iter()
                    .filter_map(|record| record.data.ip_addr())
                    .collect::<Vec<_>>()
            })
            .collect();
        (!addresses.is_empty()).then_some(Answer {
            addresses,
            ttl: TTL_MIN * 10,
        })
    }
}

/// When to ask again after an answer.
pub fn clamp_ttl(ttl: Duration) -> Duration {
    ttl.clamp(TTL_MIN, TTL_MAX)
}

/// When to ask again after so many failures in a row (from 1), with so many addresses that were good before.
pub fn retry_after(failures: u32, kept: usize) -> Duration {
    let most = if kept == 0 {
        RETRY_UNKNOWN_MAX
    } else {
        TTL_MAX
    };
    RETRY_FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_are_clamped_and_retries_back_off() {
        for (ttl, expected) in [(0, 1), (1, 1), (30, 30), (300, 300), (86_400, 300)] {
            assert_eq!(
                clamp_ttl(Duration::from_secs(ttl)),
                Duration::from_secs(expected),
                "TTL {ttl}"
            );
        }
        for (failures, kept, expected) in [
            (0, 1, 1),
            (1, 1, 1),
            (2, 1, 2),
            (3, 1, 4),
            (9, 2, 256),
            (10, 2, 300),
            (u32::MAX, 1, 300),
            // Without any address, nothing is served meanwhile.
            (1, 0, 1),
            (4, 0, 8),
            (5, 0, 10),
            (u32::MAX, 0, 10),
        ] {
            assert_eq!(
                retry_after(failures, kept),
                Duration::from_secs(expected),
                "{failures} failures, {kept} addresses"
            );
        }
    }
}
