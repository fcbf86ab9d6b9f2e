//! The cache engine, without a proxy around it. No I/O, no clock of its own, no task of its own.
//!
//! # Dramatis personae
//! - [`Marks`]: what purges leave behind, and what this edge obeys. The fleet link and PURGE write; look-ups read.
//! - [`Fetch`]: the [`Stamp`] and generation that a fetch takes with it *before* the origin is asked. Everything that follows
//!   from "when was this fetched" follows from it.
//! - [`Record`]: one version of an object's metadata: its [`Identity`] (what purges can name), its fetch, the verdict it was last
//!   given ([`Checked`]), and whatever the owner keeps (`M`).
//! - [`Cache`]: the objects by key ([`index`]), their bytes ([`Budget`](budget::Budget)), and the bodies under way.
//! - [`Writer`]: brings one body; followers read it meanwhile ([`stream`]).
//! - [`Sweep`]: goes over everything that is stored, a little at a time, takes out what is dead, and proves which marks
//!   nothing needs any more.
//! - [`Trust`]: what a request may believe, given that an edge that is cut off may lack marks; [`Arrival`]: when it came, and by a
//!   policy of which [`History`].
//! - [`Slots`](slots::Slots): who fetches and who waits. [`HitForMiss`](hit_for_miss::HitForMiss): where nobody waits.
//!
//! # The play
//! 1. A request looks up: [`Cache::find`]. The newest object or open fill of the key is offered, the marks are asked (unless
//!    their counter stands where it stood at the last verdict), and what is dead is taken out and not found.
//! 2. Nothing found: the request leads a fetch or waits for it. The fetch covers the marks that the edge had seen when it was
//!    led, so a reader of after a purge never waits for a fetch of before it.
//! 3. Before the origin is asked, [`Cache::begin_fetch_for`]. With the header, [`Cache::fill`]; whoever looks up now follows the fill.
//! 4. At the end, [`Writer::finish`]: stored, unless it is dead, or a later fetch brought its answer first.
//! 5. A validation takes a fetch of its own; its 304 puts new metadata, with the validation's stamp, to the same body
//!    ([`Cache::revalidate`]).
//! 6. A purge publishes a mark and bumps the counter. Its cost does not grow with the number of objects.
//! 7. Whoever serves something stale asks the marks, and the trust, once more: [`Cache::ask_before_stale`].
//! 8. What is evicted while it is read lingers; slow readers lose it when its memory is needed ([`LINGER_SHARE`]).
//! 9. A sweep settles what lives, and the marks of before it are forgotten ([`marks`]). Too many of them become wider ones.
//! 10. What a slower tier has comes back into memory with the stamp of then: [`Cache::begin_promotion`].
//! 11. Marks are written down and read again ([`MarksSnapshot`]): what was stored before a stop is judged as before it.
//!
//! Which of these rules are kept is a type ([`rules`]): what ships keeps all; a simulation breaks one at a time.
//!
//! # What was rejected
//! - Deleting objects at a purge: costs as much as there are objects, and a fill under way brings the old one back.
//! - Marks by time: clocks of edges and origins disagree; the order of the log does not.
//! - Checking only when an object is stored: a purge between the check and the store would be lost. Look-ups check.

mod body;
pub mod budget;
mod cache;
mod clock;
mod count;
mod filling;
pub mod hit_for_miss;
mod identity;
pub mod index;
mod key;
mod linger;
mod liveness;
mod look;
pub mod marks;
mod name;
mod object;
mod pass;
mod promote;
mod record;
mod refusal;
pub mod rules;
pub mod slots;
mod stamp;
pub mod stream;
mod sweep;
mod trust;
mod writer;

pub use body::{Body, BodyReader, OutOfRange, WHOLE_BYTES_MAX};
pub use cache::{Cache, Expectation, OBJECT_OVERHEAD_BYTES, OBJECT_SHARE, UNSTORABLE_PERIOD};
pub use clock::{Clock, ManualClock, SteadyClock};
pub use count::CacheCount;
pub use filling::{FILLING_SHARE, LAG_BYTES_MAX};
pub use identity::{Identified, Identity, TAGS_MAX};
pub use index::Eviction;
pub use key::{Key, KeyRef, Variance};
pub use linger::{LINGER_GRACE, LINGER_RATE, LINGER_SHARE};
pub use liveness::{Checked, Death, Liveness};
pub use look::{Found, Judged};
pub use marks::{
    Earlier, Fetching, Held, History, KeptRound, LocalMark, LocalMarks, MarkBounds, Marks,
    MarksCount, MarksSnapshot, SnapshotError, number_at,
};
pub use object::{Fill, Object, Reader};
pub use promote::Promotion;
pub use record::{Metadata, Record};
pub use refusal::Refusal;
pub use stamp::{Fetch, Newest, Stamp};
pub use sweep::{Sweep, Swept};
pub use trust::{Arrival, StaleRefusal, Trust};
pub use writer::{Abandoned, Writer};

#[cfg(test)]
mod tests;
