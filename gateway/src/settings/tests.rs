//! What an operator may type.

use super::*;

fn read(arguments: &[&str]) -> Result<Settings, String> {
    let words = [&["latencify-gateway"], arguments].concat();
    match Invocation::parse(words.into_iter().map(OsString::from)) {
        Ok(Invocation::Serve(settings)) => Ok(*settings),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn sizes_and_durations_are_human() {
    assert_eq!(size("256MiB"), Ok(256 << 20));
    assert_eq!(size("10MB"), Ok(10_000_000));
    for unitless in ["7", "many"] {
        assert!(size(unitless).is_err(), "{unitless}");
    }
    assert!(size("99999999999TiB").is_err());
    assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
    assert!(duration("5").is_err());
}

#[test]
fn evictions_have_names() {
    let alone = ["--policy", "p", "--http", "127.0.0.1:0"];
    assert_eq!(read(&alone).unwrap().cache_eviction, Eviction::S3Fifo);
    for way in Eviction::ALL {
        let flag = ["--cache-eviction", way.name()];
        let settings = read(&[&alone[..], &flag[..]].concat()).unwrap();
        assert_eq!(settings.cache_eviction, way);
    }
    let said = read(&[&alone[..], &["--cache-eviction", "mru"][..]].concat()).unwrap_err();
    assert!(said.contains("[possible values: s3-fifo, lru]"), "{said}");
}

#[test]
fn an_admin_address_that_others_reach_is_warned_of() {
    for (admin, is_open) in [
        ("127.0.0.1:0", false),
        ("[::1]:0", false),
        ("0.0.0.0:9180", true),
        ("10.0.0.7:9180", true),
    ] {
        let flags = ["--policy", "p", "--http", "127.0.0.1:0", "--admin", admin];
        let warning = read(&flags).unwrap().open_admin();
        assert_eq!(warning.is_some(), is_open, "{admin}");
        assert!(warning.is_none_or(|warning| warning.contains(admin)));
    }
}

#[test]
fn a_flag_without_effect_is_refused() {
    let alone = ["--policy", "p", "--http", "127.0.0.1:0", "--edge", "e"];
    assert!(read(&alone).is_ok(), "a name is no matter of fleets");
    for flag in [
        ["--when-isolated", "revalidate"],
        ["--acks", "saved"],
        ["--state", "/x"],
        ["--join-token-file", "/x"],
        ["--control-ca", "/x"],
    ] {
        let said = read(&[&alone[..], &flag[..]].concat()).unwrap_err();
        assert!(
            said.contains(flag[0]) && said.contains("--control URL"),
            "{said}"
        );
    }
}

#[test]
fn a_role_and_a_listener_are_needed() {
    assert!(
        read(&["--http", "127.0.0.1:0"])
            .unwrap_err()
            .contains("--policy")
    );
    assert!(
        read(&["--policy", "p.yaml"])
            .unwrap_err()
            .contains("--http")
    );
    let both = ["--policy", "p", "--control", "http://c"];
    assert!(read(&[&both[..], &["--http", "127.0.0.1:0"]].concat()).is_err());
    let listeners = ["--http", "[::1]:0", "--http", "127.0.0.1:0"];
    let settings = read(&[&["--policy", "p.yaml"], &listeners[..]].concat()).unwrap();
    assert_eq!(settings.http.len(), 2);
    assert!(matches!(settings.role, Role::Alone { .. }));
}

#[test]
fn a_disk_tier_is_asked_for_whole() {
    let alone = ["--policy", "p", "--http", "127.0.0.1:0"];
    let with = |flags: &[&str]| read(&[&alone[..], flags].concat());
    assert!(with(&[]).unwrap().disk.is_none());
    let disk = with(&["--disk", "/nowhere"]).unwrap().disk.unwrap();
    assert_eq!(disk.bytes_max, 10 << 30);
    for (flags, remedy) in [
        (&["--disk-bytes", "1GiB"][..], "without --disk DIR"),
        (&["--disk-wait", "1s"], "without --disk DIR"),
        (&["--disk", "/x", "--disk-bytes", "1MiB"], "at least"),
        (&["--disk", "/x", "--disk-wait", "0s"], "like 500ms"),
        (&["--disk", "/dev/null"], "not a folder"),
    ] {
        let said = with(flags).unwrap_err();
        assert!(said.contains(remedy), "{flags:?}: {said}");
    }
}
