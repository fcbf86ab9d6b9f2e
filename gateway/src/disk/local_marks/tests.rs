//! The file through runs that follow each other, and whatever becomes of it in between.

use super::*;
use latencify_cache::{Identity, Stamp};
use latencify_conf::change::{Epoch, Mode, SiteId, Target};
use latencify_disk::OWNERS_PREFIX;
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A run of an edge that stands alone, or in a fleet.
struct Running {
    file: MarksFile,
    marks: Arc<Marks>,
}

impl Running {
    fn new(folder: &Path, second: u64, in_fleet: bool) -> Self {
        let running = Self::unopened(folder, second, in_fleet);
        take_over(&running.file, &running.marks);
        running
    }

    /// Before its folder is open.
    fn unopened(folder: &Path, second: u64, in_fleet: bool) -> Self {
        let marks = Marks::with_clock(At(SystemTime::UNIX_EPOCH + Duration::from_secs(second)));
        marks.keep();
        let (number, epoch) = marks.run().unwrap();
        let began = Began { epoch, in_fleet };
        let file = MarksFile::new(folder, Run { number, began });
        Self { file, marks }
    }

    fn purge(&self, path: &str) -> Line {
        let (target, mode) = (url(path), Mode::Hard);
        let number = self.marks.local_purge(&target, mode);
        let at = self.marks.now();
        let mark = LocalMark {
            target,
            mode,
            number,
            at,
        };
        Line::mark(self.file.run().number, &mark)
    }

    fn purge_and_save(&self, path: &str) {
        let line = self.purge(path);
        self.file
            .append(std::slice::from_ref(&line), line.number())
            .unwrap();
    }

    fn is_dead(&self, path: &str, stamp: Stamp) -> bool {
        let identity = Identity {
            site: SiteId(1),
            path: path.into(),
            tags: [].into(),
        };
        self.marks.check_kept(&identity, &stamp).is_dead()
    }
}

fn take_over(file: &MarksFile, marks: &Marks) {
    let keeper = Keeper::start(file.clone(), Duration::ZERO).unwrap();
    inherit(file, marks, &keeper.later()).unwrap();
}

/// A clock that stands.
struct At(SystemTime);

impl latencify_cache::Clock for At {
    fn now(&self) -> SystemTime {
        self.0
    }
}

fn url(path: &str) -> Target {
    Target::Url {
        site: SiteId(1),
        path: path.to_owned(),
    }
}

fn path_of(folder: &Path) -> PathBuf {
    folder.join(format!("{OWNERS_PREFIX}local-marks"))
}

#[test]
fn a_file_that_is_cut_anywhere_serves_nothing_that_was_purged() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    let stamp = first.marks.stamp();
    for path in ["/a", "/b", "/c"] {
        first.purge_and_save(path);
    }
    let file = path_of(folder.path());
    let whole = fs::read(&file).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        let second = Running::new(folder.path(), 200, false);
        for path in ["/a", "/b", "/c"] {
            assert!(second.is_dead(path, stamp), "{path} {cut}");
        }
        let is_whole = cut == whole.len();
        assert_eq!(second.is_dead("/d", stamp), !is_whole, "{cut}");
        assert!(!second.is_dead("/a", second.marks.stamp()), "{cut}");
    }
}

#[test]
fn an_attempt_that_failed_half_way_is_no_part_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    let stamp = first.marks.stamp();
    first.purge_and_save("/a");
    let file = path_of(folder.path());
    let half = record::write(&[first.purge("/b")]).unwrap();
    for torn in 1..half.len() {
        let mut open = OpenOptions::new().append(true).open(&file).unwrap();
        open.write_all(&half[..torn]).unwrap();
        first.purge_and_save("/c");
        let second = Running::new(folder.path(), 200, false);
        assert!(second.is_dead("/a", stamp) && second.is_dead("/c", stamp));
        assert!(!second.is_dead("/d", stamp), "{torn}");
    }
}

/// A folder may open under traffic: nothing that is said to be on disk is lost to what the opening writes.
#[test]
fn what_is_added_while_the_file_is_taken_over_stays_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    let stamp = first.marks.stamp();
    first.purge_and_save("/a");
    let line = first.purge("/b");
    std::thread::scope(|threads| {
        let ((), written) = first
            .file
            .renew(|read| {
                threads.spawn(|| {
                    let added = first
                        .file
                        .append(std::slice::from_ref(&line), line.number());
                    added.unwrap();
                });
                let lock = path_of(folder.path()).with_extension("lock");
                let lock = OpenOptions::new().write(true).open(lock).unwrap();
                assert!(lock.try_lock().is_err(), "somebody may add now");
                (read.unwrap().unwrap(), ())
            })
            .unwrap();
        written.unwrap();
    });
    let second = Running::new(folder.path(), 200, false);
    assert!(second.is_dead("/a", stamp) && second.is_dead("/b", stamp));
    assert!(!second.is_dead("/c", stamp));
}

