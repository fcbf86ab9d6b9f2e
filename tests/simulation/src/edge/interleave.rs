//! What other threads of an edge do between two steps of one: the engine says where it stands, and somebody looks something up
//! there, or an unsafe method purges.

use crate::{
    origin::{OBJECTS, Object},
    random::Random,
};
use latencify_cache::rules::Point;
use std::cell::RefCell;

/// What another thread may do.
pub trait Others {
    /// Looks an object up.
    fn look(&self, object: Object);
    /// Purges it, on this edge alone.
    fn purge(&self, object: Object);
}

struct Scene {
    others: Box<dyn Others>,
    random: Random,
    permille: u64,
    looks: u64,
    purged: Vec<Object>,
    about: Option<Object>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// So many look-ups came between.
    pub looks: u64,
    /// These were purged.
    pub purged: Vec<Object>,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

/// From here on others may come between the steps of this edge.
pub fn begin(others: Box<dyn Others>, random: Random, permille: u64) {
    let scene = Scene {
        others,
        random,
        permille,
        looks: 0,
        purged: Vec::new(),
        about: None,
    };
    SCENE.set(Some(scene));
}

/// Nobody comes between any more.
pub fn end() -> Done {
    SCENE.take().map_or_else(Done::default, |scene| Done {
        looks: scene.looks,
        purged: scene.purged,
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
        // A purge hurts most where a verdict is about to be remembered; within another change it would wait for it.
        let purges = match point {
            Point::PublishAndBump => 0,
            Point::LookAndRemember => 500,
            _ => 100,
        };
        if scene.random.permille(purges) {
            scene.others.purge(object);
            scene.purged.push(object);
        } else {
            scene.others.look(object);
            scene.looks += 1;
        }
    }
    SCENE.set(Some(scene));
}
