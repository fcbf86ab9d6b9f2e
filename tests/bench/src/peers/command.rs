//! From the committed configuration to a command line.

use super::{Peer, find};
use crate::{
    ground::Ground, ground::myself, machine, process::Words, settings::Settings, works::Work,
};
use anyhow::{Context as _, bail, ensure};
use latencify_tests::Port;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The ports of a peer.
pub struct Ports {
    /// Plain HTTP.
    pub http: Port,
    /// TLS.
    pub https: Port,
    /// Ours alone: metrics.
    pub admin: Port,
}

/// Memory or tmpfs for what a peer stores, in MiB: room for what the work stores, at 4 KiB an object, because nginx keeps each in a
/// page of its own. Not more, because haproxy takes all of it at once.
fn store_mib(work: Work, settings: &Settings) -> u64 {
    match work {
        Work::Zipf => 1_024 + u64::from(settings.objects) * 4 / 1_024,
        Work::Miss => 4_096,
        _ => 512,
    }
}
/// haproxy takes no more.
const HAPROXY_MIB_MAX: u64 = 4_095;
/// Files that are not of the cache: connections and some more.
const OTHER_FILES: u64 = 4_096;
/// Files that nginx keeps open at most.
const OPEN_FILES_MAX: u64 = 65_536;

/// A configuration file: where it stands in `peers/`, and where the peer looks for it.
type File = (&'static str, &'static str);

const TRAFFIC_SERVER: &[File] = &[
    ("trafficserver/runroot.yaml", "trafficserver/runroot.yaml"),
    (
        "trafficserver/records.config",
        "trafficserver/etc/records.config",
    ),
    (
        "trafficserver/remap.config",
        "trafficserver/etc/remap.config",
    ),
    (
        "trafficserver/cache.config",
        "trafficserver/etc/cache.config",
    ),
    (
        "trafficserver/storage.config",
        "trafficserver/etc/storage.config",
    ),
    (
        "trafficserver/ssl_multicert.config",
        "trafficserver/etc/ssl_multicert.config",
    ),
    (
        "trafficserver/logging.yaml",
        "trafficserver/etc/logging.yaml",
    ),
    (
        "trafficserver/ip_allow.yaml",
        "trafficserver/etc/ip_allow.yaml",
    ),
];

impl Peer {
    fn files(self) -> &'static [File] {
        match self {
            Self::Nginx => &[("nginx.conf", "nginx.conf")],
            Self::Varnish => &[("varnish.vcl", "varnish.vcl")],
            Self::Haproxy => &[("haproxy.cfg", "haproxy.cfg")],
            Self::Latencify => &[("edge.yaml", "edge.yaml")],
            Self::TrafficServer => TRAFFIC_SERVER,
            Self::Limit => &[],
        }
    }

    /// Writes its configuration into the ground's folder; the programs to start, the server first.
    pub fn prepare(
        self,
        ground: &Ground,
        ports: &Ports,
        work: Work,
        settings: &Settings,
    ) -> anyhow::Result<Vec<Words>> {
        let fill = Fill::new(self, ground, ports, store_mib(work, settings));
        fs::create_dir_all(&fill.store)?;
        for (from, to) in self.files() {
            fill.write(from, to)?;
        }
        for folder in ["run", "log"]
            .iter()
            .filter(|_| self == Self::TrafficServer)
        {
            fs::create_dir_all(ground.folder().join("trafficserver").join(folder))?;
        }
        let folder = ground.folder().display();
        let http = ports.http.here();
        let store_mib = store_mib(work, settings);
        let line = match self {
            Self::Nginx => format!("{} -c {folder}/nginx.conf -p {folder}", path_of("nginx")?),
            Self::Haproxy => format!("{} -db -f {folder}/haproxy.cfg", path_of("haproxy")?),
            Self::TrafficServer => format!(
                "{} --run-root={folder}/trafficserver/runroot.yaml",
                path_of("traffic_server")?
            ),
            // One pool of threads, because there is one core; no grace, so that a miss is a miss.
            Self::Varnish => format!(
                "{} -F -j none -n {folder}/varnish -a {http},HTTP -f {folder}/varnish.vcl -s malloc,{store_mib}m -t 36000 \
                 -p thread_pools=1 -p thread_pool_min=200 -p thread_pool_max=1000 -p timeout_idle=3600 -p listen_depth=4096 \
                 -p http_gzip_support=off -p default_grace=0 -p default_keep=0",
                path_of("varnishd")?
            ),
            Self::Limit => {
                return Ok(vec![myself([
                    "limit".to_owned(),
                    http.to_string(),
                    work.bytes().to_string(),
                ])?]);
            }
            Self::Latencify => format!(
                "{} --policy {folder}/edge.yaml --cert-dir {folder} --http {http} --https {} --admin {} \
                 --access-log {folder}/latencify.log --threads 1 --cache-memory {store_mib}MiB",
                gateway(settings)?.display(),
                ports.https.here(),
                ports.admin.here(),
            ),
        };
        let mut lines = vec![line];
        if self == Self::Varnish {
            lines.push(format!(
                "{} -n {folder}/varnish -t off -a -w {folder}/varnish.log",
                path_of("varnishncsa")?
            ));
        }
        Ok(lines
            .iter()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect())
    }

    /// Where its access records go.
    pub fn access_log(self, ground: &Ground) -> Option<PathBuf> {
        let name = match self {
            Self::Limit => return None,
            Self::TrafficServer => "trafficserver/log/trafficserver.log",
            Self::Nginx => "nginx.log",
            Self::Varnish => "varnish.log",
            Self::Haproxy => "haproxy.log",
            Self::Latencify => "latencify.log",
        };
        Some(ground.folder().join(name))
    }

    /// Where it keeps what it stores, if that is in files.
    pub fn store(self, ground: &Ground) -> PathBuf {
        ground.folder().join(format!("{self}.store"))
    }
}

