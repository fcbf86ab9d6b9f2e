//! Where the attacks take place: the edge on one half of the cores, everybody else on the other.

use crate::kinds::{HOST, Kind, Limit};
use http_body_util::BodyExt as _;
use latencify_tests::{Authority, Edge, Origin, body, reply};
use std::{
    io::{BufRead as _, BufReader},
    ops::Range,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread::available_parallelism,
};

const LARGE: usize = 8 << 20;
/// Before anything was moved.
static CORES: LazyLock<usize> = LazyLock::new(|| available_parallelism().unwrap().get());

/// A process of this program that lasts as long as this.
pub struct Helper(Child);

/// Halves of the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Edge,
    Others,
}

/// What the edge fetches from, in a process of its own: what it does for attackers keeps no visitor waiting.
pub struct Behind {
    url: String,
    _process: Helper,
}

impl Helper {
    /// Starts it on the others' half, behind everything else that wants to run there.
    pub fn start(arguments: &[&str]) -> Self {
        Self(command(arguments).stdout(Stdio::null()).spawn().unwrap())
    }

    /// Starts one for each core, which gets what nobody else wants of it: a core that sleeps is slow to answer, and
    /// attackers would wake it.
    pub fn keep_awake() -> Vec<Self> {
        let start = |core: usize| {
            let mut command = Command::new("taskset");
            command
                .args(["--cpu-list", &core.to_string(), "chrt", "--idle", "0"])
                .arg(std::env::current_exe().unwrap())
                .arg("--spin")
                .stdin(Stdio::null());
            Self(command.spawn().unwrap())
        };
        (0..*CORES).map(start).collect()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Behind {
    /// Starts it and waits until it listens.
    pub fn start() -> Self {
        let mut child = command(&["--origin"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut url).unwrap();
        Self {
            url: url.trim().to_owned(),
            _process: Helper(child),
        }
    }
}

/// What that process does, until it is ended.
#[allow(clippy::print_stdout)] // its answer
pub async fn serve_for_ever() {
    let origin = Origin::serve(|call| async move {
        match call.path() {
            held if held.starts_with("/held") => std::future::pending().await,
            "/large" => reply::of(body::full(vec![b'x'; LARGE])).max_age(600).done(),
            // A body is waited for to its end.
            _ if call.request.method() == "POST" => {
                let received = call.request.into_body().collect().await;
                reply::text(format!("{}", received.is_ok())).done()
            }
            _ => reply::text("hello").max_age(600).done(),
        }
    })
    .await;
    println!("{}", origin.url());
    std::future::pending::<()>().await;
}

/// An edge with the limit that is attacked, which has stored what will be asked for.
pub async fn edge(kind: &Kind, behind: &Behind, authority: &Authority) -> Edge {
    let (edge, route) = match kind.limit {
        Limit::Edge(limits) => (limits, ""),
        Limit::Route(limits) => ("", limits),
    };
    let policy = format!(
        "version: 1
edge: {{limits: {{{edge}}}}}
certificates: {{main: {{chain: main.pem, key: main.key}}}}
origins: {{app: {{url: '{}'}}}}
sites: {{main: {{hosts: ['*'], certificate: main, routes: [{{origins: [app], cache: true, limits: {{{route}}}}}]}}}}
",
        behind.url
    );
    let edge = Edge::alone(&policy)
        .certificate(authority, "main", &[HOST])
        .start()
        .await;
    std::fs::write(trust_file(&edge), authority.pem()).unwrap();
    move_to(edge.pid(), Half::Edge);
    put_first(edge.pid());
    for path in ["/", "/large"] {
        assert_eq!(edge.get(HOST, path).await.status, 200);
    }
    edge
}

/// Where attackers read whom to trust.
pub fn trust_file(edge: &Edge) -> PathBuf {
    edge.folder().join("ca.pem")
}

/// Lets all threads of a process run on those cores alone; with one core, all share it.
pub fn move_to(pid: u32, half: Half) {
    let Range { start, end } = cores(half);
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid"])
        .args([format!("{start}-{}", end - 1), pid.to_string()])
        .stdout(Stdio::null())
        .status()
        .expect("taskset is there (util-linux)");
    assert!(status.success(), "{pid} is moved");
}

fn cores(half: Half) -> Range<usize> {
    let cores = *CORES;
    match half {
        _ if cores == 1 => 0..1,
        Half::Edge => 0..cores / 2,
        Half::Others => cores / 2..cores,
    }
}

/// Puts all threads of a process before everything else, so that whoever else works on this machine is not what is
/// measured. Only root may.
pub fn put_first(pid: u32) -> bool {
    let status = Command::new("chrt")
        .args(["--all-tasks", "--rr", "--pid", "1", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .expect("chrt is there (util-linux)");
    status.success()
}

/// This program with these arguments. It inherits its half, but not its place before others.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("chrt");
    command
        .args(["--other", "0", "nice", "-n", "19"])
        .arg(std::env::current_exe().unwrap())
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}
