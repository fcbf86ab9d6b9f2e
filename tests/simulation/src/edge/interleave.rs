//! Other threads of an edge come between two steps of one: the engine says where it stands, and somebody does something there.
//! What can't be done there, because the thread that is interrupted is the one that would, is a look-up instead.

use crate::{
    event::Run,
    faults::Fault,
    origin::{OBJECTS, Object},
    random::Random,
};
use latencify_cache::rules::Point;
use latencify_conf::change::Position;
use latencify_gateway::fleet::obey::Outcome;
use std::{cell::RefCell, io};

/// What another thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It looks an object up.
    Look,
    /// An unsafe method purges one.
    Purge,
    /// The session reads what has arrived: it purges, obeys and trusts as the log says.
    Turn,
    /// The marks start over on another log, and go home at the end.
    Reset,
    /// The sweep makes a step.
    Sweep,
    /// The marks are saved.
    Save,
    /// A fetch or a validation begins, or ends and is stored, whatever must go for it.
    Fill,
}

/// Who can do that.
pub trait Others {
    /// Does it about an object. False: it can't be done here.
    fn act(&mut self, act: Act, object: Object, random: &mut Random, done: &mut Done) -> bool;
    /// The thread that was interrupted is at its end.
    fn go_home(&mut self, done: &mut Done);
}

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// In which run of the program.
    pub run: Option<Run>,
    /// How often each act was done.
    acts: [u64; Act::ALL.len()],
    /// These were purged.
    pub purged: Vec<Object>,
    /// What the session wants carried out.
    pub outcomes: Vec<Outcome>,
    /// Everything that was stored became unusable.
    pub has_reset: bool,
    /// What came of saving the marks.
    pub saved: Vec<io::Result<Option<Position>>>,
    /// Bodies of these came on.
    pub arrived: Vec<Object>,
}

struct Scene {
    others: Box<dyn Others>,
    random: Random,
    permille: u64,
    about: Option<Object>,
    done: Done,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Look,
        Self::Purge,
        Self::Turn,
        Self::Reset,
        Self::Sweep,
        Self::Save,
        Self::Fill,
    ];

    /// As it is counted.
    pub fn fault(self) -> Fault {
        match self {
            Self::Look | Self::Purge => Fault::Interleaved,
            Self::Turn => Fault::InterleavedTurn,
            Self::Reset => Fault::InterleavedReset,
            Self::Sweep => Fault::InterleavedSweep,
            Self::Save => Fault::InterleavedSave,
            Self::Fill => Fault::InterleavedFill,
        }
    }

    /// One that fits where the engine stands.
    fn draw(point: Point, random: &mut Random) -> Self {
        // A purge hurts most where a verdict is about to be remembered, and catching up where one is about to be trusted.
        let (purges, turns) = match point {
            Point::LookAndRemember => (400, 100),
            Point::TrustAndLook => (50, 500),
            _ => (100, 100),
        };
        let weighed = [
            (Self::Purge, purges),
            (Self::Turn, turns),
            (Self::Reset, 5),
            (Self::Sweep, 60),
            (Self::Save, 30),
            (Self::Fill, 120),
        ];
        let mut drawn = random.below(1000);
        for (act, weight) in weighed {
            if drawn < weight {
                return act;
            }
            drawn -= weight;
        }
        Self::Look
    }
}

impl Done {
    /// What was done how often.
    pub fn acts(&self) -> impl Iterator<Item = (Act, u64)> {
        Act::ALL.into_iter().zip(self.acts)
    }
}

/// From here on others may come between the steps of this edge.
pub fn begin(others: Box<dyn Others>, random: Random, permille: u64) {
    let scene = Scene {
        others,
        random,
        permille,
        about: None,
        done: Done::default(),
    };
    SCENE.set(Some(scene));
}

/// Nobody comes between any more.
pub fn end() -> Done {
    SCENE.take().map_or_else(Done::default, |mut scene| {
        scene.others.go_home(&mut scene.done);
        scene.done
    })
}

/// What follows is about this object: others are more likely to meet it.
pub fn about(object: Object) {
    SCENE.with_borrow_mut(|scene| {
        if let Some(scene) = scene {
            scene.about = Some(object);
        }
    });
}

/// The engine stands between two steps.
pub fn reach(point: Point) {
    // Taken out meanwhile, so that nobody comes between those who come between.
    let Some(mut scene) = SCENE.take() else {
        return;
    };
    if scene.random.permille(scene.permille) {
        let any = scene.random.index(OBJECTS);
        let same = scene.random.permille(700);
        let object = scene.about.filter(|_| same).unwrap_or(any);
        let mut act = Act::draw(point, &mut scene.random);
        let (random, done) = (&mut scene.random, &mut scene.done);
        if !scene.others.act(act, object, random, done) {
            act = Act::Look;
            scene.others.act(act, object, random, done);
        }
        if let Some(times) = done.acts.get_mut(act as usize) {
            *times += 1;
        }
    }
    SCENE.set(Some(scene));
}
