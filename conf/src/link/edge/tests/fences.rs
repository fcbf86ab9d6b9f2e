//! The argument of [`isolation`](super::super::isolation), tried: both ends over a network that delays, stalls and breaks, an
//! edge that is stopped and obeys slowly. Whatever control may have called fenced, an edge that is not isolated obeys.

use super::*;
use crate::link::replica::{Accepted, Action as Answer, Admission, Replica, Terms};

const LEASE_MS: u64 = 1_000;
const STEPS: usize = 3_000;

struct World {
    log: Log,
    random: u64,
    now: Duration,
    link: EdgeLink,
    replica: Option<Replica>,
    to_edge: VecDeque<(Duration, message::ToEdge)>,
    to_control: VecDeque<(Duration, message::FromEdge)>,
    /// Verified, and not applied yet.
    slow: VecDeque<Position>,
    /// Nothing passes until then.
    stalled_until: Duration,
    /// The edge's process does not run until then.
    stopped_until: Duration,
    /// Entries of the log by now.
    head: usize,
    answered_at: Duration,
    /// Every purge up to here was called fenced, or acked.
    promised: Epoch,
    /// How often it was so, and how often stored objects were used.
    fences: usize,
    uses: usize,
}

impl World {
    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.random().is_multiple_of(one_in)
    }

    fn some(&mut self, most_ms: u64) -> Duration {
        Duration::from_millis(self.random() % most_ms)
    }

    fn send_to_control(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(message) => {
                    let due = self.now + self.some(60);
                    self.to_control.push_back((due, message));
                }
                Action::Reset { start } => self.slow.push_back(start),
                Action::Apply { position, .. } => self.slow.push_back(position),
                Action::Target(_) => {}
                Action::Disconnect(_) => return self.break_off(),
            }
        }
    }

    fn break_off(&mut self) {
        self.link.disconnected();
        self.replica = None;
        self.to_edge.clear();
        self.to_control.clear();
        self.slow.clear();
    }

    fn control(&mut self) {
        while let Some((_, message)) = self
            .to_control
            .pop_front_if(|(due, _)| *due <= self.now && self.stalled_until <= self.now)
        {
            if matches!(message.message, Some(From::Heartbeat(_))) {
                self.answered_at = self.now;
            }
            let head = self.log.positions[self.head];
            let Some(replica) = &mut self.replica else {
                return;
            };
            let mut answers = replica.receive(message, head.epoch);
            if let [Answer::Admit(peer)] = &answers[..] {
                answers = replica.admit(Admission {
                    head,
                    known: peer.position,
                    target: None,
                });
            }
            for answer in answers {
                match answer {
                    Answer::Send(message) => {
                        let due = self.now + self.some(60);
                        self.to_edge.push_back((due, message));
                    }
                    Answer::Acked(epoch) => self.promised = self.promised.max(epoch),
                    Answer::End(end) => panic!("{end:?}"),
                    _ => {}
                }
            }
        }
        if self.head + 1 < self.log.positions.len() && self.chance(20) {
            self.head += 1;
        }
        self.deliver();
        if self.now > self.answered_at + Duration::from_millis(LEASE_MS) {
            let head = self.log.positions[self.head].epoch;
            self.fences += usize::from(head > self.promised);
            self.promised = self.promised.max(head);
        }
    }

    fn deliver(&mut self) {
        let sent = self.replica.as_ref().and_then(Replica::sent);
        let Some(sent) = sent.filter(|_| self.chance(4)) else {
            return;
        };
        let at = self
            .log
            .positions
            .iter()
            .position(|at| *at == sent)
            .unwrap();
        if at == self.head {
            return;
        }
        let accepted = Accepted {
            previous: sent,
            position: self.log.positions[at + 1],
            entry: self.log.entries[at].clone(),
        };
        let due = self.now + self.some(60);
        for answer in self.replica.as_mut().unwrap().deliver(&accepted) {
            if let Answer::Send(message) = answer {
                self.to_edge.push_back((due, message));
            }
        }
    }

    fn edge(&mut self) {
        if self.stopped_until > self.now {
            return;
        }
        // It wakes up, and a request is there before anything of control's is read.
        self.request();
        while let Some((_, message)) = self
            .to_edge
            .pop_front_if(|(due, _)| *due <= self.now && self.stalled_until <= self.now)
        {
            let actions = self.link.receive(message, self.now);
            self.send_to_control(actions);
            self.request();
        }
        if self.chance(3)
            && let Some(position) = self.slow.pop_front()
        {
            let actions = self.link.applied(&position);
            self.send_to_control(actions);
        }
        self.request();
        let actions = self.link.tick(self.now);
        self.send_to_control(actions);
        self.request();
    }

    /// May stored objects be used? Then nothing that was promised may be missing.
    fn request(&mut self) {
        if self.link.isolation(self.now).is_none() {
            let obeyed = self.link.obeyed().unwrap().epoch;
            assert!(
                obeyed >= self.promised,
                "at {:?} the edge obeys {obeyed}, and {} was promised",
                self.now,
                self.promised
            );
            self.uses += 1;
        }
    }

    fn faults(&mut self) {
        if self.replica.is_none() {
            if self.chance(5) {
                self.replica = Some(Replica::new(Terms {
                    lease_ms: LEASE_MS as u32,
                    heartbeat_ms: LEASE_MS as u32 / 5,
                    replica: "one".into(),
                }));
                let actions = self.link.connected(self.now);
                self.send_to_control(actions);
            }
        } else if self.chance(200) {
            self.break_off();
        }
        if self.chance(150) {
            self.stalled_until = self.now + self.some(2 * LEASE_MS);
        }
        if self.chance(150) {
            self.stopped_until = self.now + self.some(3 * LEASE_MS);
        }
    }
}

#[test]
fn whatever_is_fenced_an_edge_that_is_not_isolated_obeys() {
    let (mut fences, mut uses) = (0, 0);
    for seed in 0..40 {
        let mut world = World {
            log: Log::new(1, 100),
            random: seed,
            now: Duration::ZERO,
            link: new_link(),
            replica: None,
            to_edge: VecDeque::new(),
            to_control: VecDeque::new(),
            slow: VecDeque::new(),
            stalled_until: Duration::ZERO,
            stopped_until: Duration::ZERO,
            head: 0,
            answered_at: Duration::ZERO,
            promised: Epoch(0),
            fences: 0,
            uses: 0,
        };
        for _ in 0..STEPS {
            let step = world.some(20);
            world.now += step;
            world.faults();
            world.control();
            world.edge();
        }
        fences += world.fences;
        uses += world.uses;
    }
    assert!(
        fences > 200 && uses > 10_000,
        "{fences} fences, {uses} uses: not much was tried"
    );
}
