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
//! - `who_stopped_is_gone`: no entry makes a process a member again that left by itself.
//! - `true_receipts`: who is said to have acked obeys, and has saved it if its acks say so.
//! - `true_fences`: who counts as fenced holds no lease, or obeys all that the fence is about.
//! - `kept_marks`: an edge goes on from what it had claimed to have saved, unless its disk took harm; and then from the truth.
//! - `convergence`, `writes_are_answered`, `receipts_complete`, `edges_return`: a while after the last fault all is well.
//!
//! # What is not simulated
//! - Names of a purge resolved over several policies, bundles and their fetch, content events, the API and its tokens.
//! - Replicas with stores of their own beside each other, which the shipped control refuses, or on a shared database, which there is
//!   not. Several runs on copies of one data folder are simulated.
//! - What edges said last (`SaidByEdges`), `Connections` and `Tail` are models: they are made of locks, channels and a store.
//! - Entries that a replica can't read, logs that lost what the store has folded, and the refusals to start on those.
//! - Clocks that run at different speeds, and machines that stand still together with their clocks.
//! - The handover between two processes of one edge, and two processes in one folder.
//! - The disk's snapshot and journal are written in one piece or not at all but for the last line; sectors do not swap. Bits flip while
//!   the edge is down. The disk tier of the cache does not exist here.
//! - Memory that runs out, bodies longer than a few kilobytes, Pingora, sockets, TLS.
//!
//! # Characters
//! - [`Plan`](plan::Plan): what a seed makes of a world. [`World`](world::World): all that is, and the loop.
//! - [`control`]: a replica over a [`log`]. [`edge`]: an edge. [`origin`], [`writer`]: who changes and who purges.
//! - [`network`], [`weather`]: what is between them, and what goes wrong. [`faults`]: its names.
//! - [`Oracle`](oracle::Oracle): what must be true. [`judge`]: when that is asked. [`lies`]: whether it is.
//!
//! One seed, one history: no thread, no clock, no map whose order is chance.

pub mod breaks;
pub mod calm;
pub mod control;
pub mod disk;
pub mod edge;
pub mod event;
pub mod faults;
pub mod focus;
pub mod happening;
pub mod judge;
pub mod lies;
pub mod log;
pub mod many;
pub mod network;
pub mod oracle;
pub mod origin;
pub mod plan;
pub mod queue;
pub mod random;
pub mod rules;
pub mod saving;
pub mod trace;
pub mod weather;
pub mod world;
pub mod writer;
