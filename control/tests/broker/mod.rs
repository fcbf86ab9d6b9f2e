//! A real Kafka for the suite, if there is one.

#[path = "../../../tests/src/ports.rs"]
#[allow(dead_code, reason = "not all of what the end-to-end suites need")]
mod ports;

use latencify_control::kafka::Cluster;
use ports::Port;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::{
    fs::OpenOptions,
    io::Write as _,
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
    own: Option<Own>,
}

struct Own {
    folder: TempDir,
    port: Port,
    controller: Port,
    child: Child,
}

impl Broker {
    /// The broker that is there, or a new one, or none: then the test says that it is skipped.
    pub fn get(test: &str) -> Option<Self> {
        if let Ok(address) = std::env::var("LATENCIFY_TEST_KAFKA") {
            return Some(Self { address, own: None });
        }
        if !jars().is_some_and(|jars| jars.is_dir()) || !script().is_file() {
            skipped(
                test,
                "no broker (LATENCIFY_TEST_KAFKA) and no Kafka here: deploy/setup kafka",
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (port, controller) = (Port::reserve(), Port::reserve());
        let child = start(folder.path(), &port, &controller);
        let broker = Self {
            address: port.here().to_string(),
            own: Some(Own {
                folder,
                port,
                controller,
                child,
            }),
        };
        broker.wait();
        Some(broker)
    }

    /// Ends the broker without warning, lets something happen, and starts it again on the same records. One that was not
    /// started here is left alone.
    #[allow(dead_code, reason = "not every suite does")]
    pub async fn crash(&mut self, meanwhile: impl AsyncFnOnce()) {
        let Some(own) = &mut self.own else {
            return meanwhile().await;
        };
        own.child.kill().unwrap();
        own.child.wait().unwrap();
        meanwhile().await;
        own.child = start(own.folder.path(), &own.port, &own.controller);
        self.wait();
    }

    fn wait(&self) {
        let client: BaseConsumer = self.cluster("ready").client().create().unwrap();
        let deadline = Instant::now() + START_MAX;
        while client.fetch_metadata(None, Duration::from_secs(1)).is_err() {
            assert!(
                Instant::now() < deadline,
                "Kafka did not start within {START_MAX:?}"
            );
        }
    }

    /// The cluster, under a prefix that no other run uses.
    pub fn cluster(&self, name: &str) -> Cluster {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        Cluster {
            brokers: self.address.clone(),
            prefix: format!("test-{name}-{}-{now}", std::process::id()),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            let _ = own.child.kill();
            let _ = own.child.wait();
        }
    }
}

/// Says that a test is skipped: on standard error, and in the file that `LATENCIFY_SKIPPED` names, which `.ci/run` reads.
#[allow(clippy::print_stderr)] // what a test program says of itself
fn skipped(test: &str, why: &str) {
    let line = format!("{test}: {why}\n");
    eprint!("skipped {line}");
    if let Some(path) = std::env::var_os("LATENCIFY_SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        // One write: tests of several programs append to it.
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap_or_else(|error| panic!("LATENCIFY_SKIPPED={}: {error}", path.display()));
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka/run")
}

fn start(folder: &Path, port: &Port, controller: &Port) -> Child {
    Command::new(script())
        .arg("--dir")
        .arg(folder)
        .args([
            "--port",
            &port.number().to_string(),
            "--controller-port",
            &controller.number().to_string(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn jars() -> Option<PathBuf> {
    let cache = std::env::var_os("LATENCIFY_CACHE").map(PathBuf::from);
    let cache = cache
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/latencify")))?;
    Some(cache.join("kafka/lib"))
}
