//! Many edges that are played, in one process.

use latencify_conf::{
    change::Revision,
    link::{
        edge::Action,
        replica::{Report, Target},
    },
};
use latencify_tests::{Control, Door, LinkEdge};
use std::time::Duration;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

/// Connections that are begun at a time.
const KNOCKING_MAX: usize = 64;
/// What runs that is not taken note of yet: each edge tells of a revision once.
const NOTES_MAX: usize = 4_096;
/// Fetches of one edge at a time: of newer targets, the newest counts.
const FETCHES_MAX: usize = 4;
const PATIENCE: Duration = Duration::from_mins(5);

/// Edges in a fleet.
pub struct Crowd {
    count: usize,
    running: mpsc::Receiver<Revision>,
    leave: watch::Sender<bool>,
    edges: JoinSet<anyhow::Result<()>>,
}

impl Crowd {
    /// So many edges that are about to join.
    pub async fn join(control: &Control, count: usize) -> Self {
        let door = Door::of(control);
        let (tell, running) = mpsc::channel(NOTES_MAX);
        let (leave, left) = watch::channel(false);
        let mut edges = JoinSet::new();
        let knocking = std::sync::Arc::new(tokio::sync::Semaphore::new(KNOCKING_MAX));
        for number in 0..count {
            let (door, tell, left) = (door.clone(), tell.clone(), left.clone());
            let place = knocking.clone().acquire_owned().await.unwrap();
            edges.spawn(async move {
                let edge = LinkEdge::attach(&door, &format!("edge-{number}")).await?;
                drop(place);
                live(edge, tell, left).await
            });
        }
        Self {
            count,
            running,
            leave,
            edges,
        }
    }

    /// Waits until all of them run this revision, and none did before.
    pub async fn all_run(&mut self, revision: Revision) {
        let mut run_it = 0;
        while run_it < self.count {
            tokio::select! {
                told = timeout(PATIENCE, self.running.recv()) => {
                    let told = told.unwrap_or_else(|_| panic!("{run_it} of {} run {revision}", self.count));
                    run_it += usize::from(told == Some(revision));
                }
                Some(ended) = self.edges.join_next() => panic!("an edge has ended: {ended:?}"),
            }
        }
    }

    /// They go, without a word: control is about to go, too.
    pub async fn end(mut self) {
        self.leave.send_replace(true);
        while self.edges.join_next().await.is_some() {}
    }
}

/// Obeys at once, acks, and fetches each policy beside the stream, as a gateway does.
async fn live(
    mut edge: LinkEdge,
    tell: mpsc::Sender<Revision>,
    mut left: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (fetched, mut here) = mpsc::channel::<anyhow::Result<Target>>(FETCHES_MAX);
    loop {
        tokio::select! {
            _ = left.changed() => return Ok(()),
            actions = edge.turn() => {
                let actions = actions?;
                edge.obey(&actions)?;
                for action in actions {
                    if let Action::Target(target) = action {
                        let (fetch, fetched) = (edge.fetch(target.digest), fetched.clone());
                        tokio::spawn(async move {
                            let outcome = fetch.await.map(|()| target);
                            let _ = fetched.send(outcome).await;
                        });
                    }
                }
            }
            Some(target) = here.recv() => {
                let target = target?;
                let _ = tell.send(target.revision).await;
                edge.report(Report {
                    running: Some((target.revision, target.digest)),
                    failed: None,
                    reason: String::new(),
                })?;
            }
        }
    }
}