/// Our program: the one that was named, or the one beside this.
pub fn gateway(settings: &Settings) -> anyhow::Result<PathBuf> {
    let beside = env::current_exe()?.with_file_name("latencify-gateway");
    let path = settings.gateway.clone().unwrap_or(beside);
    ensure!(
        path.is_file(),
        "{} is not there: cargo build --release --workspace --bins, or name it with --gateway",
        path.display()
    );
    Ok(fs::canonicalize(path)?)
}

fn path_of(program: &str) -> anyhow::Result<String> {
    let path =
        find(program).with_context(|| format!("{program} is missing: deploy/setup bench"))?;
    Ok(path.display().to_string())
}

/// What stands for the words between `@` in a configuration.
struct Fill {
    folder: PathBuf,
    store: PathBuf,
    words: Vec<(&'static str, String)>,
}

impl Fill {
    fn new(peer: Peer, ground: &Ground, ports: &Ports, store_mib: u64) -> Self {
        let folder = ground.folder().to_owned();
        let store = peer.store(ground);
        let origin = ground.origin();
        let descriptors = machine::descriptors();
        let words = vec![
            ("FOLDER", folder.display().to_string()),
            ("CERTIFICATES", folder.display().to_string()),
            ("CHAIN", folder.join("bench.pem").display().to_string()),
            ("KEY", folder.join("bench.key").display().to_string()),
            (
                "COMBINED",
                folder.join("combined.pem").display().to_string(),
            ),
            ("STORE", store.display().to_string()),
            ("STORE_MIB", store_mib.to_string()),
            ("RAM_MIB", (store_mib / 2).to_string()),
            ("HAPROXY_MIB", store_mib.min(HAPROXY_MIB_MAX).to_string()),
            ("DESCRIPTORS", descriptors.to_string()),
            (
                "OPEN_FILES",
                descriptors
                    .saturating_sub(OTHER_FILES)
                    .clamp(16, OPEN_FILES_MAX)
                    .to_string(),
            ),
            ("HTTP", ports.http.here().to_string()),
            ("HTTPS", ports.https.here().to_string()),
            ("HTTP_PORT", ports.http.number().to_string()),
            ("HTTPS_PORT", ports.https.number().to_string()),
            ("ORIGIN", origin.to_string()),
            ("ORIGIN_HOST", origin.ip().to_string()),
            ("ORIGIN_PORT", origin.port().to_string()),
            ("SINK", ground.sink().to_string()),
        ];
        Self {
            folder,
            store,
            words,
        }
    }

    fn write(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let from = configurations().join(from);
        let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        let text = self
            .filled(&text)
            .with_context(|| from.display().to_string())?;
        let to = self.folder.join(to);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, text).with_context(|| to.display().to_string())
    }

    /// In comments `@WORDS@` is spoken of.
    fn filled(&self, text: &str) -> anyhow::Result<String> {
        let mut filled = text.to_owned();
        for (word, value) in &self.words {
            filled = filled.replace(&format!("@{word}@"), value);
        }
        let is_left = |line: &&str| !line.trim_start().starts_with('#') && has_word(line);
        if let Some(line) = filled.lines().find(is_left) {
            bail!("nothing stands for a word in: {line}");
        }
        Ok(filled)
    }
}

/// Whether there is an `@WORD@`.
fn has_word(line: &str) -> bool {
    let is_word = |piece: &&str| {
        !piece.is_empty() && piece.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let pieces: Vec<_> = line.split('@').collect();
    let between = pieces.get(1..pieces.len().saturating_sub(1));
    between.unwrap_or_default().iter().any(is_word)
}

fn configurations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_and_none_is_left() {
        let fill = Fill {
            folder: PathBuf::new(),
            store: PathBuf::new(),
            words: vec![("HTTP", "127.0.0.1:1".to_owned())],
        };
        let text = "# @WORDS@ are filled in\nlisten @HTTP@;\nlog ring@records\n";
        assert_eq!(
            fill.filled(text).unwrap(),
            "# @WORDS@ are filled in\nlisten 127.0.0.1:1;\nlog ring@records\n"
        );
        let error = fill
            .filled("listen @HTTP@ @MORE@;")
            .unwrap_err()
            .to_string();
        assert!(error.contains("@MORE@"), "{error}");
    }

    #[test]
    fn every_configuration_is_there_and_none_is_left_over() {
        let mut named: Vec<_> = Peer::ALL
            .iter()
            .flat_map(|peer| peer.files())
            .map(|(from, _)| configurations().join(from))
            .collect();
        let mut there = Vec::new();
        let mut open = vec![configurations()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    there.push(path);
                }
            }
        }
        named.sort();
        there.sort();
        assert_eq!(named, there);
    }
}
