//! How far the marks may be trusted: an edge that is cut off may lack some.

use crate::liveness::{Death, Liveness};

/// When a request came, in the order in which fetches begin. Taken once, before anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Arrival(pub(crate) u64);

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

impl Trust {
    /// Whether what a fetch of that generation brought may be used as it is, as far as isolation decides.
    pub fn allows(self, generation: u64) -> bool {
        match self {
            Self::Marks => true,
            Self::Isolated(Arrival(arrival)) => generation > arrival,
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
