//! The contract between operator, control and gateway. Pure: no I/O, no tokio, no sibling crate.
//!
//! - [`document`]: a policy as it is written (YAML), and its published JSON Schema;
//! - [`validate`]: from what is written to what is obeyed, reporting every error at once;
//! - [`policy`]: the policy as it is obeyed;
//! - [`diff`]: what differs between two policies as obeyed;
//! - [`bundle`]: the files of a policy as they travel, and their digest;
//! - [`change`]: the entries of the change log, their positions and the marks that purges make;
//! - [`link`]: the messages between control and edge, the hash chain, and both ends as state machines;
//! - [`event`]: content events as they arrive (CloudEvents 1.0);
//! - [`record`]: access records as they leave;
//! - [`api`]: the bodies of the control API;
//! - [`path`]: the normal form of a request path, which keys, marks and matches agree on.

pub mod api;
pub mod bundle;
pub mod change;
pub mod diff;
pub mod digest;
pub mod document;
pub mod event;
pub mod link;
pub mod path;
pub mod policy;
pub mod record;
pub mod validate;

/// Coordinates of a place on Earth, in degrees.
#[derive(
    Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Degrees north, −90 to 90.
    pub latitude: f64,
    /// Degrees east, −180 to 180.
    pub longitude: f64,
}
