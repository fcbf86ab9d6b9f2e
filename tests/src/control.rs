//! `latencify-control` as a process.

use crate::{
    Authority, Client, Edge, Kafka, Port, Process, Protocol, Reply, body,
    edge::{READY, listening},
    program, wait_until,
};
use http::Method;
use latencify_conf::{
    api::{
        Edges, IDEMPOTENCY_KEY, LogEntries, PolicyAccepted, PolicyStatus, PolicySubmission,
        PurgeAccepted, PurgeReceipt, PurgeRequest, PurgeTarget,
    },
    bundle::File,
    change::Mode,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The token of the API in tests.
const API_TOKEN: &str = "test-api-token-0123456789abcdef0123456789abcdef";
/// The token with which edges join in tests.
const JOIN_TOKEN: &str = "test-join-token-0123456789abcdef0123456789abcdef";

/// A running control service. Its data goes away with it.
pub struct Control {
    process: Process,
    ports: Ports,
    options: ControlOptions,
}

/// A control service that is not started yet.
pub struct ControlOptions {
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// A program and its first arguments that starts it.
    by: Vec<String>,
    authority: Option<Authority>,
    fleet: IpAddr,
    api_over_tls: bool,
    reserved: Reserved,
}

/// Its ports, its own from before it starts until after it ended for good.
struct Reserved {
    api: Port,
    fleet: Port,
    admin: Port,
}

/// What `--ports-file` says.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Ports {
    api: SocketAddr,
    fleet: SocketAddr,
    admin: SocketAddr,
}

impl Control {
    /// With its log in SQLite.
    pub fn embedded() -> ControlOptions {
        let folder = tempfile::Builder::new()
            .prefix("latencify-control-")
            .tempdir()
            .unwrap();
        let data = folder.path().join("data").display().to_string();
        ControlOptions {
            folder,
            arguments: vec!["--data".to_owned(), data],
            environment: Vec::new(),
            by: Vec::new(),
            authority: None,
            fleet: Ipv4Addr::LOCALHOST.into(),
            api_over_tls: false,
            reserved: Reserved {
                api: Port::reserve(),
                fleet: Port::reserve(),
                admin: Port::reserve(),
            },
        }
    }

    /// With its log in Kafka, under topics of that prefix.
    pub fn on_kafka(kafka: &Kafka, prefix: &str) -> ControlOptions {
        Self::embedded()
            .flag("--kafka", &kafka.brokers())
            .flag("--kafka-prefix", prefix)
    }

    /// Where its API is.
    pub fn api(&self) -> SocketAddr {
        self.ports.api
    }

    /// `http://…` of its API, or `https://…`.
    pub fn api_url(&self) -> String {
        self.url(self.ports.api)
    }

    /// Where edges connect.
    pub fn fleet(&self) -> SocketAddr {
        self.ports.fleet
    }

    /// `https://…` where edges connect.
    pub fn fleet_url(&self) -> String {
        format!("https://{}", self.ports.fleet)
    }

