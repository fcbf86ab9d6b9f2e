//! Looking addresses up in files of both schemas, and replacing the files.

#![allow(clippy::unwrap_used)] // the helpers of tests too

use latencify_conf::Point;
use latencify_geoip::{GeoIp, GeoIpError, Place, Reload};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn open(names: &[&str]) -> GeoIp {
    GeoIp::open(&names.iter().map(|name| fixture(name)).collect::<Vec<_>>()).unwrap()
}

fn check(geoip: &GeoIp, address: &str, expected: Option<(&str, &str)>) {
    let place = geoip.lookup(address.parse().unwrap());
    let said = place.as_ref().map(|place| {
        (
            place.country.as_ref().unwrap().as_str(),
            place.city.as_deref().unwrap(),
        )
    });
    assert_eq!(said, expected, "{address} in {geoip:?}");
}

#[test]
fn both_schemas_give_the_same_places() {
    for name in ["loopback.mmdb", "loopback-flat.mmdb"] {
        let geoip = open(&[name]);
        check(&geoip, "127.10.0.1", Some(("FR", "Paris")));
        check(&geoip, "127.10.255.255", Some(("FR", "Paris")));
        check(&geoip, "127.20.3.4", Some(("JP", "Tokyo")));
        check(&geoip, "127.30.0.9", Some(("US", "New York")));
        check(&geoip, "::1", Some(("FR", "Paris")));
        check(&geoip, "::ffff:127.20.0.1", Some(("JP", "Tokyo")));
        check(&geoip, "127.0.0.1", None);
        check(&geoip, "192.0.2.1", None);
        check(&geoip, "2001:db8::1", None);
        assert_eq!(geoip.failures(), 0);
    }
}

#[test]
fn coordinates_are_read_as_either_width_of_float() {
    for name in ["loopback.mmdb", "loopback-flat.mmdb"] {
        let place = open(&[name]).lookup("127.30.0.1".parse().unwrap());
        let Some(Place {
            point: Some(Point {
                latitude,
                longitude,
            }),
            ..
        }) = place
        else {
            panic!("{name}: {place:?}");
        };
        assert!((latitude - 40.7128).abs() < 1e-4, "{name}: {latitude}");
        assert!((longitude + 74.0060).abs() < 1e-4, "{name}: {longitude}");
    }
}

#[test]
fn a_file_of_ipv4_knows_no_ipv6_address_and_leaves_it_to_the_next() {
    let alone = open(&["loopback-flat-v4.mmdb"]);
    check(&alone, "127.10.0.1", Some(("FR", "Paris")));
    check(&alone, "::1", None);
    let both = open(&["loopback-flat-v4.mmdb", "loopback.mmdb"]);
    check(&both, "127.10.0.1", Some(("FR", "Paris")));
    check(&both, "::1", Some(("FR", "Paris")));
}

#[test]
fn without_files_no_place_is_known() {
    check(&open(&[]), "127.10.0.1", None);
}

#[test]
fn a_file_that_is_missing_or_not_mmdb_is_named_with_the_remedy() {
    let missing = GeoIp::open(&[fixture("absent.mmdb")]).unwrap_err();
    assert!(
        matches!(missing, GeoIpError::Unreadable { .. }),
        "{missing}"
    );
    assert!(missing.to_string().contains("absent.mmdb"), "{missing}");
    let wrong = GeoIp::open(&[fixture("make.py")]).unwrap_err();
    assert!(matches!(wrong, GeoIpError::NotMmdb { .. }), "{wrong}");
    assert!(wrong.to_string().contains("make.py"), "{wrong}");
}

/// Puts a file in another's place as set-up does: written beside it, then renamed.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[test]
fn a_replaced_file_is_obeyed_after_a_reload_and_a_broken_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("places.mmdb");
    replace(&path, &fs::read(fixture("loopback-flat-v4.mmdb")).unwrap());
    let geoip = GeoIp::open(std::slice::from_ref(&path)).unwrap();
    check(&geoip, "::1", None);
    assert_eq!(geoip.reload_if_changed().unwrap(), Reload::Unchanged);

    replace(&path, &fs::read(fixture("loopback.mmdb")).unwrap());
    check(&geoip, "::1", None);
    assert_eq!(geoip.reload_if_changed().unwrap(), Reload::Reloaded);
    check(&geoip, "::1", Some(("FR", "Paris")));

    replace(&path, b"half a download");
    geoip.reload_if_changed().unwrap_err();
    check(&geoip, "::1", Some(("FR", "Paris")));
    fs::remove_file(&path).unwrap();
    geoip.reload_if_changed().unwrap_err();
    check(&geoip, "::1", Some(("FR", "Paris")));
}
