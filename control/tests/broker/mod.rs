//! A real Kafka for the suite, if there is one.

use latencify_control::kafka::Cluster;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// How long a broker may take to start.
const START_MAX: Duration = Duration::from_secs(90);

/// A broker; one that was started here ends when this is dropped.
pub struct Broker {
    address: String,
    own: Option<(Child, TempDir)>,
}

impl Broker {
    /// The broker that is there, or a new one, or none: then the test says that it is skipped.
    pub fn get(test: &str) -> Option<Self> {
        if let Ok(address) = std::env::var("LATENCIFY_TEST_KAFKA") {
            return Some(Self { address, own: None });
        }
        let Some(broker) = Self::start() else {
            println!("SKIPPED {test}: no broker (LATENCIFY_TEST_KAFKA) and no jars");
            return None;
        };
        let client: BaseConsumer = broker.cluster("ready").client().create().unwrap();
        let deadline = Instant::now() + START_MAX;
        while client.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            assert!(Instant::now() < deadline, "Kafka did not start within {START_MAX:?}");
        }
        Some(broker)
    }

    /// The cluster, under a prefix that no other run uses.
    pub fn cluster(&self, name: &str) -> Cluster {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        Cluster { brokers: self.address.clone(), prefix: format!("test-{name}-{}-{now}", std::process::id()) }
    }

    fn start() -> Option<Self> {
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka/run");
        let has_jars = jars().is_some_and(|jars| jars.is_dir());
        if !run.is_file() || !has_jars {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (port, controller) = (free_port(), free_port());
        let child = Command::new(run)
            .arg("--dir")
            .arg(folder.path())
            .args(["--port", &port.to_string(), "--controller-port", &controller.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { address: format!("127.0.0.1:{port}"), own: Some((child, folder)) })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn jars() -> Option<PathBuf> {
    let cache = std::env::var_os("LATENCIFY_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/latencify")))?;
    Some(cache.join("kafka/lib"))
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