    /// The CA of its certificate, if it has one.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.options
            .authority
            .as_ref()
            .map(|_| self.folder().join("ca.pem"))
    }

    /// The fleet's own CA.
    pub fn fleet_ca_file(&self) -> PathBuf {
        self.options.data().join("ca.pem")
    }

    fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.options.authority.is_some() || self.options.api_over_tls {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{address}")
    }

    /// Its private address.
    pub fn admin(&self) -> SocketAddr {
        self.ports.admin
    }

    /// The token of its API.
    pub fn api_token(&self) -> &'static str {
        API_TOKEN
    }

    /// The token with which edges join.
    pub fn join_token(&self) -> &'static str {
        JOIN_TOKEN
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Sends it a signal, by name: `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Where its files are: `data/`.
    pub fn folder(&self) -> &Path {
        self.options.folder.path()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops it cleanly.
    pub async fn stop(&mut self) {
        self.process.signal("TERM");
        let status = self.process.ended(READY).await;
        assert!(status.success(), "{status}\n{}", self.process.last_words());
    }

    /// How it is started the next time.
    pub fn options(&mut self) -> &mut ControlOptions {
        &mut self.options
    }

    /// Starts it again where it can't come up: the process, to look at what it says.
    pub fn restart_in_vain(&mut self) -> &mut Process {
        self.process.kill();
        let mut command = self.options.command();
        command.args(["--api", "127.0.0.1:0", "--fleet", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0"]);
        let log = self.folder().join("in-vain.log");
        let _ = fs::remove_file(&log);
        self.process = Process::start("control", command, &log);
        &mut self.process
    }

    /// Starts it again, after [`kill`](Self::kill) or over it, on the same addresses and data.
    pub async fn restart(&mut self) {
        self.restart_unready().await;
        self.options.ready(&mut self.process, self.ports).await;
    }

    /// Likewise, where it can't be ready: waits until it listens.
    pub async fn restart_unready(&mut self) {
        self.process.kill();
        (self.process, self.ports) = self.options.spawn().await;
    }

    /// Asks the API; the answer whatever its status.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<Reply> {
        let mut request = Client::request(method.as_str(), &self.ports.api.to_string(), path)
            .header("authorization", format!("Bearer {API_TOKEN}"))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(body).unwrap());
        let (client, api) = (Client::new(), self.ports.api);
        let mut connection = match &self.options.authority {
            None => client.connect(api).await?,
            Some(authority) => {
                let name = api.ip().to_string();
                client
                    .connect_tls(api, &name, authority, Protocol::Http1)
                    .await?
            }
        };
        connection.send(request.body(body::full(body))?).await
    }

    /// `GET` of something that must be there.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let reply = self
            .ask(Method::GET, path, None, None::<&()>)
            .await
            .unwrap();
        assert!(
            reply.status.is_success(),
            "GET {path}: {} {}",
            reply.status,
            reply.text()
        );
        reply.json()
    }

    /// Submits a policy of one file, whatever comes of it.
    pub async fn submit(&self, policy: &str) -> Reply {
        let submission = PolicySubmission {
            files: vec![File {
                name: "policy.yaml".to_owned(),
                text: policy.to_owned(),
            }],
            message: String::new(),
            base: None,
            dry_run: false,
            rollout: None,
        };
        self.ask(Method::POST, "/v1/policies", None, Some(&submission))
            .await
            .unwrap()
    }

    /// Makes a policy of one file the fleet's target.
    pub async fn apply(&self, policy: &str) -> PolicyAccepted {
        let reply = self.submit(policy).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()
    }

    /// Waits until every edge of the roster runs the head policy, and so many are there.
    pub async fn everywhere(&self, edges: usize) -> PolicyStatus {
        wait_until(
            &format!("{edges} edges run the policy"),
            READY,
            async || {
                let status: PolicyStatus = self.get("/v1/policies/head/status").await;
                if status.running == edges && status.edges.len() == edges {
                    Ok(status)
                } else {
                    Err(format!("{status:#?}"))
                }
            },
        )
        .await
    }

    /// Starts edges of these names, and waits until they run the head policy.
    pub async fn edges<const N: usize>(&self, names: [&str; N]) -> [Edge; N] {
        let edges =
            futures::future::join_all(names.map(|name| Edge::member(self, name).start())).await;
        self.everywhere(N).await;
        edges.try_into().ok().unwrap()
    }

    /// Purges, hard.
    pub async fn purge(&self, targets: Vec<PurgeTarget>) -> PurgeAccepted {
        self.purge_with(targets, Mode::Hard, None).await
    }

    /// Purges.
    pub async fn purge_with(
        &self,
        targets: Vec<PurgeTarget>,
        mode: Mode,
        key: Option<&str>,
    ) -> PurgeAccepted {
        let request = PurgeRequest { targets, mode };
        let reply = self
            .ask(Method::POST, "/v1/purges", key, Some(&request))
            .await
            .unwrap();
        assert_eq!(reply.status, 202, "{}", reply.text());
        reply.json()
    }

    /// The receipt of a purge, complete.
    pub async fn receipt(&self, purge: &str) -> PurgeReceipt {
        wait_until(
            &format!("purge {purge} is acknowledged"),
            READY,
            async || {
                let receipt: PurgeReceipt = self.get(&format!("/v1/purges/{purge}?wait=5s")).await;
                if receipt.complete {
                    Ok(receipt)
                } else {
                    Err(format!("{receipt:#?}"))
                }
            },
        )
        .await
    }

    /// The roster.
    pub async fn roster(&self) -> Edges {
        self.get("/v1/edges").await
    }

    /// All entries of the log.
    pub async fn log(&self) -> LogEntries {
        let mut all: LogEntries = self.get("/v1/log?after=0&limit=1000").await;
        while let Some(last) = all.entries.last().map(|entry| entry.epoch) {
            let more: LogEntries = self.get(&format!("/v1/log?after={last}&limit=1000")).await;
            if more.entries.is_empty() {
                break;
            }
            all.entries.extend(more.entries);
            all.applied = more.applied;
        }
        all
    }
}

impl ControlOptions {
    /// One more flag with its value.
    pub fn flag(mut self, flag: &str, value: &str) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Sets a flag, or takes it away.
    pub fn set(&mut self, flag: &str, value: Option<&str>) {
        if let Some(at) = self.arguments.iter().position(|argument| argument == flag) {
            self.arguments.drain(at..at + 2);
        }
        if let Some(value) = value {
            self.arguments.extend([flag.to_owned(), value.to_owned()]);
        }
    }

    /// Where its data will be.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// An environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it by another program, which gets it and its arguments after these.
    pub fn by(mut self, program: &[String]) -> Self {
        self.by = program.to_vec();
        self
    }

    /// Over TLS, with a certificate of that authority for 127.0.0.1.
    pub fn tls(mut self, authority: Authority) -> Self {
        let folder = self.folder.path();
        let mut names = vec!["127.0.0.1".to_owned(), self.fleet.to_string()];
        names.dedup();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let (chain, key) = authority.issue(&names).write(folder, "control");
        fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        self.authority = Some(authority);
        self.flag("--tls-cert", &chain.display().to_string())
            .flag("--tls-key", &key.display().to_string())
    }

    /// The API speaks HTTPS, with a certificate of the fleet's own CA.
    pub fn api_over_tls(mut self) -> Self {
        self.api_over_tls = true;
        self.flag("--api-name", "localhost")
    }

    /// Edges reach it at that address of this machine, over TLS.
    pub fn fleet_at(mut self, address: IpAddr, authority: Authority) -> Self {
        self.fleet = address;
        self.tls(authority)
    }

    /// Starts it where it can't come up: the process, to look at what it says.
    pub fn start_in_vain(self) -> (Process, TempDir) {
        let mut command = self.command();
        command.args(["--admin", "127.0.0.1:0"]);
        (Process::start("control", command, &self.log()), self.folder)
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Control {
        let (mut process, ports) = self.spawn().await;
        self.ready(&mut process, ports).await;
        Control {
            process,
            ports,
            options: self,
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("control.log")
    }

    fn command(&self) -> Command {
        let mut line = self.by.clone();
        line.push(program("latencify-control").display().to_string());
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("LATENCIFY_API_TOKEN", API_TOKEN)
            .env("LATENCIFY_JOIN_TOKEN", JOIN_TOKEN)
            .current_dir(self.folder.path());
        command
    }

    async fn spawn(&self) -> (Process, Ports) {
        let ports_file = self.folder.path().join("ports.json");
        let reserved = &self.reserved;
        let start = || {
            let mut command = self.command();
            command
                .args(["--api", &reserved.api.here().to_string()])
                .args(["--fleet", &reserved.fleet.on(self.fleet).to_string()])
                .args(["--admin", &reserved.admin.here().to_string()])
                .arg("--ports-file")
                .arg(&ports_file);
            Process::start("control", command, &self.log())
        };
        listening(&ports_file, start).await
    }

    async fn ready(&self, process: &mut Process, ports: Ports) {
        wait_until("control is ready", READY, async || {
            assert!(
                process.exited().is_none(),
                "control ended\n{}",
                process.last_words()
            );
            match Client::new().get(ports.admin, "admin", "/readyz").await {
                reply if reply.status == 200 => Ok(()),
                reply => Err(format!("/readyz: {} {}", reply.status, reply.text())),
            }
        })
        .await;
    }
}
