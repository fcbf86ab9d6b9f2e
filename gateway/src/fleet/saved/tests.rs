//! What is on disk after each kind of stop.

use super::{files::Files, image::write_snapshot, *};
use crate::fleet::StateFolder;
use latencify_cache::{Identity, Liveness, Marks, Stamp};
use latencify_conf::{
    change::{LogId, SiteId},
    digest::Digest,
    link::chain,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};
use uuid::Uuid;

const SOON: Duration = Duration::from_mins(1);

fn at(epoch: u64) -> Position {
    Position {
        epoch: Epoch(epoch),
        hash: Digest([epoch as u8; 32]),
        ..chain::genesis(LogId(Uuid::from_u128(1)))
    }
}

fn url(path: &str) -> Target {
    Target::Url {
        site: SiteId(1),
        path: path.to_owned(),
    }
}

/// An edge's marks, saved in a folder.
struct Edge {
    marks: Arc<Marks>,
    saved: SavedMarks,
    saver: Saver,
    resumed: Option<Position>,
}

impl Edge {
    fn start(path: &Path) -> Self {
        Self::on(path, |_| ())
    }

    /// With marks that were made ready so.
    fn on(path: &Path, ready: impl Fn(&Marks)) -> Self {
        let folder = StateFolder::open(path).unwrap();
        let marks = Marks::new();
        ready(&marks);
        let loaded = load(&folder).unwrap();
        let (saved, resumed) = SavedMarks::new(marks.clone(), loaded);
        let saver = Saver::start(&saved, folder, resumed).unwrap();
        Self {
            marks,
            saved,
            saver,
            resumed,
        }
    }

    /// Starts over at epoch 1 of the log.
    fn joined(path: &Path) -> Self {
        let edge = Self::start(path);
        edge.saved.reset(&at(1));
        edge.obey(1);
        edge
    }

    fn purge(&self, epoch: u64, path: &str) {
        self.saved.purge(&[url(path)], Mode::Hard, Epoch(epoch));
    }

    /// Obeys, and waits until it is saved.
    fn obey(&self, epoch: u64) {
        self.saved.obey(&at(epoch));
        self.until_saved(epoch);
    }

    fn until_saved(&self, epoch: u64) {
        let saved = self.saver.saving().saved();
        let end = Instant::now() + SOON;
        while *saved.borrow() != Some(at(epoch)) {
            assert!(Instant::now() < end, "{:?} is saved", *saved.borrow());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether an object of that path, fetched at that epoch of this run, is dead. Local marks play no part.
    fn kills(&self, path: &str, epoch: u64) -> bool {
        let mut stamp = self.marks.stamp();
        stamp.epoch = Epoch(epoch);
        let identity = Identity {
            site: SiteId(1),
            path: path.into(),
            tags: [].into(),
        };
        matches!(self.marks.check(&identity, &stamp), Liveness::Dead(_))
    }

    /// As `kill -9` does: nothing more is written. The lock goes with the folder.
    fn crash(self) {
        self.saver.finish();
    }
}

/// What a disk tier stored outlives the process: up to the position that is saved, whatever stands in the journal.
#[test]
fn what_was_stored_after_the_first_save_of_a_run_lives() {
    let folder = tempfile::tempdir().unwrap();
    let is_dead = |edge: &Edge, path: &str, stamp| {
        let identity = Identity {
            site: SiteId(1),
            path: path.into(),
            tags: [].into(),
        };
        edge.marks.check_kept(&identity, &stamp).is_dead()
    };
    let first = Edge::on(folder.path(), Marks::keep);
    first.saved.reset(&at(1));
    first.obey(1);
    let before = first.marks.stamp();
    first.purge(2, "/a");
    first.obey(2);
    let after = first.marks.stamp();
    first.crash();
    let second = Edge::on(folder.path(), Marks::keep);
    second.obey(3);
    assert!(
        !is_dead(&second, "/b", after),
        "stored at epoch 2, which is saved"
    );
    assert!(is_dead(&second, "/a", before) && !is_dead(&second, "/b", before));
    let beyond = Stamp {
        epoch: Epoch(3),
        ..after
    };
    assert!(is_dead(&second, "/b", beyond), "of another history, maybe");
    // It starts over while the journal goes on.
    second.saved.reset(&at(7));
    second.obey(7);
    let (started_over, stored) = (after, second.marks.stamp());
    second.crash();
    let third = Edge::on(folder.path(), Marks::keep);
    assert!(is_dead(&third, "/b", started_over));
    assert!(
        !is_dead(&third, "/b", stored),
        "stored after the edge started over"
    );
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let journal = fs::read(path.join("marks.journal")).unwrap();
    journal
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// Three purges at the epochs 2, 3 and 4, each a record.
fn three(path: &Path) {
    let edge = Edge::joined(path);
    for (epoch, path) in [(2, "/two"), (3, "/three"), (4, "/four")] {
        edge.purge(epoch, path);
        edge.obey(epoch);
    }
    edge.crash();
}

#[test]
fn what_was_saved_is_obeyed_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, None);
    edge.crash();
    three(folder.path());
    assert_eq!(
        lines(folder.path()).len(),
        4,
        "a head and a record a commit"
    );
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(4)));
    assert_eq!(edge.marks.stamp().epoch, Epoch(4));
    for (path, epoch, dead) in [
        ("/two", 1, true),
        ("/two", 2, false),
        ("/three", 2, true),
        ("/four", 3, true),
        ("/four", 4, false),
        ("/other", 1, false),
    ] {
        assert_eq!(edge.kills(path, epoch), dead, "{path} of epoch {epoch}");
    }
    // And the next run's purges are added to those.
    edge.purge(5, "/five");
    edge.obey(5);
    edge.crash();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(5)));
    assert!(edge.kills("/two", 1) && edge.kills("/five", 4));
    edge.crash();
}

