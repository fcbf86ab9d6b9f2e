//! `latencify geo`, and the MMDB files that are used when none is named.

use crate::{args::Geo, failure::Failure, output::Output};
use latencify_geoip::{GeoIp, Place};
use serde::Serialize;
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The answer.
#[derive(Serialize)]
struct Answer {
    address: IpAddr,
    known: bool,
    country: Option<String>,
    city: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    files: Vec<PathBuf>,
}

/// Says where an address is; exit 1 when no file knows it.
pub fn run(args: &Geo, output: &Output) -> Result<(), Failure> {
    let files = files(&args.geoip);
    if files.is_empty() {
        return Err(
            Failure::failed(format!("no GeoIP data in {}", installed().display()))
                .with_help("fetch it with `make setup`, or name an MMDB file with --geoip FILE"),
        );
    }
    let place = open(&files)?.lookup(args.address);
    let known = place.is_some();
    let place = place.unwrap_or_default();
    let answer = Answer {
        address: args.address,
        known,
        country: place.country.map(|country| country.to_string()),
        city: place.city.clone(),
        latitude: place.point.map(|point| point.latitude),
        longitude: place.point.map(|point| point.longitude),
        files,
    };
    output.answer(&answer, |answer| {
        if known {
            in_words(&place)
        } else {
            format!("no file knows {}", answer.address)
        }
    })?;
    if known {
        Ok(())
    } else {
        Err(Failure::Answered)
    }
}

/// `Paris, FR (48.86, 2.35)`.
fn in_words(place: &Place) -> String {
    let names: Vec<String> = place
        .city
        .clone()
        .into_iter()
        .chain(place.country.map(|country| country.to_string()))
        .collect();
    let names = if names.is_empty() {
        "unnamed".to_owned()
    } else {
        names.join(", ")
    };
    match place.point {
        Some(point) => format!("{names} ({:.2}, {:.2})", point.latitude, point.longitude),
        None => names,
    }
}

/// Opens MMDB files; none at all is fine, then no place is known.
pub fn open(files: &[PathBuf]) -> Result<GeoIp, Failure> {
    GeoIp::open(files).map_err(|error| Failure::failed(error.to_string()))
}

/// The files that were named, else those that set-up has installed.
pub fn files(named: &[PathBuf]) -> Vec<PathBuf> {
    if named.is_empty() {
        mmdb_in(&installed())
    } else {
        named.to_vec()
    }
}

fn installed() -> PathBuf {
    crate::dev::cache_folder().join("geoip")
}

fn mmdb_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "mmdb"))
        .collect();
    files.sort();
    files
}
