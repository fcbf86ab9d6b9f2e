//! An edge that does not run its target is told it again.

use super::{Session, admission};
use crate::rollout;

impl Session {
    /// An edge that runs something else than its target is told it again, now and then.
    pub(super) fn mend(&mut self) {
        let Some(process) = self.member.as_ref().map(|member| member.process) else {
            return;
        };
        let report = self.fleet.said.get(process).report;
        let target = {
            let state = self.state.borrow();
            let member = state.roster.get(&process);
            let head =
                member.and_then(|member| rollout::target(&state, &member.edge, &member.about));
            let has_drifted = rollout::has_drifted(head, &report);
            let is_due = self.mending.is_due(has_drifted, self.began.elapsed());
            is_due.then(|| admission::target(&state, process)).flatten()
        };
        if let Some(target) = target {
            tracing::warn!(%process, revision = %target.revision, "an edge does not run its target and does not say why: it is told again");
            let actions = self.machine.target(&self.fleet.signed(target));
            self.queue_messages(actions);
        }
    }
}
