//! The broker of `latencify dev --kafka`: the same script that tests and people use, carried in this program.

use super::{
    children::{Children, Program, Rank},
    layout::{self, Layout, cache_folder},
    ports::Ports,
};
use crate::failure::Failure;
use std::net::{Ipv4Addr, SocketAddr};

const RUN: &str = include_str!("../../../../deploy/kafka/run");
const LOGGING: &str = include_str!("../../../../deploy/kafka/log4j2.properties");

/// Starts the broker and answers with the address that it will listen on.
pub fn start(
    ports: &mut Ports,
    layout: &Layout,
    children: &mut Children,
) -> Result<SocketAddr, Failure> {
    let installed = cache_folder().join("kafka");
    if !installed.join("lib").exists() && !installed.join("tansu").exists() {
        return Err(
            Failure::failed(format!("no Kafka in {}", installed.display())).with_help(
                "fetch it with `make setup`, or leave out --kafka: the log is then kept in SQLite",
            ),
        );
    }
    let (port, controller) = ports
        .broker()
        .map_err(|error| Failure::failed(format!("no ports for the broker: {error}")))?;
    let folder = layout.dir.join("kafka");
    std::fs::create_dir_all(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
    let script = folder.join("run");
    layout::write(&script, RUN.as_bytes())?;
    layout::write(&folder.join("log4j2.properties"), LOGGING.as_bytes())?;
    let arguments = [
        script.as_os_str().to_owned(),
        "--dir".into(),
        folder.join("node").into(),
        "--port".into(),
        port.to_string().into(),
        "--controller-port".into(),
        controller.to_string().into(),
    ];
    let program = Program {
        name: "kafka".to_owned(),
        rank: Rank::Support,
        path: "/usr/bin/env".into(),
        arguments: ["bash".into()].into_iter().chain(arguments).collect(),
        environment: Vec::new(),
    };
    children.start(program, layout)?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}