#[test]
fn a_start_over_forgets_what_was_before_it() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    let edge = Edge::start(folder.path());
    edge.saved.reset(&at(9));
    edge.purge(10, "/ten");
    edge.obey(10);
    // Again, once the journal is there.
    edge.saved.reset(&at(20));
    edge.purge(21, "/new");
    edge.obey(21);
    edge.crash();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(21)));
    assert!(edge.kills("/new", 20) && !edge.kills("/ten", 20));
    assert!(edge.kills("/other", 19), "under the floor");
    edge.crash();
}

/// A rewound log of the same identity: epochs are used again.
#[test]
fn a_start_over_at_an_older_epoch_is_saved_as_such() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    let edge = Edge::start(folder.path());
    edge.saved.reset(&at(2));
    edge.obey(2);
    edge.purge(3, "/three-again");
    edge.obey(3);
    edge.crash();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(3)));
    assert!(edge.kills("/three-again", 2) && !edge.kills("/four", 3));
    edge.crash();
}

#[test]
fn a_torn_last_record_is_left_out_and_anything_else_is_believed_in_nothing() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    let whole = lines(folder.path());
    let path = folder.path().join("marks.journal");
    let loaded = || load(&StateFolder::open(folder.path()).unwrap());
    let last = |loaded: Loaded| loaded.records.last().map(|record| record.obeyed.epoch.0);

    let last_length = whole[3].len();
    for cut in [1, 2, last_length / 2, last_length - 1] {
        let journal = whole.concat();
        fs::write(&path, &journal[..journal.len() - cut]).unwrap();
        assert_eq!(
            last(loaded().unwrap().unwrap()),
            Some(3),
            "{cut} octets short"
        );
    }
    let mut torn = whole.concat();
    let middle = torn.len() - last_length / 2;
    torn[middle..].fill(0);
    fs::write(&path, torn).unwrap();
    assert_eq!(last(loaded().unwrap().unwrap()), Some(3), "zeros");

    let unfit = |journal: Vec<u8>, why: &str| {
        fs::write(&path, journal).unwrap();
        let error = loaded().unwrap_err().to_string();
        assert!(
            error.contains("marks.journal") && error.contains(why),
            "{error}"
        );
    };
    let altered = |line: usize| {
        let mut lines = whole.clone();
        let at = lines[line].len() - 3;
        lines[line][at] ^= 1;
        lines.concat()
    };
    unfit(altered(0), "line 1");
    unfit(altered(1), "line 2: its digest is wrong");
    unfit(altered(2), "line 3: its digest is wrong");
    unfit([&whole[0][..], &whole[2], &whole[3]].concat(), "line 2");
    unfit(
        [&whole[0][..], &whole[2], &whole[1], &whole[3]].concat(),
        "line 2",
    );
    unfit(Vec::new(), "empty");
    fs::write(&path, whole.concat()).unwrap();

    let path = folder.path().join("marks.snapshot");
    let good = fs::read(&path).unwrap();
    for at in [3, good.len() / 2, good.len() - 2] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let error = loaded().unwrap_err().to_string();
        assert!(error.contains("marks.snapshot"), "{error}");
    }
    fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(loaded().is_err());
    fs::write(&path, good).unwrap();
    assert_eq!(last(loaded().unwrap().unwrap()), Some(4));
}

#[test]
fn a_journal_of_another_snapshot_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    let journal = fs::read(folder.path().join("marks.journal")).unwrap();
    // As if the process had ended right after it wrote a newer snapshot.
    let marks = Marks::new();
    marks.raise_floor(&at(7));
    write_snapshot(
        &mut Files::new(StateFolder::open(folder.path()).unwrap()),
        &marks.snapshot(),
    )
    .unwrap();
    fs::write(folder.path().join("marks.journal"), journal).unwrap();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(7)));
    edge.crash();
}

