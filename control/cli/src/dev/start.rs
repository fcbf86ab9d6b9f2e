//! Brings everything up in order: broker, origin, control, the policy, edges.

use super::{
    DevArgs, certificates,
    children::Children,
    kafka,
    layout::Layout,
    policy,
    ports::{EDGES, Ports},
    programs,
    record::{Control, ControlPorts, Edge, EdgePorts, Record},
    steps::Steps,
};
use crate::{args::ServerArgs, failure::Failure, output::Progress, server::Server};
use latencify_conf::api::PolicyStatus;
use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

/// For a program of ours to listen and be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// For the broker, which formats its folder and starts a JVM.
const BROKER_TIMEOUT: Duration = Duration::from_secs(90);
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
        ca_fingerprint: None,
    })?;
    steps.next("policy");
    policy::apply(&origins, layout, &server).await?;
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
    children.start(programs::origin(ports, layout, children), layout)?;
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
    let control = programs::control(ports, broker, layout)?;
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

async fn start_edges(
    fleet: SocketAddr,
    ports: &mut Ports,
    layout: &Layout,
    children: &mut Children,
    steps: &Steps<'_>,
) -> Result<Vec<Edge>, Failure> {
    let mut started = Vec::new();
    for edge in &EDGES {
        let program = programs::edge(edge, fleet, ports, layout)?;
        started.push((edge.name, children.start(program, layout)?));
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
