//! What lies in the store of the fleet's own certificates: the CA, invitations, what was issued, what was taken back.

mod authorities;
mod invitations;
mod issued;
pub mod revoked;

pub use invitations::Invitation;
