//! From an address to a place, and the distance between places.
//!
//! [`GeoIp`] answers from MMDB files, which are mapped, not loaded, and read again when they are replaced. Both schemas
//! that are in use are understood (see [`Place`]), and IPv4 and IPv6 may lie in one file or in two.

mod distance;
mod file;
mod geoip;
mod place;
mod record;

pub use distance::distance_km;
pub use file::GeoIpError;
pub use geoip::{GeoIp, Reload};
pub use place::Place;
