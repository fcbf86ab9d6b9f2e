//! A fleet in one thread, on a clock that is turned by hand: control, edges, clients and writers, with everything going wrong that a
//! seed says, and the questions that must be answered right all the same.
//!
//! # What is shipped and what is a model
//! Shipped, and driven, not copied: both ends of the link and its messages (`conf::link`), the driver that publishes, obeys and
//! acks (`gateway::fleet::obey`), the fold with its state and chain, admission, lease bookkeeping and the judgement of receipts
//! (`control`), the cache engine: marks, index, fills, followers, validations, fill lock, eviction (`cache`), and the verdict on
//! reuse (`decide`). Models: streams, clocks, disks and their transactions, the broker, the origin, clients and writers; and the
//! order in which a session, or a phase of a request, calls what is shipped.
//!
//! # What must be true
//! - `receipt`: a request sent after a hard purge's receipt was complete gets nothing older than what the origin had when the log
//!   took the purge. On `serve`, an edge that is isolated is left out: its receipts are not complete.
//! - `obeyed_purge`, `floor`: what is given out of the store obeys every purge that the edge obeyed, and the last floor.
//! - `nothing_goes_back`: what is found is no older than the origin was when the fetch of something found before began.
//! - `exactly_once`, `order_of_writes`, `equal_folds`, `true_history`, `equal_policies`, `equal_marks`: the log means one thing.
//! - `true_receipts`: who is said to have acked obeys, and has saved it if its acks say so.
//! - `convergence`, `writes_are_answered`, `receipts_complete`, `edges_return`: a while after the last fault all is well.
//!
//! # What is not simulated
//! Names of a purge resolved over several policies, bundles, two replicas at once (the shipped control refuses that without a shared
//! database), clocks that run at different speeds, the files of saved marks, bodies longer than a few kilobytes.
//!
//! # Characters
//! - [`Plan`](plan::Plan): what a seed makes of a world. [`World`](world::World): all that is, and the loop.
//! - [`control`]: a replica over a [`log`]. [`edge`]: an edge. [`origin`], [`writer`]: who changes and who purges.
//! - [`network`], [`weather`]: what is between them, and what goes wrong. [`faults`]: its names.
//! - [`Oracle`](oracle::Oracle): what must be true. [`judge`]: when that is asked.
//!
//! One seed, one history: no thread, no clock, no map whose order is chance.

pub mod control;
pub mod edge;
pub mod event;
pub mod faults;
pub mod judge;
pub mod log;
pub mod many;
pub mod network;
pub mod oracle;
pub mod origin;
pub mod plan;
pub mod queue;
pub mod random;
pub mod rules;
pub mod trace;
pub mod weather;
pub mod world;
pub mod writer;
