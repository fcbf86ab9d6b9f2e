//! The cache engine, without a proxy around it.

pub mod clock;
pub mod identity;
pub mod liveness;
pub mod marks;
pub mod record;
pub mod stamp;

pub use clock::{Clock, ManualClock, SteadyClock};
pub use identity::Identity;
pub use liveness::{Checked, Death, Liveness};
pub use marks::{Marks, MarksCount};
pub use record::{Metadata, Record};
pub use stamp::{Fetch, Newest, Stamp};
