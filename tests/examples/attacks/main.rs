//! What a client notices while others attack the edge: `make bench`.
//!
//! For each attack, windows with and without it follow each other, so that both see the same machine; the 99th
//! percentile of a second client's requests in the one is divided by that in the other. The attackers are processes of
//! their own at the lowest priority: what they cost this machine is not what they cost the edge. Ends with 1 when an
//! attack makes the second client more than twice as slow, by the median of three tries. Names after the program's
//! choose among the attacks.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measuring program

mod kinds;

use http_body_util::BodyExt as _;
use kinds::{ATTACKS, HOST, Target, attack_for_ever, limits, trust_file};
use latencify_tests::{Authority, Client, Connection, Edge, Origin, body, client_of, reply};
use std::{
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};
use tokio::time::sleep;

const WINDOW: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
/// Odd: the median is one of them.
const TRIES: usize = 3;
const RATIO_MAX: f64 = 2.0;
const VISITOR: &str = "127.20.0.1";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [_, "--attack", attack, http, https, trust] = words.as_slice() {
        let trust = client_of(&std::fs::read_to_string(trust).unwrap(), &[b"h2"]);
        let target = Target {
            http: http.parse().unwrap(),
            https: https.parse().unwrap(),
            trust,
        };
        return attack_for_ever(attack, target).await;
    }
    let origin = Origin::serve(|call| async move {
        match call.path() {
            "/large" => reply::of(body::full(vec![b'x'; 8 << 20]))
                .max_age(600)
                .done(),
            // A body is waited for to its end.
            _ if call.request.method() == "POST" => {
                let received = call.request.into_body().collect().await;
                reply::text(format!("{}", received.is_ok())).done()
            }
            _ => reply::text("hello").max_age(600).done(),
        }
    })
    .await;
    let authority = Authority::new();
    println!(
        "{:18} {:>10} {:>10} {:>6}",
        "attack", "p99 alone", "p99 under", "ratio"
    );
    let chosen =
        |attack: &&str| arguments.len() < 2 || arguments[1..].iter().any(|name| name == attack);
    let mut over = Vec::new();
    for attack in ATTACKS.iter().copied().filter(|attack| chosen(attack)) {
        let edge = Edge::alone(&policy(attack, &origin))
            .certificate(&authority, "main", &[HOST])
            .start()
            .await;
        std::fs::write(trust_file(&edge), authority.pem()).unwrap();
        for path in ["/", "/large"] {
            assert_eq!(edge.get(HOST, path).await.status, 200);
        }
        let mut ratios = Vec::new();
        for _ in 0..TRIES {
            let (alone, under) = measure(&edge, attack).await;
            let ratio = under.as_secs_f64() / alone.as_secs_f64();
            println!("{attack:18} {alone:>10.1?} {under:>10.1?} {ratio:>6.2}");
            ratios.push(ratio);
        }
        ratios.sort_unstable_by(f64::total_cmp);
        let median = ratios[TRIES / 2];
        println!("{attack:18} {:>10} {:>10} {median:>6.2}", "", "median");
        if median > RATIO_MAX {
            over.push(attack);
        }
        told(&edge).await;
    }
    if over.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "over {RATIO_MAX} by the median of {TRIES} tries: {}",
        over.join(", ")
    );
    ExitCode::FAILURE
}

fn policy(attack: &str, origin: &Origin) -> String {
    let (edge, route) = limits(attack);
    format!(
        "version: 1
edge: {{limits: {{{edge}}}}}
certificates: {{main: {{chain: main.pem, key: main.key}}}}
origins: {{app: {{url: '{}'}}}}
sites: {{main: {{hosts: ['*'], certificate: main, routes: [{{origins: [app], cache: true{route}}}]}}}}
",
        origin.url()
    )
}

/// What the edge counted.
async fn told(edge: &Edge) {
    let metrics = edge.metrics().await;
    let counted = metrics.lines().filter(|line| {
        [
            "connections_refused_total",
            "connections_ended_total",
            "streams_ended_total",
            "faults_total",
        ]
        .iter()
        .any(|name| line.starts_with(&format!("latencify_gateway_{name}")))
            && !line.ends_with(" 0")
    });
    for line in counted {
        println!("    {}", line.trim_start_matches("latencify_gateway_"));
    }
}

/// The 99th percentiles without and with the attack.
async fn measure(edge: &Edge, attack: &str) -> (Duration, Duration) {
    let (mut alone, mut under) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut visitor = Visitor::of(edge, attack).await;
        visitor.requests(edge, &mut alone).await;
        let attackers = Attackers::start(attack, edge);
        // What is attacked first is not what is measured.
        sleep(WINDOW / 4).await;
        visitor.requests(edge, &mut under).await;
        drop(attackers);
        sleep(WINDOW / 4).await;
    }
    (percentile(alone), percentile(under))
}

/// Who asks, one request after the other.
enum Visitor {
    /// Over a connection for each, as a new visitor.
    New(Client),
    /// Over one that was there before the attack: to a full edge nobody new comes.
    Kept(Box<Connection>),
}

impl Visitor {
    async fn of(edge: &Edge, attack: &str) -> Self {
        let client = Client::at(VISITOR);
        if attack != "connections_in_all" {
            return Self::New(client);
        }
        // After the former attack there may be no place yet.
        loop {
            let mut connection = client.connect(edge.http()).await.unwrap();
            if connection.send(get()).await.is_ok() {
                return Self::Kept(Box::new(connection));
            }
            sleep(WINDOW / 20).await;
        }
    }

    /// For a window.
    async fn requests(&mut self, edge: &Edge, times: &mut Vec<Duration>) {
        let end = Instant::now() + WINDOW;
        while Instant::now() < end {
            let began = Instant::now();
            let reply = match self {
                Self::New(client) => client.send(edge.http(), get()).await,
                Self::Kept(connection) => connection.send(get()).await,
            };
            assert_eq!(reply.unwrap().status, 200);
            times.push(began.elapsed());
            sleep(Duration::from_millis(1)).await;
        }
    }
}

fn get() -> http::Request<body::Body> {
    Client::request("GET", HOST, "/")
        .body(body::empty())
        .unwrap()
}

fn percentile(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

/// Processes that attack until they are dropped.
struct Attackers(Child);

impl Attackers {
    fn start(attack: &str, edge: &Edge) -> Self {
        let child = Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--attack",
                attack,
                &edge.http().to_string(),
                &edge.https().to_string(),
            ])
            .arg(trust_file(edge))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
