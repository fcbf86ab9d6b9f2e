//! What goes wrong between edges and the replica.

use crate::{event::Event, faults::Fault, network::StreamId, world::World};
use bytes::Bytes;
use latencify_cache::rules::Rules;
use latencify_conf::link::message::{self, FromEdge, ToEdge, to_edge::Message as To};
use std::time::Duration;

impl<R: Rules> World<R> {
    /// A stream breaks, in one of the ways in which they do.
    pub(super) fn break_stream(&mut self, edge: usize) {
        let Some(stream) = self
            .edges
            .get(edge)
            .and_then(|machine| machine.running.as_ref()?.stream)
        else {
            return;
        };
        let loses = self.random.permille(600);
        if let Some(known) = self.network.streams.get_mut(&stream) {
            known.lost |= loses;
        }
        self.fault(Fault::Drop);
        self.tell("stream breaks", &[stream], || {
            format!("stream {stream}, what is under way is lost: {loses}")
        });
        let half = self.random.below(4);
        if half == 0 {
            self.fault(Fault::HalfOpen);
        } else {
            let notices = self.random.millis(0..50);
            self.put(notices, Event::EdgeNotices(stream));
        }
        if half == 1 {
            self.fault(Fault::HalfOpen);
        } else {
            let notices = self.random.millis(0..1500);
            self.put(notices, Event::ReplicaNotices(stream));
        }
    }

    /// Nothing passes, one way or both.
    pub(super) fn partition(&mut self, edge: usize) {
        let (up, down, fault) = match self.random.below(3) {
            0 => (true, false, Fault::PartitionUp),
            1 => (false, true, Fault::PartitionDown),
            _ => (true, true, Fault::PartitionBoth),
        };
        if let Some(cut) = self.network.cut.get_mut(edge) {
            *cut = (up, down);
        }
        self.fault(fault);
        let lasts = self.pause_length() * 2;
        self.tell("partition", &[edge as u64], || {
            format!("edge {edge}, up {up}, down {down}, for {lasts:?}")
        });
        self.put(lasts, Event::Heal(edge));
    }

    /// The partition is over: what was held back arrives.
    pub fn heal(&mut self, edge: usize) {
        if let Some(cut) = self.network.cut.get_mut(edge) {
            *cut = (false, false);
        }
        let of_edge = self
            .network
            .streams
            .iter_mut()
            .filter(|(_, stream)| stream.edge == edge);
        let held: Vec<_> = of_edge
            .map(|(id, stream)| {
                (
                    *id,
                    std::mem::take(&mut stream.up.held),
                    std::mem::take(&mut stream.down.held),
                )
            })
            .collect();
        let may_straggle = !self.calm && self.plan.breaks.focus.is_none();
        for (stream, up, down) in held {
            // What a buffer on the way had may come long after: beside what the edge says on a newer stream.
            if may_straggle && !up.is_empty() && self.random.permille(300) {
                let (now, late) = (self.now, self.random.span(Duration::ZERO, self.plan.lease));
                if let Some(known) = self.network.streams.get_mut(&stream) {
                    known.up.arrival(now, late);
                }
            }
            for message in up {
                self.send_up(stream, message);
            }
            for message in down {
                self.send_down(stream, message);
            }
        }
    }

    /// The answer to this heartbeat will be late, and nothing that the edge says arrives any more.
    pub fn spring_ambush(&mut self, stream: StreamId) {
        let (now, lease) = (self.now, self.plan.lease);
        let late = self.random.span(lease / 4, lease * 9 / 10);
        let Some(known) = self.network.streams.get_mut(&stream) else {
            return;
        };
        if self.ambush != Some(known.edge) {
            return;
        }
        self.ambush = None;
        known.down.arrival(now, late);
        let edge = known.edge;
        if let Some(cut) = self.network.cut.get_mut(edge) {
            cut.0 = true;
        }
        self.fault(Fault::LateAnswer);
        self.tell("late answer", &[edge as u64], || {
            format!("edge {edge}: by {late:?}")
        });
        let lasts = self.random.span(lease * 2, lease * 3);
        self.put(lasts, Event::Heal(edge));
    }

