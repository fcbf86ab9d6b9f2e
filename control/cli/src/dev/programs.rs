//! The programs of a run, as they are started.

use super::{
    children::{Children, Program, Rank},
    layout::Layout,
    ports::{EDGES, EdgePlace, Ports},
};
use crate::{command::geo, failure::Failure, program::find};
use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

/// Memory for stored objects of one edge.
const CACHE_MEMORY: &str = "64MiB";
/// What an edge gives requests under way when it ends.
const DRAIN_TIMEOUT: &str = "5s";

/// The origin: this program, in all places.
pub fn origin(ports: &mut Ports, layout: &Layout, children: &Children) -> Program {
    let mut arguments = Arguments::new().flag("dev-origin");
    for edge in &EDGES {
        arguments = arguments.option("--listen", format!("{}={}", edge.name, ports.origin(edge)));
    }
    let arguments = arguments.option("--ports-file", layout.ports("origin"));
    program("origin", Rank::Support, children.this_program(), arguments)
}

/// Control, with the broker's log if there is a broker.
pub fn control(
    ports: &mut Ports,
    broker: Option<SocketAddr>,
    layout: &Layout,
) -> Result<Program, Failure> {
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
        find("latencify-control")?,
        arguments,
    );
    control
        .environment
        .push(("LATENCIFY_API_TOKEN", layout.api_token.clone()));
    control
        .environment
        .push(("LATENCIFY_JOIN_TOKEN", layout.join_token.clone()));
    Ok(control)
}

/// An edge.
pub fn edge(
    edge: &EdgePlace,
    fleet: SocketAddr,
    ports: &mut Ports,
    layout: &Layout,
) -> Result<Program, Failure> {
    let gateway = find("latencify-gateway")?;
    Ok(program(
        edge.name,
        Rank::Edge,
        gateway,
        edge_arguments(edge, fleet, ports, layout),
    ))
}

fn edge_arguments(
    edge: &EdgePlace,
    fleet: SocketAddr,
    ports: &mut Ports,
    layout: &Layout,
) -> Arguments {
    let mut arguments = Arguments::new()
        .option("--control", format!("https://{fleet}"))
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

fn program(name: &str, rank: Rank, path: PathBuf, arguments: Arguments) -> Program {
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
