//! Brings everything up in order: broker, origin, control, the policy, edges.

use super::{
    DevArgs, certificates,
    children::{Children, Program, Rank},
    kafka,
    layout::{self, Layout, POLICY},
    ports::{EDGES, EdgePlace, Ports},
    record::{Control, ControlPorts, Edge, EdgePorts, Record},
    steps::Steps,
};
use crate::{args::ServerArgs, command::geo, failure::Failure, output::Progress, server::Server};
use latencify_conf::{
    api::{PolicyAccepted, PolicyDetail, PolicyStatus, PolicySubmission},
    bundle::File,
};
use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, path::Path, time::Duration};

/// For a program of ours to listen and be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// For the broker, which formats its folder and starts a JVM.
const BROKER_TIMEOUT: Duration = Duration::from_secs(90);
/// Memory for stored objects of one edge.
const CACHE_MEMORY: &str = "64MiB";
/// What an edge gives requests under way when it ends.
const DRAIN_TIMEOUT: &str = "5s";

/// Starts all and answers with what runs where.
pub async fn all(
    args: &DevArgs,
    layout: &Layout,
    children: &mut Children,
) -> Result<Record, Failure> {
    let mut ports = Ports::new(args.ephemeral);
    let mut steps = Steps::new(layout, Progress::new(6))?;
    let ca = certificates::make(layout)?;

    steps.next("origin");
    let origins = start_origin(&mut ports, layout, children, &steps).await?;
    steps.next("broker");
    let broker = if args.kafka {
        Some(start_broker(&mut ports, layout, children, &steps).await?)
    } else {
        None
    };
    steps.next("control");
    let control = start_control(&mut ports, broker, layout, children, &steps).await?;
    let url = format!("http://{}", control.ports.api);
    let server = Server::new(&ServerArgs {
        server: url
            .parse()
            .map_err(|error| Failure::failed(format!("{url} is no URL: {error}")))?,
        token: Some(layout.api_token.clone()),
        token_file: None,
        ca: None,
    })?;
    steps.next("policy");
    apply_policy(&origins, layout, &server).await?;
    steps.next("edges");
    let edges = start_edges(control.ports.fleet, &mut ports, layout, children, &steps).await?;
    steps.next("the fleet to run the policy");
    settle(&server, children, &steps).await?;

    let record = Record {
        dir: layout.dir.clone(),
        pid: std::process::id(),
        server: url,
        api_token_file: layout.api_token_file(),
        join_token_file: layout.join_token_file(),
        ca,
        geoip: layout.loopback_places(),
        policy: layout.policy(),
        env: layout.dir.join("env"),
        bin: children
            .this_program()
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default(),
        control,
        edges,
        origins,
        kafka: broker,
        taken: ports.taken,
    };
    record.publish(layout)?;
    Ok(record)
}

async fn start_origin(
    ports: &mut Ports,
    layout: &Layout,
    children: &mut Children,
    steps: &Steps<'_>,
) -> Result<BTreeMap<String, SocketAddr>, Failure> {
    let mut arguments = Arguments::new().flag("dev-origin");
    for edge in &EDGES {
        arguments = arguments.option("--listen", format!("{}={}", edge.name, ports.origin(edge)));
    }
    let arguments = arguments.option("--ports-file", layout.ports("origin"));
    let path = children.this_program();
    children.start(program("origin", Rank::Support, path, arguments), layout)?;
    steps.ports("origin", READY_TIMEOUT, children).await
}

async fn start_broker(
    ports: &mut Ports,
    layout: &Layout,
    children: &mut Children,
    steps: &Steps<'_>,
) -> Result<SocketAddr, Failure> {
    let broker = kafka::start(ports, layout, children)?;
    steps
        .listens("the broker", broker, BROKER_TIMEOUT, children)
        .await?;
    Ok(broker)
}

async fn start_control(
    ports: &mut Ports,
    broker: Option<SocketAddr>,
    layout: &Layout,
    children: &mut Children,
    steps: &Steps<'_>,
) -> Result<Control, Failure> {
    let mut arguments = Arguments::new()
        .option("--data", layout.dir.join("control"))
        .option("--api", ports.api().to_string())
        .option("--fleet", ports.fleet().to_string())
        .option("--admin", ports.control_admin().to_string())
        .option("--ports-file", layout.ports("control"));
    if let Some(broker) = broker {
        arguments = arguments.option("--kafka", broker.to_string());
    }
    let mut control = program(
        "control",
        Rank::Control,
        children.find("latencify-control")?,
        arguments,
    );
    control
        .environment
        .push(("LATENCIFY_API_TOKEN", layout.api_token.clone()));
    control
        .environment
        .push(("LATENCIFY_JOIN_TOKEN", layout.join_token.clone()));
    let pid = children.start(control, layout)?;
    let bound: ControlPorts = steps.ports("control", READY_TIMEOUT, children).await?;
    steps
        .ready("control", bound.admin, READY_TIMEOUT, children)
        .await?;
    Ok(Control {
        pid,
        log: layout.log("control"),
        ports: bound,
    })
}

