//! `latencify-gateway` as a process.

use crate::{
    Authority, Cable, Client, Control, Namespace, Port, Process, Reply, ServiceManager,
    geoip_fixture, program, wait_until,
};
use serde::Deserialize;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// So long may a program take to be ready, on a machine where others build.
pub(crate) const READY: Duration = Duration::from_mins(1);

/// A running edge. Its folder goes away with it.
pub struct Edge {
    process: Process,
    ports: Ports,
    options: EdgeOptions,
}

impl Drop for Edge {
    /// A process may have taken over that nobody followed: it shall not outlive the test, either.
    fn drop(&mut self) {
        let text = fs::read_to_string(self.options.ports_file()).unwrap_or_default();
        let Ok(ports) = serde_json::from_str::<Ports>(&text) else {
            return;
        };
        // A process id may be another's by now; who serves this edge names its folder.
        let command = fs::read(format!("/proc/{}/cmdline", ports.pid)).unwrap_or_default();
        let folder = self.folder().display().to_string();
        let serves_this = String::from_utf8_lossy(&command).contains(&folder);
        if serves_this && ports.pid != self.process.pid() {
            self.process.follow(ports.pid);
        }
    }
}

/// An edge that is not started yet.
pub struct EdgeOptions {
    name: String,
    folder: TempDir,
    reserved: Reserved,
    https: bool,
    ipv6: bool,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    manager: Option<ServiceManager>,
    place: Option<Place>,
    by: Vec<String>,
}

/// A namespace in which an edge runs, and where it listens and is asked from.
struct Place {
    namespace: String,
    listens: IpAddr,
    clients: IpAddr,
}

/// The ports of an edge, its own from before it starts until after it ended for good.
struct Reserved {
    http: Port,
    http6: Port,
    https: Port,
    admin: Port,
}

/// What `--ports-file` says.
#[derive(Debug, Clone, Deserialize)]
struct Ports {
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    admin: SocketAddr,
    pid: u32,
}

impl Edge {
    /// An edge that stands alone, with one policy file of that text.
    pub fn alone(policy: &str) -> EdgeOptions {
        let mut options = EdgeOptions::new("edge");
        fs::create_dir(options.policy_folder()).unwrap();
        fs::write(options.policy_folder().join("policy.yaml"), policy).unwrap();
        let folder = options.policy_folder();
        options.push("--policy", &folder.display().to_string());
        options
    }

    /// An edge of that control's fleet.
    pub fn member(control: &Control, name: &str) -> EdgeOptions {
        let options = Self::member_at(control, &control.fleet_url(), name);
        match control.ca_file() {
            Some(ca) => options.flag("--control-ca", &ca.display().to_string()),
            None => options,
        }
    }

    /// An edge of that control's fleet that finds it at another URL, and trusts no CA of its own.
    pub fn member_at(control: &Control, url: &str, name: &str) -> EdgeOptions {
        Self::joining(control, url, name, None)
    }

    /// An edge of that control's fleet with that state folder.
    pub fn member_in(control: &Control, name: &str, state: &Path) -> EdgeOptions {
        Self::joining(control, &control.fleet_url(), name, Some(state))
    }

