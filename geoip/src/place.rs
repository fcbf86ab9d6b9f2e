//! What is known of where an address is.

use latencify_conf::{Point, policy::Country};

/// Where an address is, as far as the files say. Databases of the GeoLite2 kind nest (`country.iso_code`,
/// `city.names.en`, `location.latitude`); those of the DB-IP kind are flat (`country_code`, `city`, `latitude`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Place {
    /// The country.
    pub country: Option<Country>,
    /// The city's English name, or whichever the file has.
    pub city: Option<String>,
    /// The coordinates; they are of the city or the country, not of the person.
    pub point: Option<Point>,
}
