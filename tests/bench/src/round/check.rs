//! Whether what a peer answers is right, and is a hit where it must be.

use super::Bench;
use crate::{
    load::{self, Pace},
    peers::{Peer, Running},
    verify,
    works::{Origin, Paths, Work},
};
use anyhow::ensure;

/// Of so many objects such a part may have been dropped: caches that are full by hash lose some.
const MISSES_MAX: f64 = 0.01;
/// So many of what a round stored are asked for again.
const STORED_SAMPLE: u64 = 50;

impl Bench<'_> {
    /// Whether its answers are right, and hits where they must be. Fills the cache, where that is the work.
    pub fn verify(&self, running: &mut Running) -> anyhow::Result<()> {
        let bytes = self.work.bytes();
        if running.peer == Peer::Limit {
            let answer = verify::get(running.http(), "/any")?;
            ensure!(
                answer.status == 200 && answer.body.len() == bytes,
                "the limit answers otherwise"
            );
            return Ok(());
        }
        match self.work {
            Work::Zipf => self.fill(running),
            Work::Pass => {
                let path = "/pass/1024/a";
                for _ in 0..3 {
                    let heard = self.ground.heard()?;
                    self.get(running, path)?.must_be_right(path, bytes)?;
                    ensure!(
                        self.ground.heard()? > heard,
                        "{path} was answered without the origin"
                    );
                }
                Ok(())
            }
            Work::Miss => {
                let path = load::unique(1);
                let heard = self.ground.heard()?;
                self.get(running, &path)?.must_be_right(&path, bytes)?;
                ensure!(
                    self.ground.heard()? > heard,
                    "{path} was stored before it was asked for"
                );
                self.must_hit(running, &path)
            }
            _ => self.must_hit(running, &format!("/fix/{bytes}/a")),
        }
    }

    fn get(&self, running: &Running, path: &str) -> anyhow::Result<verify::Answer> {
        if self.work == Work::H2 {
            verify::get_h2(running.https_port(), path)
        } else {
            verify::get(running.http(), path)
        }
    }

    /// Asks until the origin hears nothing of it: some peers store a moment after they have answered.
    fn must_hit(&self, running: &Running, path: &str) -> anyhow::Result<()> {
        verify::wait_until(&format!("{path} is a hit"), || {
            let heard = self.ground.heard()?;
            self.get(running, path)?
                .must_be_right(path, self.work.bytes())?;
            ensure!(
                self.ground.heard()? == heard,
                "the origin is asked again and again"
            );
            Ok(())
        })
    }

    /// Asks for every object once.
    fn fill(&self, running: &Running) -> anyhow::Result<()> {
        let objects = self.settings.objects;
        let plan = self.plan(running, Paths::Each(objects), Pace::Closed);
        let report = self.load(&plan)?;
        ensure!(
            report.all == u64::from(objects),
            "only {} of {objects} were asked for",
            report.all
        );
        for number in [0, 1, objects / 2, objects - 1] {
            let path = load::object(u64::from(number));
            self.get(running, &path)?
                .must_be_right(&path, self.work.bytes())?;
        }
        Ok(())
    }

    pub fn must_have_heard(&self, heard: u64, all: u64) -> anyhow::Result<()> {
        let allowed = match self.work.origin() {
            Origin::Silent => heard == 0,
            Origin::NearlySilent => heard as f64 <= all as f64 * MISSES_MAX,
            Origin::Asked => heard >= all,
        };
        ensure!(allowed, "the origin heard {heard} of {all} requests");
        Ok(())
    }

    /// What the round brought is asked for again.
    pub fn must_have_stored(
        &self,
        running: &Running,
        round: usize,
        all: u64,
    ) -> anyhow::Result<()> {
        let Paths::Unique(first) = self.work.paths(round, self.settings.objects) else {
            return Ok(());
        };
        let heard = self.ground.heard()?;
        let sample = STORED_SAMPLE.min(all);
        for step in 0..sample {
            let path = load::unique(first + step * all / sample);
            self.get(running, &path)?
                .must_be_right(&path, self.work.bytes())?;
        }
        let lost = self.ground.heard()? - heard;
        ensure!(
            lost * 10 <= sample,
            "of {sample} objects that it brought, {lost} are not stored"
        );
        Ok(())
    }
}
