//! An edge that somebody else starts: behind another program, or by a path that leads elsewhere later.

use super::{HOST, SOON};
use latencify_tests::{Client, Origin, Process, body, program, reply, wait_until};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

pub struct Bare {
    pub process: Process,
    folder: TempDir,
    origin: Origin,
}

/// The program, as it is installed.
pub fn installed() -> PathBuf {
    program("latencify-gateway")
}

impl Bare {
    /// Starts it by what `command` makes of the folder, and waits until it listens.
    pub async fn start(command: impl FnOnce(&Path) -> Command) -> Self {
        let origin = Origin::serve(|_| async { reply::text("served").no_store().done() }).await;
        let folder = tempfile::Builder::new()
            .prefix("latencify-bare-")
            .tempdir()
            .unwrap();
        let policy = format!(
            "version: 1\norigins: {{app: {{url: '{}'}}}}\n\
             sites: {{main: {{hosts: ['{HOST}'], routes: [{{origins: [app]}}]}}}}\n",
            origin.url()
        );
        fs::write(folder.path().join("policy.yaml"), policy).unwrap();
        let mut command = command(folder.path());
        let path = |name: &str| folder.path().join(name).display().to_string();
        command
            .current_dir(folder.path())
            .args([
                "--http",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--threads",
                "2",
            ])
            .args([
                "--policy",
                &path("policy.yaml"),
                "--ports-file",
                &path("ports.json"),
            ]);
        let process = Process::start("edge", command, &folder.path().join("edge.log"));
        let bare = Self {
            process,
            folder,
            origin,
        };
        wait_until("it listens", SOON, async || bare.try_ports()).await;
        bare
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it says of itself.
    pub fn ports(&self) -> Value {
        self.try_ports().unwrap()
    }

    fn try_ports(&self) -> Result<Value, String> {
        let text = fs::read_to_string(self.folder().join("ports.json"));
        let text = text.map_err(|_| self.process.last_words())?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    /// Asks it for something.
    pub async fn serves(&self) {
        self.passes_on("GET").await;
    }

    /// Asks it by that method for what its origin has. Only a plain GET or HEAD goes there without Pingora.
    pub async fn passes_on(&self, method: &str) {
        let address: SocketAddr = serde_json::from_value(self.ports()["http"][0].clone()).unwrap();
        let before = self.origin.requests();
        let request = Client::request(method, HOST, "/").body(body::empty());
        let reply = Client::new().send(address, request.unwrap()).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "served"));
        assert!(self.origin.requests() > before);
    }

    /// Waits until it has said a line with those words in it.
    pub async fn says(&self, words: &str) -> String {
        wait_until(&format!("it says: {words}"), SOON, async || {
            let said = self.process.said();
            let line = said.lines().find(|line| line.contains(words));
            line.map(str::to_owned)
                .ok_or_else(|| self.process.last_words())
        })
        .await
    }
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}
