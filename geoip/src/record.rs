//! One record of an MMDB file, in either schema.

use crate::Place;
use latencify_conf::Point;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// The fields of both schemas; what a file does not have stays empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    country: Named<'a>,
    #[serde(borrow)]
    registered_country: Named<'a>,
    #[serde(borrow)]
    city: Named<'a>,
    location: Location,
    #[serde(borrow)]
    country_code: Option<Cow<'a, str>>,
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
}

/// A country or city: a plain name or code in the flat schema, a map with `iso_code` and `names` in the nested one.
#[derive(Debug, Default)]
struct Named<'a> {
    plain: Option<Cow<'a, str>>,
    iso_code: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
}

impl Record<'_> {
    /// The place that the record tells of; values that make no sense are left out.
    pub(crate) fn place(&self) -> Place {
        let code = [
            &self.country.iso_code,
            &self.country_code,
            &self.country.plain,
            &self.registered_country.iso_code,
        ];
        let city = self.city.plain.as_deref().or(self.city.name.as_deref());
        Place {
            country: code
                .into_iter()
                .flatten()
                .find_map(|code| code.parse().ok()),
            city: city.filter(|city| !city.is_empty()).map(str::to_owned),
            point: point(
                self.location.latitude.or(self.latitude),
                self.location.longitude.or(self.longitude),
            ),
        }
    }
}

fn point(latitude: Option<Degrees>, longitude: Option<Degrees>) -> Option<Point> {
    let (Degrees(latitude), Degrees(longitude)) = (latitude?, longitude?);
    let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    on_earth.then_some(Point {
        latitude,
        longitude,
    })
}

/// An angle: a double in GeoLite2, a single float in DB-IP, an integer where a maker saved octets.
#[derive(Debug, Clone, Copy)]
struct Degrees(f64);

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DegreesVisitor)
    }
}

struct DegreesVisitor;

impl Visitor<'_> for DegreesVisitor {
    type Value = Degrees;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of degrees")
    }

    fn visit_f64<E>(self, degrees: f64) -> Result<Degrees, E> {
        Ok(Degrees(degrees))
    }

    fn visit_f32<E>(self, degrees: f32) -> Result<Degrees, E> {
        Ok(Degrees(degrees.into()))
    }

    fn visit_i64<E>(self, degrees: i64) -> Result<Degrees, E> {
        Ok(Degrees(degrees as f64))
    }

    fn visit_u64<E>(self, degrees: u64) -> Result<Degrees, E> {
        Ok(Degrees(degrees as f64))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamedVisitor)
    }
}

struct NamedVisitor;

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a map with `iso_code` or `names`")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Named {
            plain: Some(Cow::Borrowed(text)),
            ..Named::default()
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Named {
            plain: Some(Cow::Owned(text.to_owned())),
            ..Named::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut named = Named::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "iso_code" => named.iso_code = Some(map.next_value()?),
                "names" => named.name = map.next_value::<Names<'de>>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(named)
    }
}

/// The English name, else the first of any language.
struct Names<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Names<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of languages to names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut english, mut first) = (None, None);
        while let Some((language, name)) = map.next_entry::<Cow<'de, str>, Cow<'de, str>>()? {
            if language == "en" {
                english = Some(name);
            } else if first.is_none() {
                first = Some(name);
            }
        }
        Ok(Names(english.or(first)))
    }
}
