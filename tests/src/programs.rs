//! Where programs and files are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ has a parent")
        .to_owned()
}

/// Where set-up puts things.
pub fn cache_folder() -> PathBuf {
    env::var_os("LATENCIFY_CACHE").map_or_else(
        || PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache/latencify"),
        PathBuf::from,
    )
}

/// The synthetic places: 127.10/16 is Paris, 127.20/16 Tokyo, 127.30/16 New York.
pub fn geoip_fixture() -> PathBuf {
    repository().join("geoip/fixtures/loopback.mmdb")
}

/// One of our programs, built beside the running test: `target/debug/deps/TEST` → `target/debug/PROGRAM`.
///
/// # Panics
/// When it is not there: says how to build it.
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test has a path");
    let path = test
        .ancestors()
        .nth(2)
        .expect("a test lies in target/PROFILE/deps")
        .join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `make build` (cargo build --workspace --bins) with the same CARGO_TARGET_DIR",
        path.display()
    );
    path
}