    fn message_delay(&mut self) -> Duration {
        if !self.calm && self.random.permille(self.plan.rates.delay) {
            self.fault(Fault::Delay);
            let most = self.plan.lease * 3 / 2;
            return self.random.span(Duration::from_millis(20), most);
        }
        self.network.delay(&mut self.random)
    }

    /// An edge sends.
    pub fn send_up(&mut self, stream: StreamId, message: FromEdge) {
        let (now, delay) = (self.now, self.message_delay());
        let Some(known) = self.network.streams.get_mut(&stream) else {
            return;
        };
        if self.network.cut.get(known.edge).is_some_and(|cut| cut.0) {
            return known.up.held.push(message);
        }
        let at = known.up.arrival(now, delay);
        self.put(at.saturating_sub(now), Event::ToReplica(stream, message));
    }

    /// The replica sends; a forging one sends something else.
    pub fn send_down(&mut self, stream: StreamId, message: ToEdge) {
        let mut messages = vec![message];
        if !self.calm && self.random.permille(self.plan.rates.forge) {
            self.forge(stream, &mut messages);
        }
        for message in messages {
            let (now, delay) = (self.now, self.message_delay());
            let Some(known) = self.network.streams.get_mut(&stream) else {
                return;
            };
            if self.network.cut.get(known.edge).is_some_and(|cut| cut.1) {
                known.down.held.push(message);
                continue;
            }
            let at = known.down.arrival(now, delay);
            self.put(at.saturating_sub(now), Event::ToEdge(stream, message));
        }
    }

    fn forge(&mut self, stream: StreamId, messages: &mut Vec<ToEdge>) {
        let Some(Some(first)) = messages.first().map(|first| first.message.clone()) else {
            return;
        };
        let how = self.random.below(4);
        let fault = match first {
            To::Delivery(delivery) if how == 0 => {
                let twice = messages.first().cloned();
                messages.extend(twice);
                drop(delivery);
                Fault::ForgedDuplicate
            }
            To::Delivery(_) if how == 1 => {
                messages.clear();
                Fault::ForgedDrop
            }
            To::Delivery(_) if how == 2 => {
                // It comes after the next one.
                self.held_back.insert(stream, std::mem::take(messages));
                Fault::ForgedReorder
            }
            To::Delivery(mut delivery) => {
                let mut entry = delivery.entry.to_vec();
                let at = self.random.index(entry.len());
                if let Some(byte) = entry.get_mut(at) {
                    *byte ^= 1;
                }
                delivery.entry = Bytes::from(entry);
                *messages = vec![ToEdge {
                    message: Some(To::Delivery(delivery)),
                }];
                Fault::ForgedAltered
            }
            To::Welcome(mut welcome) if !welcome.reset => {
                let start = welcome.start.get_or_insert_with(message::Position::default);
                start.epoch += 1 + self.random.below(3);
                *messages = vec![ToEdge {
                    message: Some(To::Welcome(welcome)),
                }];
                Fault::ForgedStart
            }
            _ => return,
        };
        self.fault(fault);
        self.tell("forged", &[stream], || {
            format!("stream {stream}: {}", fault.name())
        });
        if fault != Fault::ForgedReorder
            && let Some(late) = self.held_back.remove(&stream)
        {
            messages.extend(late);
        }
    }

    /// An edge closes its end of a stream: the replica hears of it behind what was sent, if it hears of it.
    pub fn close_from_edge(&mut self, stream: StreamId) {
        let (now, delay) = (self.now, self.message_delay());
        let Some(known) = self.network.streams.get_mut(&stream) else {
            return;
        };
        if self.network.cut.get(known.edge).is_some_and(|cut| cut.0) {
            return;
        }
        let at = known.up.arrival(now, delay);
        self.put(at.saturating_sub(now), Event::ReplicaNotices(stream));
    }
}
