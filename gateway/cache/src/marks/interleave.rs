//! Tests only: lets another "thread" run at the two points where the order of steps matters.

use std::cell::RefCell;

/// Between which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    /// A change is published, and the counter not bumped yet.
    PublishAndBump,
    /// The marks were looked at, and the verdict not remembered yet.
    LookAndRemember,
}

type Act = Box<dyn FnOnce()>;

thread_local! {
    static ACT: RefCell<Option<(Between, Act)>> = const { RefCell::new(None) };
}

/// When this thread next comes between these steps, `act` runs, once.
pub(crate) fn once(between: Between, act: impl FnOnce() + 'static) {
    ACT.set(Some((between, Box::new(act))));
}

pub(super) fn reach(between: Between) {
    if ACT.with_borrow(|act| act.as_ref().is_some_and(|(wanted, _)| *wanted == between))
        && let Some((_, act)) = ACT.take()
    {
        act();
    }
}
