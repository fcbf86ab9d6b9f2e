//! What the file holds: lines of text. Each begins with a digest over the rest of it, which is JSON. Pure.

use latencify_cache::LocalMark;
use latencify_conf::{
    change::{Epoch, Mode, Target},
    digest::Digest,
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// So many characters of its digest stand before a line.
pub const SUM_CHARACTERS: usize = 16;
/// The most runs that are told apart; of more, the older are taken for one that knew as little as the one of them that knew least.
const RUNS_MAX: usize = 32;

/// One line. A run that wrote nothing else wrote that it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Where the numbers of the run begin that wrote it.
    pub run: u64,
    /// It began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Began>,
    /// What is stamped lower is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<u64>,
    /// What was purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

/// What a run was when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Began {
    /// The last epoch that it knew.
    pub epoch: Epoch,
    /// Whether it was a member of a fleet. What the fleet purged then reached nothing that was stored alone.
    pub in_fleet: bool,
}

/// A run of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where its numbers begin.
    pub number: u64,
    /// What it was then.
    pub began: Began,
}

/// What was purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    number: u64,
    mode: Mode,
    at_ms: u64,
    target: Target,
}

/// What the lines add up to, for a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// What other runs purged, above the floor.
    pub marks: Vec<LocalMark>,
    /// The highest number that one of them made or began with.
    pub last: u64,
    /// What is stamped lower is dead.
    pub floor: u64,
    /// Where the numbers of each run began, and the last epoch that it knew then.
    pub runs: Vec<(u64, Epoch)>,
}

impl Line {
    /// A run has begun.
    pub fn begun(run: Run) -> Self {
        Self {
            began: Some(run.began),
            ..Self::of(run.number)
        }
    }

    fn of(run: u64) -> Self {
        Self {
            run,
            began: None,
            floor: None,
            mark: None,
        }
    }

    /// What is stamped lower is dead.
    pub fn floor(run: u64, floor: u64) -> Self {
        Self {
            floor: Some(floor),
            ..Self::of(run)
        }
    }

    /// Something was purged.
    pub fn mark(run: u64, mark: &LocalMark) -> Self {
        let since = mark.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mark = Mark {
            number: mark.number,
            mode: mark.mode,
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            target: mark.target.clone(),
        };
        Self {
            mark: Some(mark),
            ..Self::of(run)
        }
    }

    /// The highest number that it names.
    pub fn number(&self) -> u64 {
        let mark = self.mark.as_ref().map_or(0, |mark| mark.number);
        self.run.max(mark).max(self.floor.unwrap_or(0))
    }

    /// What it costs while it waits, about.
    pub fn bytes(&self) -> usize {
        let name = match self.mark.as_ref().map(|mark| &mark.target) {
            Some(Target::Url { path, .. } | Target::Prefix { path, .. }) => path.len(),
            Some(Target::Tag { tag, .. }) => tag.len(),
            Some(Target::Site { .. } | Target::All) | None => 0,
        };
        size_of::<Self>() + name
    }
}

