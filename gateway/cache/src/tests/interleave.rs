//! Lets another "thread" run between two steps of the engine, and breaks one rule at a time.

use crate::rules::{Point, Rules};
use std::cell::RefCell;

type Act = Box<dyn FnOnce()>;

thread_local! {
    static ACT: RefCell<Option<(Point, Act)>> = const { RefCell::new(None) };
}

/// All rules are kept, and [`once`] is heard.
pub(super) struct Interleaved;

impl Rules for Interleaved {
    fn reach(point: Point) {
        reach(point);
    }
}

/// When this thread next comes between these steps, `act` runs, once.
pub(super) fn once(point: Point, act: impl FnOnce() + 'static) {
    ACT.set(Some((point, Box::new(act))));
}

pub(super) fn reach(point: Point) {
    if ACT.with_borrow(|act| act.as_ref().is_some_and(|(wanted, _)| *wanted == point))
        && let Some((_, act)) = ACT.take()
    {
        act();
    }
}
