//! A real Kafka broker as a process, and kcat to speak with it as an operator would.

use crate::{Port, Process, Wire, cache_folder, edge::READY, repository, wait_until};
use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Weak},
};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// The broker that the tests of one program share, while one of them uses it.
static SHARED: Mutex<Weak<Kafka>> = Mutex::const_new(Weak::new());

/// A broker of one node. Its data goes away with it.
pub struct Kafka {
    process: Process,
    port: Port,
    controller_port: Port,
    relayed: Option<Relayed>,
    folder: TempDir,
}

/// A second way to it, over a wire.
struct Relayed {
    port: Port,
    wire: Wire,
}

impl Kafka {
    /// Whether a broker is installed here that keeps its records when it is killed: Apache Kafka. The substitute that
    /// set-up falls back to does not, and Debian's kcat can't speak with it: tests with Kafka are skipped then.
    pub fn durable() -> bool {
        cache_folder().join("kafka/lib").exists()
    }

    /// The broker that the running tests of this program share: use topics of your own, and do not kill it.
    pub async fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().await;
        if let Some(kafka) = shared.upgrade() {
            return kafka;
        }
        let kafka = Arc::new(Self::private().await);
        *shared = Arc::downgrade(&kafka);
        kafka
    }

    /// A broker for one test, which may kill it.
    pub async fn private() -> Self {
        Self::with(None).await
    }

    /// Likewise, and behind a [wire](Self::wire) for those who come that way.
    pub async fn private_behind_a_wire() -> Self {
        let port = Port::reserve();
        let wire = Wire::before(port.here()).await;
        Self::with(Some(Relayed { port, wire })).await
    }

    async fn with(relayed: Option<Relayed>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("latencify-kafka-")
            .tempdir()
            .unwrap();
        let (port, controller_port) = (Port::reserve(), Port::reserve());
        let mut kafka = Self {
            process: spawn(&folder, &port, &controller_port, relayed.as_ref()),
            port,
            controller_port,
            relayed,
            folder,
        };
        kafka.ready().await;
        kafka
    }

    /// `HOST:PORT`, as clients want it.
    pub fn brokers(&self) -> String {
        self.port.here().to_string()
    }

    /// The wire before it.
    ///
    /// # Panics
    /// When there is none.
    pub fn wire(&self) -> &Wire {
        let relayed = self.relayed.as_ref();
        &relayed.expect("made behind a wire").wire
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Runs one of Kafka's own commands, as an operator would: `kafka-topics.sh`, `kafka-configs.sh` or
    /// `kafka-delete-records.sh`, with its arguments.
    ///
    /// # Panics
    /// When it fails: shows what it said.
    pub fn command(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let class = match words.next() {
            Some("kafka-topics.sh") => "org.apache.kafka.tools.TopicCommand",
            Some("kafka-configs.sh") => "kafka.admin.ConfigCommand",
            Some("kafka-delete-records.sh") => "org.apache.kafka.tools.DeleteRecordsCommand",
            other => panic!("no such command: {other:?}"),
        };
        let output = Command::new("java")
            .args([
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx128m",
                "-cp",
            ])
            .arg(cache_folder().join("kafka/lib/*"))
            .arg(class)
            .args(words)
            .output()
            .expect("java");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}{error}");
        said
    }

    /// Deletes a topic, and waits until it is gone.
    pub async fn delete_topic(&self, topic: &str) {
        let brokers = self.brokers();
        self.command(&format!(
            "kafka-topics.sh --bootstrap-server {brokers} --delete --topic {topic}"
        ));
        wait_until("the topic is gone", READY, async || {
            let topics = self.topics();
            if topics.iter().any(|name| name == topic) {
                Err(format!("{topics:?}"))
            } else {
                Ok(())
            }
        })
        .await;
    }

    /// Makes a topic, with these further arguments.
    pub fn create_topic(&self, topic: &str, more: &str) {
        let brokers = self.brokers();
        self.command(&format!(
            "kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic} {more}"
        ));
    }

    /// Where it keeps its records.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same data and ports, and waits until it answers.
    pub async fn restart(&mut self) {
        self.process.kill();
        let relayed = self.relayed.as_ref();
        self.process = spawn(&self.folder, &self.port, &self.controller_port, relayed);
        self.ready().await;
    }

    /// Appends records to a topic with kcat, one a line.
    ///
    /// # Panics
    /// When the broker did not take them.
    pub fn produce(&self, topic: &str, lines: &[&str]) {
        let mut kcat = self.kcat(&["-P", "-t", topic, "-X", "acks=all"]);
        let mut child = kcat
            .stdin(Stdio::piped())
            .spawn()
            .expect("kcat: run deploy/setup tools");
        let mut input = child.stdin.take().unwrap();
        for line in lines {
            writeln!(input, "{line}").unwrap();
        }
        drop(input);
        assert!(
            child.wait().unwrap().success(),
            "kcat could not produce to {topic}"
        );
    }

    /// All records of a topic so far, read with kcat. A topic that does not exist has none.
    pub fn consume(&self, topic: &str) -> Vec<String> {
        let output = self
            .kcat(&["-C", "-t", topic, "-o", "beginning", "-e", "-q"])
            .output()
            .expect("kcat: run deploy/setup tools");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The names of its topics.
    pub fn topics(&self) -> Vec<String> {
        let output = self.kcat(&["-L", "-J", "-m", "5"]).output().expect("kcat");
        let Ok(metadata) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            return Vec::new();
        };
        let topics = metadata["topics"].as_array().cloned().unwrap_or_default();
        topics
            .iter()
            .filter_map(|topic| topic["topic"].as_str().map(str::to_owned))
            .collect()
    }

    fn kcat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kcat");
        command.args(["-b", &self.brokers()]).args(arguments);
        command
    }

    async fn ready(&mut self) {
        wait_until("the broker answers", READY + READY, async || {
            if let Some(status) = self.process.exited() {
                panic!("the broker ended: {status}\n{}", self.process.last_words());
            }
            let kcat = self
                .kcat(&["-L", "-m", "1"])
                .output()
                .expect("kcat: run deploy/setup tools");
            if kcat.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&kcat.stderr).into_owned())
            }
        })
        .await;
    }
}

fn spawn(
    folder: &TempDir,
    port: &Port,
    controller_port: &Port,
    relayed: Option<&Relayed>,
) -> Process {
    let mut command = Command::new(repository().join("deploy/kafka/run"));
    command
        .arg("--dir")
        .arg(folder.path().join("data"))
        .args(["--port", &port.number().to_string()])
        .args(["--controller-port", &controller_port.number().to_string()]);
    if let Some(Relayed { port, wire }) = relayed {
        let ports = format!("{}:{}", port.number(), wire.address().port());
        command.args(["--relayed", &ports]);
    }
    Process::start("kafka", command, &folder.path().join("kafka.log"))
}
