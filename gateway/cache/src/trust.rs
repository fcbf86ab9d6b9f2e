//! How far the marks may be trusted: an edge that is cut off may lack some.

use crate::{
    liveness::{Death, Liveness},
    marks::History,
};

/// When a request came, in the order in which fetches begin, and by a policy of which history it is decided. Taken once, before
/// anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    pub(crate) generation: u64,
    pub(crate) history: History,
}

/// What a request may believe at the moment when it looks something up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// The marks: what they let live may be used.
    #[default]
    Marks,
    /// The edge is isolated, and purges may be missing: only what began to be fetched, or validated, after the request
    /// came may be used as it is.
    Isolated(Arrival),
}

/// Why something stale that was found may not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleRefusal {
    /// It is dead by now.
    Dead(Death),
    /// The edge is isolated, and it was fetched before the request came.
    Isolated,
}

impl Arrival {
    /// The history that the request's policy is of.
    pub fn history(self) -> History {
        self.history
    }
}

impl Trust {
    /// Whether what a fetch of that generation brought may be used as it is, as far as isolation decides.
    pub fn allows(self, generation: u64) -> bool {
        match self {
            Self::Marks => true,
            Self::Isolated(arrival) => generation > arrival.generation,
        }
    }
}

impl StaleRefusal {
    /// The stable name, as records and metrics show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dead(death) => death.name(),
            Self::Isolated => "isolated",
        }
    }
}

impl From<Liveness> for Result<Liveness, StaleRefusal> {
    fn from(liveness: Liveness) -> Self {
        match liveness {
            Liveness::Dead(death) => Err(StaleRefusal::Dead(death)),
            alive => Ok(alive),
        }
    }
}