/// As they are written.
pub fn write(lines: &[Line]) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in lines {
        let text = serde_json::to_vec(line)?;
        bytes.extend_from_slice(sum(&text).as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&text);
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// What was written, all of it: a line that can't be read, or none that says that a run began, is the error.
pub fn read(bytes: &[u8]) -> Result<Vec<Line>, String> {
    let lines = (2..).zip(bytes.split_inclusive(|byte| *byte == b'\n'));
    let lines = lines
        .map(|(number, line)| read_line(line).map_err(|why| format!("line {number}: {why}")))
        .collect::<Result<Vec<_>, _>>()?;
    if lines.iter().all(|line| line.began.is_none()) {
        return Err("it does not say that a run began".to_owned());
    }
    Ok(lines)
}

fn read_line(line: &[u8]) -> Result<Line, String> {
    let line = line.strip_suffix(b"\n").ok_or("it does not end")?;
    let (said, text) = line
        .split_at_checked(SUM_CHARACTERS + 1)
        .ok_or("it is cut off")?;
    if said.strip_suffix(b" ") != Some(sum(text).as_bytes()) {
        return Err("its digest is wrong".into());
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

pub fn sum(text: &[u8]) -> String {
    let mut sum = Digest::of_parts([text]).to_string();
    sum.truncate(SUM_CHARACTERS);
    sum
}

/// What of them a run has to know that does not know it itself.
pub fn known(lines: &[Line], run: u64) -> Known {
    let others = || lines.iter().filter(|line| line.run != run);
    let floor = lines
        .iter()
        .filter_map(|line| line.floor)
        .max()
        .unwrap_or(0);
    let last = others().map(Line::number).max();
    let marks = others().filter_map(|line| line.mark.as_ref());
    Known {
        marks: marks
            .filter(|mark| mark.number > floor)
            .map(|mark| LocalMark {
                target: mark.target.clone(),
                mode: mark.mode,
                number: mark.number,
                at: SystemTime::UNIX_EPOCH + Duration::from_millis(mark.at_ms),
            })
            .collect(),
        last: last.unwrap_or(0),
        floor,
        runs: runs(lines, floor)
            .iter()
            .map(|run| (run.number, run.began.epoch))
            .collect(),
    }
}

/// Whether a run that wrote them was a member of a fleet and that one is not, or the other way round.
pub fn changes_role(lines: &[Line], in_fleet: bool) -> bool {
    let mut began = lines.iter().filter_map(|line| line.began);
    began.any(|began| began.in_fleet != in_fleet)
}

/// Runs that bar what may live; the newest first.
fn runs(lines: &[Line], floor: u64) -> Vec<Run> {
    let begun = lines.iter().filter_map(|line| {
        let number = line.run;
        line.began.map(|began| Run { number, began })
    });
    let mut begun: Vec<_> = begun.filter(|run| run.number > floor).collect();
    begun.sort_unstable_by_key(|run| (Reverse(run.number), run.began.epoch));
    let mut runs: Vec<Run> = Vec::new();
    for run in begun {
        // A later run that knew no more bars all that this one does.
        let is_more = runs
            .last()
            .is_none_or(|known| run.began.epoch < known.began.epoch);
        if is_more && runs.len() < RUNS_MAX {
            runs.push(run);
        } else if let Some(last) = runs.last_mut().filter(|_| is_more) {
            last.began.epoch = run.began.epoch;
        }
    }
    runs
}

/// Fewer lines that say the same, or more strictly; of more than `marks_max` marks, only that what is older than they is dead.
pub fn compact(lines: &[Line], run: u64, marks_max: usize) -> Vec<Line> {
    let mut floor = lines
        .iter()
        .filter_map(|line| line.floor)
        .max()
        .unwrap_or(0);
    let mut marks: BTreeMap<(&Target, bool), (u64, Mark)> = BTreeMap::new();
    for line in lines {
        let Some(mark) = line.mark.as_ref().filter(|mark| mark.number > floor) else {
            continue;
        };
        let of = (&mark.target, mark.mode == Mode::Hard);
        let (newest, kept) = marks.entry(of).or_insert((line.run, mark.clone()));
        // Stale too early rather than too late.
        kept.at_ms = kept.at_ms.min(mark.at_ms);
        if kept.number < mark.number {
            (kept.number, *newest) = (mark.number, line.run);
        }
    }
    if marks.len() > marks_max {
        let last = marks.values().map(|(_, mark)| mark.number).max();
        floor = floor.max(last.unwrap_or(0));
        marks.clear();
    }
    let runs = runs(lines, floor).into_iter().map(Line::begun);
    let marks = marks.into_values().map(|(run, mark)| Line {
        mark: Some(mark),
        ..Line::of(run)
    });
    let floor = (floor > 0).then(|| Line::floor(run, floor));
    runs.chain(floor).chain(marks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::change::SiteId;

    fn purged(run: u64, path: &str, number: u64) -> Line {
        let target = Target::Url {
            site: SiteId(1),
            path: path.to_owned(),
        };
        let at = UNIX_EPOCH + Duration::from_millis(number);
        Line::mark(
            run,
            &LocalMark {
                target,
                mode: Mode::Hard,
                number,
                at,
            },
        )
    }

    fn begun(number: u64) -> Line {
        let began = Began {
            epoch: Epoch(3),
            in_fleet: false,
        };
        Line::begun(Run { number, began })
    }

    fn names(known: &Known) -> Vec<u64> {
        known.marks.iter().map(|mark| mark.number).collect()
    }

    #[test]
    fn what_was_written_is_read_and_nothing_less() {
        let lines = [begun(10), purged(10, "/a", 11), purged(10, "/b", 12)];
        let bytes = write(&lines).unwrap();
        assert_eq!(read(&bytes), Ok(lines.to_vec()));
        assert!(read(&[]).is_err() && read(b"\n").is_err());
        assert!(read(&write(&lines[1..]).unwrap()).is_err(), "no run began");
    }

    #[test]
    fn a_change_between_alone_and_in_a_fleet_is_noticed() {
        let lines = [begun(10), purged(10, "/a", 11)];
        assert!(changes_role(&lines, true) && !changes_role(&lines, false));
        assert!(!changes_role(&[], true));
    }

    #[test]
    fn a_line_that_was_changed_is_told() {
        let bytes = write(&[begun(10), purged(10, "/a", 11)]).unwrap();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(read(&other).is_err(), "{at}");
        }
    }

    #[test]
    fn a_run_learns_what_the_others_did() {
        let lines = [
            begun(10),
            purged(10, "/a", 11),
            purged(20, "/b", 21),
            Line::floor(20, 11),
            purged(30, "/c", 31),
        ];
        let learnt = known(&lines, 30);
        assert_eq!((learnt.last, learnt.floor), (21, 11));
        assert_eq!(names(&learnt), [21]);
        assert_eq!(known(&[], 30).last, 0);
    }

    #[test]
    fn fewer_lines_say_the_same() {
        let lines = [
            begun(10),
            purged(10, "/a", 11),
            purged(10, "/a", 12),
            purged(20, "/b", 21),
        ];
        let fewer = compact(&lines, 30, 10);
        assert_eq!(fewer.len(), 3, "{fewer:?}");
        let (learnt, before) = (known(&fewer, 30), known(&lines, 30));
        assert_eq!((learnt.last, learnt.floor), (before.last, before.floor));
        assert_eq!(names(&learnt), [12, 21]);
        let none = known(&compact(&lines, 30, 1), 30);
        assert_eq!(
            (none.floor, names(&none)),
            (21, vec![]),
            "all of before is dead"
        );
    }
}
