//! `latencify replica …`

use crate::{args::ReplicaVerb, failure::Failure, output::Output, server::Server};
use latencify_conf::api::Replicas;

/// Runs a verb.
pub async fn run(verb: ReplicaVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    match verb {
        ReplicaVerb::List => {
            let replicas: Replicas = server.get("v1/replicas").await?;
            output.answer(&replicas, |replicas| table(replicas, output))
        }
    }
}

fn table(replicas: &Replicas, output: &Output) -> String {
    let mut table = output.table(&["replica", "name", "store", "version", "since epoch"]);
    for replica in &replicas.replicas {
        let answers = if replica.answers { " (answers)" } else { "" };
        table.row([
            replica.replica.to_string(),
            format!("{}{answers}", replica.name),
            format!("{} {}", replica.store.kind.as_str(), replica.store.id),
            replica.version.clone(),
            replica.joined.to_string(),
        ]);
    }
    table.to_string()
}
