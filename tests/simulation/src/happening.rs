//! The one loop in which everything happens, and the table of what happens when.

use crate::{
    event::{Event, Whom},
    lies::Lie,
    network::StreamId,
    rules::turn,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::link::message::ToEdge;
use std::time::Duration;

/// A world in which more happens goes in circles.
const EVENTS_MAX: u64 = 2_000_000;

impl<R: Rules> World<R> {
    /// Lets everything happen until the world is over.
    pub fn run(&mut self) {
        while !self.over && self.oracle.violation.is_none() {
            let Some((at, event)) = self.queue.take() else {
                return;
            };
            self.now = self.now.max(at);
            turn(self.now);
            self.events += 1;
            if self.events > EVENTS_MAX || self.lies(Lie::TooMuch) {
                return self.violate("an_end", || "too much happens".into());
            }
            let whom = self.whom(&event);
            match self.stands_still_until(whom) {
                Some(until) => self.put(until.saturating_sub(self.now), event),
                None => self.happen(whom, event),
            }
        }
    }

    fn whom(&mut self, event: &Event) -> Whom {
        match event {
            Event::EdgeNotices(stream) => self.network.edge_of(*stream),
            Event::ToReplica(stream, _) | Event::ReplicaNotices(stream) => {
                self.network.replica_of(*stream)
            }
            event => match event.whom() {
                Whom::SomeReplica => self.some_run().map_or(Whom::World, Whom::Replica),
                whom => whom,
            },
        }
    }

    fn stands_still_until(&self, whom: Whom) -> Option<Duration> {
        let until = match whom {
            Whom::Edge(edge) => self.edges.get(edge)?.paused_until,
            Whom::Replica(run) => self.machine_of(run)?.paused_until,
            Whom::SomeReplica | Whom::World => return None,
        };
        (until > self.now).then_some(until)
    }

    fn happen(&mut self, whom: Whom, event: Event) {
        match whom {
            Whom::Edge(edge) => {
                self.edge_wakes(edge);
                self.dispatch(event);
                self.edge_rests(edge);
            }
            Whom::Replica(run) => self.at(run, |world| world.dispatch(event)),
            Whom::SomeReplica | Whom::World => self.dispatch(event),
        }
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::ToReplica(stream, message) => {
                if self
                    .network
                    .streams
                    .get(&stream)
                    .is_some_and(|stream| !stream.lost)
                {
                    self.session_hears(stream, message);
                }
            }
            Event::ToEdge(stream, message) => self.arrives_at_edge(stream, message),
            Event::ReplicaNotices(stream) => self.session_drop(stream),
            Event::EdgeNotices(stream) => self.edge_notices(stream),
            Event::Heal(edge) => self.heal(edge),
            Event::EdgeStart(edge) => self.edge_start(edge),
            Event::Connect(edge, run) => self.connect_edge(edge, run),
            Event::Read(edge, run) => self.edge_reads(edge, run),
            Event::Tick(edge, run) => self.timer(edge, run),
            Event::Installed(edge, run) => self.installed(edge, run),
            Event::Saved(edge, run) => self.saved(edge, run),
            Event::Sweep(edge, run) => self.sweep(edge, run),
            Event::Gone(edge, run) => self.edge_leaves(edge, run),
            Event::Ask => self.ask(),
            Event::Arrive(edge, request) => self.arrive(edge, request),
            Event::GoOn(edge, run, request) => self.weigh(edge, run, request),
            Event::LookAgain(edge, run, request) => self.look_again(edge, run, request),
            Event::GiveUp(edge, run, request, fetch) => self.give_up(edge, run, request, fetch),
            Event::OriginGets(edge, run, fetch) => self.origin_gets(edge, run, fetch),
            Event::Head(edge, run, fetch, answer) => self.head(edge, run, fetch, answer),
            Event::Piece(edge, run, fetch) => self.piece(edge, run, fetch),
            Event::ReadOn(edge, run, request) => self.read_on(edge, run, request),
            Event::ReplicaStart(host) => self.at_host(host, Self::replica_start),
            Event::Commit(run, append) => self.at(run, |world| world.commit(run, append)),
            Event::Heard(run, id, result) => self.heard(run, id, result),
            Event::Lands(branch) => self.lands(branch),
            Event::Announce(run) => self.announce(run),
            Event::AskEnd(run) => self.ask_end(run),
            Event::EndTold(run, asked, end) => self.end_told(run, asked, end),
            Event::Alone(run) => self.say_alone(run),
            Event::Fold(run) => self.fold(run),
            Event::Shadow => self.shadow(),
            Event::Second(run) => self.second(run),
            Event::RemoveAgain(run, process) => self.remove_again(run, process),
            Event::Replaced(run, stream) => self.session_replaced(run, stream),
            Event::Write(writer) => self.write(writer),
            Event::WriterAsks(writer, attempt) => self.writer_asks(writer, attempt),
            Event::WriterHears(writer, attempt, reply) => self.writer_hears(writer, attempt, reply),
            Event::WriterTires(writer, attempt) => self.writer_tires(writer, attempt),
            Event::AskReceipt(writer) => self.ask_receipts(writer),
            Event::Publish => self.publish_something(),
            Event::Weather => self.weather(),
            Event::PowerFails(edge) => self.power_fails(edge),
            Event::ReplicaDies(run) => self.at(run, |world| world.replica_dies(run)),
            Event::Calm => self.calm_down(),
            Event::Judge => self.judge_or_quieten(),
        }
    }

    fn arrives_at_edge(&mut self, stream: StreamId, message: ToEdge) {
        let Some(known) = self
            .network
            .streams
            .get(&stream)
            .filter(|stream| !stream.lost)
        else {
            return;
        };
        let (edge, run) = (known.edge, known.edge_run);
        let is_its = self
            .process(edge, run)
            .is_some_and(|process| process.stream == Some(stream));
        if is_its {
            self.edge_gets(edge, run, message);
        }
    }
}