#[test]
fn a_file_of_long_names_keeps_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    let before = first.marks.stamp();
    let name = "x".repeat(16 << 10);
    for batch in 0..30 {
        let lines: Vec<_> = (0..100)
            .map(|of| first.purge(&format!("/{batch}/{of}/{name}")))
            .collect();
        first
            .file
            .append(&lines, lines.last().unwrap().number())
            .unwrap();
        let bytes = fs::metadata(path_of(folder.path())).unwrap().len();
        assert!(bytes <= file::BYTES_MAX, "{bytes}");
    }
    let after = first.marks.stamp();
    let second = Running::new(folder.path(), 200, false);
    assert!(second.is_dead("/0/0", before), "too many to be told apart");
    assert!(!second.is_dead("/0/0", after));
}

#[test]
fn a_file_that_became_unreadable_is_replaced_by_a_floor() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    first.purge_and_save("/a");
    let stamp = first.marks.stamp();
    fs::write(path_of(folder.path()), "whatever").unwrap();
    first.purge_and_save("/b");
    first.purge_and_save("/c");
    // Its folder is opened again in the same run.
    take_over(&first.file, &first.marks);
    assert!(first.is_dead("/d", stamp));
    assert!(!first.is_dead("/d", first.marks.stamp()));
}

#[test]
fn marks_that_wait_keep_within_their_bound() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::unopened(folder.path(), 100, false);
    let before = first.marks.stamp();
    let (mut state, name) = (State::default(), "x".repeat(16 << 10));
    let mut highest = 0;
    for of in 0..2000 {
        let line = first.purge(&format!("/{of}/{name}"));
        highest = line.number();
        state.put_back(vec![line], first.file.run());
        let held: usize = state.waiting.iter().map(Line::bytes).sum();
        assert!(held == state.bytes && held <= WAITING_BYTES_MAX, "{held}");
    }
    take_over(&first.file, &first.marks);
    first.file.append(&state.waiting, highest).unwrap();
    assert!(Running::new(folder.path(), 200, false).is_dead("/d", before));
}

#[test]
fn a_clock_that_was_set_back_for_one_run_serves_nothing_that_was_purged_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    let stamp = first.marks.stamp();
    let set_back = Running::unopened(folder.path(), 50, false);
    let early = set_back.purge("/a");
    take_over(&set_back.file, &set_back.marks);
    set_back
        .file
        .append(std::slice::from_ref(&early), early.number())
        .unwrap();
    let stored = set_back.marks.stamp();
    let third = Running::new(folder.path(), 200, false);
    assert!(third.is_dead("/a", stamp) && third.is_dead("/b", stamp));
    assert!(!third.is_dead("/a", stored));
}

#[test]
fn what_was_stored_alone_does_not_outlive_a_time_in_a_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    let stamp = first.marks.stamp();
    let again = Running::new(folder.path(), 200, false);
    assert!(!again.is_dead("/a", stamp));
    Running::new(folder.path(), 300, true);
    let alone = Running::new(folder.path(), 400, false);
    assert!(alone.is_dead("/a", stamp) && alone.is_dead("/a", again.marks.stamp()));
    assert!(!alone.is_dead("/a", alone.marks.stamp()));
    let last = Running::new(folder.path(), 500, false);
    assert!(
        !last.is_dead("/a", alone.marks.stamp()),
        "no change any more"
    );
    assert_eq!(last.marks.stamp().epoch, Epoch(0));
}

/// What it bars for those after it is not lost with the attempt.
#[test]
fn that_a_run_began_is_written_later_if_it_could_not_be_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = Running::new(folder.path(), 100, false);
    first.purge_and_save("/a");
    // No file can be written where a folder is.
    let in_the_way = path_of(folder.path()).with_extension("new");
    fs::create_dir(&in_the_way).unwrap();
    let second = Running::unopened(folder.path(), 200, false);
    let keeper = Keeper::start(second.file.clone(), Duration::ZERO).unwrap();
    inherit(&second.file, &second.marks, &keeper.later()).unwrap();
    assert!(keeper.finish(Duration::from_mins(1)));
    let lines = second.file.read().unwrap().unwrap().unwrap();
    assert!(lines.contains(&Line::begun(second.file.run())), "{lines:?}");
}

#[test]
fn a_folder_that_is_missing_is_tried_seldom_however_much_is_purged() {
    let folder = tempfile::tempdir().unwrap();
    let run = Running::unopened(&folder.path().join("missing"), 100, false);
    let began = Instant::now();
    let keeper = Keeper::start(run.file.clone(), Duration::ZERO).unwrap();
    while keeper.failures() < 3 {
        let line = run.purge("/a");
        keeper.shared.note(line);
        assert!(began.elapsed() < Duration::from_mins(2), "it is not tried");
        thread::sleep(Duration::from_millis(1));
    }
    // However slow this machine is, that takes no less.
    assert!(began.elapsed() >= RETRY_AFTER * 3, "{:?}", began.elapsed());
}
