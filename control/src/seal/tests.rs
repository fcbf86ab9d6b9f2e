use super::{
    command::run_within,
    key::{self, Key},
    *,
};
use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Instant};

const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA"; // the other alphabet, without padding

fn ring(text: &str) -> Seal {
    Seal::of(key::read("a test", text).unwrap())
}

fn open(file: Option<PathBuf>, command: Option<&str>, folder: &Path) -> Result<Seal, SealError> {
    let settings = SealSettings {
        seal_key_file: file,
        seal_key_command: command.map(str::to_owned),
    };
    Seal::open(&settings, folder)
}

fn keys_in(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[test]
fn what_is_sealed_is_opened_for_its_context_alone() {
    let seal = ring(OLD);
    for plain in [&b""[..], b"x", b"hunter2 hunter2", &[7; 10_000]] {
        let sealed = seal.seal("secret/a/1", plain).unwrap();
        assert_eq!(&seal.unseal("secret/a/1", &sealed).unwrap()[..], plain);
        assert!(plain.len() < 8 || !sealed.windows(8).any(|part| part == &plain[..8]));
        for other in ["secret/a/2", "secret/b/1", "", "secret/a/1 "] {
            let error = seal.unseal(other, &sealed).unwrap_err();
            assert!(
                matches!(error, SealError::Altered(_)),
                "{other:?}: {error:?}"
            );
        }
        assert_ne!(
            seal.seal("secret/a/1", plain).unwrap(),
            sealed,
            "each has its own salt"
        );
    }
}

#[test]
fn every_altered_octet_and_every_cut_is_noticed() {
    let seal = ring(OLD);
    let sealed = seal.seal("c", b"a value").unwrap();
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(seal.unseal("c", &altered).is_err(), "octet {at}");
        assert!(seal.reseal("c", &altered).is_err(), "octet {at}");
        assert!(seal.unseal("c", &sealed[..at]).is_err(), "cut at {at}");
    }
    let mut longer = sealed.clone();
    longer.push(0);
    assert!(seal.unseal("c", &longer).is_err());
}

#[test]
fn another_key_opens_nothing_and_is_named() {
    let sealed = ring(OLD).seal("c", b"a value").unwrap();
    let error = ring(NEW).unseal("c", &sealed).unwrap_err();
    let id = ring(OLD).newest().unwrap();
    assert!(
        matches!(&error, SealError::UnknownKey(named) if *named == id),
        "{error:?}"
    );
    assert!(error.to_string().contains(&id.to_string()), "{error}");
}

#[test]
fn a_new_key_seals_anew_and_the_old_one_may_go() {
    let sealed = ring(OLD).seal("c", b"a value").unwrap();
    let both = ring(&format!("# the newest\n{NEW}\n\n{OLD}\n"));
    assert_eq!(
        both.older().collect::<Vec<_>>(),
        [ring(OLD).newest().unwrap()]
    );
    let anew = both.reseal("c", &sealed).unwrap().unwrap();
    assert_eq!(&ring(NEW).unseal("c", &anew).unwrap()[..], b"a value");
    assert!(
        both.reseal("c", &anew).unwrap().is_none(),
        "it is sealed with the newest"
    );
    assert!(both.reseal("d", &sealed).is_err());
}

#[test]
fn what_is_no_key_is_refused_by_its_line_and_never_shown() {
    let cases = [
        ("", 1, "no key"),
        ("# only a comment\n", 1, "no key"),
        ("c2hvcnQ=", 1, "not 32 octets"),
        ("hunter2!hunter2!", 1, "not base64"),
        (
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            1,
            "all octets are 0",
        ),
        (&format!("{OLD}\nhunter2!"), 2, "not base64"),
    ];
    for (text, expected_line, expected_why) in cases {
        let error = key::read("the file", text).err().unwrap();
        let SealError::NoKey { line, why, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!((*line, *why), (expected_line, expected_why), "{text:?}");
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
    assert_eq!(
        key::read("", &format!("{OLD},{NEW}\n{OLD}")).unwrap().len(),
        2
    );
}

#[test]
fn nothing_prints_a_key() {
    let printed = format!("{:?} {:#?}", ring(OLD), ring(OLD).newest());
    assert!(
        !printed.contains("AAEC") && !printed.contains("0, 1, 2, 3"),
        "{printed}"
    );
    let key: fn(Zeroizing<[u8; 32]>) -> Key = Key::of;
    assert_ne!(
        key(Zeroizing::new([1; 32])).id(),
        key(Zeroizing::new([2; 32])).id()
    );
}

#[test]
fn without_a_word_a_file_is_made_that_only_its_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = open(None, None, folder.path())
        .unwrap()
        .seal("c", b"v")
        .unwrap();
    let file = folder.path().join(source::FILE);
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let again = open(None, None, folder.path()).unwrap();
    assert_eq!(&again.unseal("c", &sealed).unwrap()[..], b"v");
    // Another source is given: what the file sealed can still be opened, and the new one seals.
    let given = keys_in(folder.path(), "given", NEW, 0o400);
    let moved = open(Some(given), None, folder.path()).unwrap();
    assert_eq!(moved.newest(), ring(NEW).newest());
    assert!(moved.reseal("c", &sealed).unwrap().is_some());
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o640, 0o604, 0o660, 0o777] {
        let file = keys_in(folder.path(), "keys", OLD, mode);
        let error = open(Some(file), None, folder.path()).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("chmod 600") && said.contains(&format!("{mode:03o}")),
            "{said}"
        );
    }
    let missing = folder.path().join("missing");
    let said = open(Some(missing), None, folder.path())
        .unwrap_err()
        .to_string();
    assert!(said.contains("--seal-key-file"), "{said}");
    assert!(
        !folder.path().join(source::FILE).exists(),
        "no other key is made instead"
    );
}

#[test]
fn a_command_unwraps_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let printed = open(None, Some(&format!("echo {OLD}")), folder.path()).unwrap();
    assert_eq!(printed.newest(), ring(OLD).newest());
    // "Unwraps" what is on standard input.
    let wrapped: String = OLD.chars().rev().collect();
    let file = keys_in(folder.path(), "wrapped", &wrapped, 0o600);
    let unwrapped = open(Some(file), Some("rev"), folder.path()).unwrap();
    assert_eq!(unwrapped.newest(), ring(OLD).newest());
}

#[test]
fn a_command_that_fails_floods_or_hangs_is_ended_and_what_it_prints_is_not_shown() {
    let cases = [
        ("echo hunter2; exit 3", "failed"),
        ("yes hunter2", "64 KiB"),
        ("exec /no/such/program", "failed"),
        ("sleep 600 & sleep 600", "longer"),
        ("exec >&-; sleep 600", "longer"),
        ("printf '\\377\\376'", "no text"),
    ];
    for (line, expected) in cases {
        let begun = Instant::now();
        let error =
            run_within(line, Zeroizing::default(), Duration::from_millis(1500)).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains(expected), "{line}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(begun.elapsed() < Duration::from_mins(2), "{line}");
    }
}