/// The demo's policy, unless an earlier run is kept that has one.
async fn apply_policy(
    origins: &BTreeMap<String, SocketAddr>,
    layout: &Layout,
    server: &Server,
) -> Result<(), Failure> {
    if server.get::<PolicyDetail>("v1/policies/head").await.is_ok() {
        return Ok(());
    }
    let text = policy_for(origins);
    layout::write(&layout.policy(), text.as_bytes())?;
    let submission = PolicySubmission {
        files: vec![File {
            name: "policy.yaml".to_owned(),
            text,
        }],
        message: "the demo's policy".to_owned(),
        base: None,
        dry_run: false,
    };
    server
        .post::<PolicyAccepted>("v1/policies", None, &submission)
        .await?;
    Ok(())
}

/// The demo's policy names default addresses; these are the real ones.
fn policy_for(origins: &BTreeMap<String, SocketAddr>) -> String {
    EDGES.iter().fold(POLICY.to_owned(), |text, edge| {
        let real = origins
            .get(edge.name)
            .map(|address| format!("http://{address}"));
        let written = format!("http://{}.invalid", edge.name);
        real.map_or_else(|| text.clone(), |real| text.replace(&written, &real))
    })
}

async fn start_edges(
    fleet: SocketAddr,
    ports: &mut Ports,
    layout: &Layout,
    children: &mut Children,
    steps: &Steps<'_>,
) -> Result<Vec<Edge>, Failure> {
    let gateway = children.find("latencify-gateway")?;
    let mut started = Vec::new();
    for edge in &EDGES {
        let arguments = edge_arguments(edge, fleet, ports, layout);
        let pid = children.start(
            program(edge.name, Rank::Edge, gateway.clone(), arguments),
            layout,
        )?;
        started.push((edge.name, pid));
    }
    let mut edges = Vec::new();
    for (name, pid) in started {
        let bound: EdgePorts = steps.ports(name, READY_TIMEOUT, children).await?;
        steps
            .ready(name, bound.admin, READY_TIMEOUT, children)
            .await?;
        edges.push(Edge {
            name: name.to_owned(),
            pid,
            log: layout.log(name),
            ports: bound,
        });
    }
    Ok(edges)
}

fn edge_arguments(
    edge: &EdgePlace,
    fleet: SocketAddr,
    ports: &mut Ports,
    layout: &Layout,
) -> Arguments {
    let mut arguments = Arguments::new()
        .option("--control", format!("http://{fleet}"))
        .option("--edge", edge.name)
        .option("--state", layout.dir.join("edges").join(edge.name))
        .option("--join-token-file", layout.join_token_file())
        .option("--admin", ports.edge_admin(edge).to_string())
        .option("--cert-dir", layout.certificates())
        .option("--access-log", layout.log(&format!("{}-access", edge.name)))
        .option("--cache-memory", CACHE_MEMORY)
        .option("--drain-timeout", DRAIN_TIMEOUT)
        .option("--threads", "1")
        .option("--ports-file", layout.ports(edge.name));
    for address in ports.http(edge) {
        arguments = arguments.option("--http", address.to_string());
    }
    for address in ports.https(edge) {
        arguments = arguments.option("--https", address.to_string());
    }
    // Places of loopback addresses first; then the world, if set-up has fetched it.
    for file in std::iter::once(layout.loopback_places()).chain(geo::files(&[])) {
        arguments = arguments.option("--geoip", file);
    }
    arguments
}

/// Until every edge says that it runs the head.
async fn settle(
    server: &Server,
    children: &mut Children,
    steps: &Steps<'_>,
) -> Result<(), Failure> {
    let runs = async || {
        let now: PolicyStatus = server.get("v1/policies/head/status").await.ok()?;
        (now.pending == 0 && now.edges.len() >= EDGES.len()).then_some(now)
    };
    let status = steps
        .until(
            "every edge to run the policy",
            READY_TIMEOUT,
            children,
            runs,
        )
        .await?;
    let reasons: Vec<_> = status
        .edges
        .iter()
        .filter_map(|edge| edge.policy.reason.as_deref())
        .collect();
    if status.failed > 0 {
        return Err(Failure::failed(format!(
            "edges can't run the demo's policy: {}",
            reasons.join("; ")
        )));
    }
    Ok(())
}

fn program(name: &str, rank: Rank, path: std::path::PathBuf, arguments: Arguments) -> Program {
    Program {
        name: name.to_owned(),
        rank,
        path,
        arguments: arguments.0,
        environment: Vec::new(),
    }
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn flag(mut self, name: &str) -> Self {
        self.0.push(name.into());
        self
    }

    fn option(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.extend([name.into(), value.into()]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::{
        bundle::Bundle,
        validate::{SiteIds, validate},
    };

    #[test]
    fn the_demo_policy_is_valid_with_every_origin_at_its_real_address() {
        let origins = EDGES
            .iter()
            .map(|edge| (edge.name.to_owned(), SocketAddr::from(([127, 0, 0, 1], 1))))
            .collect();
        let text = policy_for(&origins);
        assert!(!text.contains(".invalid"), "{text}");
        let policy = validate(&Bundle::single("policy.yaml", text), &SiteIds::standalone());
        let policy =
            policy.unwrap_or_else(|errors| panic!("{}", latencify_conf::validate::render(&errors)));
        assert_eq!(policy.origins.len(), EDGES.len());
    }
}
