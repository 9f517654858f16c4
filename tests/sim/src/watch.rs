//! The invariants of commits, checked the moment one is stored: nothing else moves a ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::commit::Commit;
use refit_core::fold::fold;
use refit_core::invariants;
use refit_core::rules::Rules;
use refit_core::state::State;
use refit_engine::layout;
use refit_engine::ledger::begin;
use refit_engine::record::read_commit;

/// Folds the log as it grows.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// The revisions of the rules, by name.
    pub rules: BTreeMap<String, Arc<Rules>>,
    /// What was broken, in order.
    pub broken: Vec<String>,
    state: Option<State>,
}

impl Watch {
    /// Looks at what was stored under a name that was free.
    pub fn stored(&mut self, name: &str, body: &[u8]) {
        let Some(seq) = layout::commit_seq(name) else { return };
        let commit = match read_commit(seq, body) {
            Ok(commit) => commit,
            Err(error) => return self.broken.push(error.to_string()),
        };
        match self.state.take() {
            None if seq == 0 => self.state = Some(begin(&commit)),
            // A test wrote the log past the product.
            None => {}
            Some(state) if seq > state.seq + 1 => {}
            Some(state) if seq <= state.seq => {
                self.broken.push(format!("the log has no gap: written again, commit=`{seq}`"));
                self.state = Some(state);
            }
            Some(state) => self.state = Some(self.follow(state, &commit)),
        }
    }

    fn follow(&mut self, mut state: State, commit: &Commit) -> State {
        let rules = commit
            .applied()
            .next_back()
            .or(state.rules.as_ref())
            .and_then(|name| self.rules.get(name));
        let broken = invariants::check(&state, commit, rules.map(|rules| &**rules));
        let told = broken.into_iter().map(|violation| {
            format!("{}: commit=`{}`, {}", violation.invariant, commit.seq, violation.message)
        });
        self.broken.extend(told);
        fold(&mut state, commit);
        state
    }
}