#[test]
fn what_is_applied_and_not_obeyed_is_not_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::joined(folder.path());
    edge.purge(2, "/two");
    edge.crash();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(1)));
    edge.crash();
}

#[test]
fn more_than_the_queue_holds_is_saved_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::joined(folder.path());
    let path = format!("/{}", "x".repeat(4000));
    let purges = queue::QUEUE_BYTES_MAX / path.len() + 10;
    for number in 0..purges {
        edge.purge(2, &format!("{path}{}", number % 7));
    }
    edge.purge(3, "/last");
    edge.obey(3);
    edge.crash();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(3)));
    assert!(edge.kills(&format!("{path}3"), 1) && edge.kills("/last", 2));
    edge.crash();
}

#[test]
fn a_long_journal_becomes_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::joined(folder.path());
    let path = format!("/{}", "x".repeat(60_000));
    let records = image::JOURNAL_BYTES_MAX / 60_000 + 3;
    for epoch in 2..2 + records {
        edge.purge(epoch, &path);
        edge.obey(epoch);
    }
    assert!(lines(folder.path()).len() < 5, "the journal began anew");
    edge.crash();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(1 + records)));
    assert!(edge.kills(&path, records));
    edge.crash();
}

/// Root may write anywhere, so the folder goes away instead of becoming read-only.
#[test]
fn a_disk_that_takes_nothing_is_told_and_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let edge = Edge::joined(&path);
    let away = folder.path().join("away");
    fs::rename(&path, &away).unwrap();
    // The open journal is still written; the snapshot that comes after an overflow can't be.
    let long = format!("/{}", "x".repeat(60_000));
    let saving = edge.saver.saving().clone();
    let end = Instant::now() + SOON;
    let mut epoch = 1;
    while !saving.is_failing() {
        assert!(Instant::now() < end, "it never fails");
        epoch += 1;
        edge.purge(epoch, &long);
        edge.saved.obey(&at(epoch));
    }
    let claimed = *saving.saved().borrow();
    edge.purge(epoch + 1, "/missed");
    edge.saved.obey(&at(epoch + 1));
    let failures = saving.failures();
    while saving.failures() < failures + 2 {
        assert!(Instant::now() < end, "it is not tried again");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(*saving.saved().borrow(), claimed, "nothing is claimed");
    assert!(edge.kills("/missed", epoch), "it is obeyed all the same");
    fs::rename(&away, &path).unwrap();
    edge.until_saved(epoch + 1);
    assert!(!saving.is_failing());
    edge.crash();
    let edge = Edge::start(&path);
    assert_eq!(edge.resumed, Some(at(epoch + 1)));
    assert!(edge.kills("/missed", epoch));
    edge.crash();
}

/// Nobody can write where the lock should be.
#[test]
fn a_folder_that_can_not_be_written_is_told_and_taken_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    let lock = folder.path().join("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(4)), "it can be read");
    edge.purge(5, "/five");
    edge.saved.obey(&at(5));
    let saving = edge.saver.saving();
    let end = Instant::now() + SOON;
    while !saving.is_failing() {
        assert!(Instant::now() < end, "it is not told");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(*saving.saved().borrow(), Some(at(4)), "nothing is claimed");
    fs::remove_dir(&lock).unwrap();
    edge.until_saved(5);
    edge.crash();
}

#[test]
fn a_second_process_reads_and_writes_when_the_first_has_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let first = Edge::joined(folder.path());
    first.purge(2, "/two");
    first.obey(2);
    // Another handle on the lock, as another process has one.
    let second = Edge::start(folder.path());
    assert_eq!(second.resumed, Some(at(2)));
    second.purge(3, "/three");
    second.saved.obey(&at(3));
    first.purge(3, "/three");
    first.obey(3);
    assert_eq!(*second.saver.saving().saved().borrow(), Some(at(2)));
    first.crash();
    second.until_saved(3);
    second.crash();
    let third = Edge::start(folder.path());
    assert_eq!(third.resumed, Some(at(3)));
    assert!(third.kills("/two", 1) && third.kills("/three", 2));
    third.crash();
}

#[test]
fn only_the_owner_may_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    for file in ["lock", "marks.snapshot", "marks.journal"] {
        let mode = fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
    }
}

/// As version 1 was written, and is read forever.
#[test]
fn every_format_ever_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("marks.snapshot", include_str!("v1/marks.snapshot")),
        ("marks.journal", include_str!("v1/marks.journal")),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let edge = Edge::start(folder.path());
    assert_eq!(edge.resumed, Some(at(6)));
    for (path, epoch) in [("/two", 2), ("/four", 4), ("/five", 5), ("/six", 6)] {
        assert!(
            edge.kills(path, epoch - 1) && !edge.kills(path, epoch),
            "{path}"
        );
    }
    edge.crash();
}