    fn joining(control: &Control, url: &str, name: &str, state: Option<&Path>) -> EdgeOptions {
        let mut options = EdgeOptions::new(name);
        let state = state.map_or_else(|| options.folder.path().join("state"), Path::to_owned);
        options.push("--control", url);
        options.push("--edge", name);
        options.push("--state", &state.display().to_string());
        options.environment("LATENCIFY_JOIN_TOKEN", control.join_token())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Where it listens for plain HTTP.
    pub fn http(&self) -> SocketAddr {
        self.ports.http[0]
    }

    /// Where it listens for plain HTTP on IPv6.
    pub fn http6(&self) -> SocketAddr {
        *self
            .ports
            .http
            .iter()
            .find(|address| address.is_ipv6())
            .expect("started with .ipv6()")
    }

    /// Where it listens for TLS.
    pub fn https(&self) -> SocketAddr {
        *self.ports.https.first().expect("started with .https()")
    }

    /// Its private address.
    pub fn admin(&self) -> SocketAddr {
        self.ports.admin
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What the process holds in memory (RSS), in octets.
    pub fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        kibibytes.unwrap().parse::<usize>().unwrap() << 10
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Sends it a signal, by name: `HUP`, `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Everything in its folder: `policy/`, `certificates/`, `state/`, `access.log`.
    pub fn folder(&self) -> &Path {
        self.options.folder.path()
    }

    /// A client that can reach it.
    pub fn client(&self) -> Client {
        self.options.client()
    }

    /// `GET` from 127.0.0.1, or from this end of the namespace's cable.
    pub async fn get(&self, host: &str, path: &str) -> Reply {
        self.client().get(self.http(), host, path).await
    }

    /// Asks until an answer is a hit, with that body: an edge that starts over on another history stores nothing before its policy is
    /// in force under that one.
    pub async fn keeps(&self, host: &str, path: &str, body: &str) {
        let what = format!("{} keeps {path}", self.name());
        wait_until(&what, READY, async || {
            let reply = self.get(host, path).await;
            if reply.is_hit() && reply.text() == body {
                Ok(())
            } else {
                Err(format!("{reply:?}"))
            }
        })
        .await;
    }

    /// Writes another policy, by rename, as operators should. The edge is to notice by itself.
    pub fn write_policy(&self, policy: &str) {
        let folder = self.options.policy_folder();
        let beside = self.folder().join("policy.new");
        fs::write(&beside, policy).unwrap();
        fs::rename(beside, folder.join("policy.yaml")).unwrap();
    }

    /// `/metrics`.
    pub async fn metrics(&self) -> String {
        self.client()
            .get(self.admin(), "admin", "/metrics")
            .await
            .text()
            .to_owned()
    }

    /// The value of a metric, by its name with labels as in the text; 0 if it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0.0)
    }

    /// The lines of the access log so far, as JSON.
    pub fn access_log(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.folder().join("access.log")).unwrap_or_default();
        // The last line may be under way.
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Tells it to let a new process take over (SIGUSR2), and waits until that one serves; the one before drains.
    pub async fn upgrade(&mut self) {
        self.process.signal("USR2");
        let file = self.options.ports_file();
        let former = self.process.pid();
        let ports = wait_until("another process serves", READY, async || {
            let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            let ports: Ports = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            if ports.pid == former {
                return Err(format!("{former} serves\n{}", self.process.last_words()));
            }
            Ok(ports)
        })
        .await;
        self.process.follow(ports.pid);
        self.ports = ports;
    }

    /// Who plays systemd for it.
    ///
    /// # Panics
    /// When it was started without one.
    pub fn manager(&self) -> &ServiceManager {
        self.options
            .manager
            .as_ref()
            .expect("started with .managed()")
    }

    /// Starts it again as systemd does: the process has ended, its sockets are held.
    pub async fn start_again(&mut self) {
        let listen = self.options.listen_flags();
        (self.process, self.ports) = self.options.spawn(&listen).await;
    }

    /// Starts it again after its end, on the same addresses and folder.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.start_again().await;
    }
}

impl EdgeOptions {
    fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("latencify-edge-")
            .tempdir()
            .unwrap();
        let mut options = Self {
            name: name.to_owned(),
            reserved: Reserved {
                http: Port::reserve(),
                http6: Port::reserve(),
                https: Port::reserve(),
                admin: Port::reserve(),
            },
            https: false,
            ipv6: false,
            arguments: Vec::new(),
            environment: Vec::new(),
            manager: None,
            place: None,
            by: Vec::new(),
            folder,
        };
        let certificates = options.certificates();
        fs::create_dir(&certificates).unwrap();
        options.push("--cert-dir", &certificates.display().to_string());
        options.push("--geoip", &geoip_fixture().display().to_string());
        let records = options.folder.path().join("access.log");
        options.push("--access-log", &records.display().to_string());
        // Two cores are shared by all tests that run at a time.
        options.push("--threads", "2");
        options
    }

    fn push(&mut self, flag: &str, value: &str) {
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
    }

    fn policy_folder(&self) -> PathBuf {
        self.folder.path().join("policy")
    }

    /// Where the policy's relative certificate paths start.
    pub fn certificates(&self) -> PathBuf {
        self.folder.path().join("certificates")
    }

    /// Issues a certificate for a site: `NAME.pem` and `NAME.key` in the certificate folder; and listens for TLS.
    pub fn certificate(mut self, authority: &Authority, name: &str, hosts: &[&str]) -> Self {
        authority.issue(hosts).write(&self.certificates(), name);
        self.https = true;
        self
    }

    /// Listens on ::1 too.
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// One more flag with its value.
    pub fn flag(mut self, flag: &str, value: &str) -> Self {
        self.push(flag, value);
        self
    }

    /// An environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it by another program, which gets it and its arguments after these.
    pub fn by(mut self, program: &[&str]) -> Self {
        self.by = program.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// In a namespace, listening on its cable to clients.
    pub fn inside(mut self, namespace: &Namespace) -> Self {
        self.place = Some(Place {
            namespace: namespace.name().to_owned(),
            listens: namespace.there(Cable::Clients),
            clients: namespace.here(Cable::Clients),
        });
        self
    }

    /// As a service of systemd with a socket unit: somebody else holds the sockets, hears what it says of itself, and
    /// may start it again.
    pub fn managed(mut self) -> Self {
        self.manager = Some(ServiceManager::new(self.folder.path()));
        self
    }

    /// Starts it and waits until it listens and, alone, runs its policy.
    pub async fn start(self) -> Edge {
        let (process, ports) = self.spawn(&self.listen_flags()).await;
        Edge {
            process,
            ports,
            options: self,
        }
    }

    fn listen_flags(&self) -> Vec<String> {
        let mut arguments = self.arguments.clone();
        let mut listen = |flag: &str, address: SocketAddr| {
            arguments.extend([flag.to_owned(), address.to_string()]);
        };
        if let Some(manager) = &self.manager {
            let [http, https, admin] = manager.addresses();
            listen("--http", http);
            listen("--https", https);
            listen("--admin", admin);
            return arguments;
        }
        let place = self.place.as_ref();
        let on = place.map_or(Ipv4Addr::LOCALHOST.into(), |place| place.listens);
        listen("--http", self.reserved.http.on(on));
        if self.ipv6 {
            listen("--http", self.reserved.http6.on(Ipv6Addr::LOCALHOST));
        }
        if self.https {
            listen("--https", self.reserved.https.on(on));
        }
        listen("--admin", self.reserved.admin.on(on));
        arguments
    }

    /// Starts it where it can't come up: the process, to look at what it says.
    pub fn start_in_vain(self) -> (Process, TempDir) {
        let mut command = self.command();
        command
            .args(&self.arguments)
            .args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        (
            Process::start(&self.name, command, &self.log()),
            self.folder,
        )
    }

    fn client(&self) -> Client {
        let from = self.place.as_ref().map(|place| place.clients);
        from.map_or_else(Client::new, |from| Client::at(&from.to_string()))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("edge.log")
    }

    fn ports_file(&self) -> PathBuf {
        self.folder.path().join("ports.json")
    }

    fn command(&self) -> Command {
        let program = program("latencify-gateway");
        let mut command = match (&self.manager, &self.place) {
            (Some(manager), _) => manager.command(&program),
            (None, Some(place)) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &place.namespace]);
                command.arg(program);
                command
            }
            (None, None) => match self.by.split_first() {
                Some((by, words)) => {
                    let mut command = Command::new(by);
                    command.args(words).arg(program);
                    command
                }
                None => Command::new(program),
            },
        };
        command.current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn spawn(&self, arguments: &[String]) -> (Process, Ports) {
        let ports_file = self.ports_file();
        let start = || {
            let mut command = self.command();
            command.args(arguments).arg("--ports-file").arg(&ports_file);
            Process::start(&self.name, command, &self.log())
        };
        let (mut process, ports): (_, Ports) = listening(&ports_file, start).await;
        let admin = ports.admin;
        let alone = self.policy_folder().exists();
        wait_until(&format!("{} is ready", self.name), READY, async || {
            assert!(
                process.exited().is_none(),
                "{} ended\n{}",
                self.name,
                process.last_words()
            );
            let path = if alone { "/readyz" } else { "/healthz" };
            match self.client().get(admin, "admin", path).await {
                reply if reply.status == 200 => Ok(()),
                reply => Err(format!("{path}: {} {}", reply.status, reply.text())),
            }
        })
        .await;
        (process, ports)
    }
}

/// Starts a program, and waits for its ports file.
pub(crate) async fn listening<P: serde::de::DeserializeOwned>(
    ports_file: &Path,
    start: impl FnOnce() -> Process,
) -> (Process, P) {
    // What is left of an earlier start would be taken for this one's.
    let _ = fs::remove_file(ports_file);
    let mut process = start();
    let ports = wait_until("the program listens", READY, async || {
        if let Some(status) = process.exited() {
            panic!("it ended at once: {status}\n{}", process.last_words());
        }
        let text = fs::read_to_string(ports_file).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    })
    .await;
    (process, ports)
}
