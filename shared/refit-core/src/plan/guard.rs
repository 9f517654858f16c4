//! Which of several runs has effect: what the guard of a pipeline says, by the claim that only one of them can make.
//!
//! Attempts share a claim until whoever made it was seen to end. So nothing that ends is believed to be the end of the
//! batch before it is known who made the claim: a run that stands down succeeds.

use super::{Desk, Need};
use crate::commit::AttemptChange;
use crate::mutant::{self, Mutant};
use crate::run::{Attempt, Cancel, ExternalRun, Phase, Run};

/// Who made a claim.
pub(super) enum Holder {
    /// Nobody yet, or there is no guard.
    Nobody,
    /// This attempt, by this run at the service.
    Attempt(u32, ExternalRun),
    /// That cannot be told, and why; without a reason while the claim is still to be read.
    Unknown(Option<String>),
}

impl Desk<'_> {
    /// Who made the claim of this attempt and of those it shares it with.
    pub(super) fn holder(&mut self, run: &Run, attempt: &Attempt) -> Holder {
        let Some(uri) = run.claim(attempt.round).filter(|_| !mutant::is(Mutant::ClaimUnread))
        else {
            return Holder::Nobody;
        };
        let claim = match self.inputs.found.claims.get(&uri) {
            Some(Ok(Some(claim))) => claim,
            Some(Ok(None)) => return Holder::Nobody,
            Some(Err(why)) => return Holder::Unknown(Some(format!("{why}: claim=`{uri}`"))),
            None => {
                self.needs.insert(Need::Claim(uri));
                return Holder::Unknown(None);
            }
        };
        let is_by = |rival: &&Attempt| {
            let known = rival.external.as_ref().is_some_and(|run| run.is_called(&claim.run));
            rival.is_rival_of(attempt) && (rival.key.to_string() == claim.key || known)
        };
        let Some(holder) = run.attempts.iter().find(is_by) else {
            let why = "it was made by a run that is none of this batch";
            return Holder::Unknown(Some(format!("{why}: claim=`{uri}`")));
        };
        let known = holder.external.clone().filter(|run| run.is_called(&claim.run));
        let external = known.unwrap_or_else(|| ExternalRun { id: claim.run.clone(), url: None });
        Holder::Attempt(holder.number, external)
    }

    /// Whether it is known who made the claim. If not, that is noted, and the claim read again before long.
    pub(super) fn knows_holder(&mut self, run: &Run, attempt: &Attempt) -> bool {
        let Holder::Unknown(why) = self.holder(run, attempt) else { return true };
        let Some(why) = why else { return false };
        self.wake(self.now + self.state.timing.poll);
        if attempt.message.as_ref() != Some(&why) {
            self.change_attempt(run.batch, attempt.number, AttemptChange::ClaimUnknown(why));
        } else {
            // It was so before, and is no passing trouble.
            self.unclaimed.insert(run.batch);
        }
        false
    }

    /// Whether the end of this attempt is not the end of what it was to do: another one made the claim, and is
    /// followed from now on, or it is not known who did. A run that a person or another batch ended waits for no claim
    /// that cannot be read.
    pub(super) fn gives_way(&mut self, run: &Run, attempt: &Attempt) -> bool {
        let (number, external) = match self.holder(run, attempt) {
            Holder::Attempt(number, external) => (number, external),
            Holder::Nobody => return false,
            Holder::Unknown(Some(_)) if is_ended_by_others(run) => return false,
            Holder::Unknown(_) => return !self.knows_holder(run, attempt),
        };
        // What a person gave up after it was to be ended is over, whoever made the claim.
        let is_given_up = attempt.started_at.is_some() && run.cancel.is_some();
        let may_be = attempt.phase != Phase::Abandoned || is_given_up;
        let is_it =
            number == attempt.number && may_be && attempt.external.as_ref() == Some(&external);
        if !is_it {
            self.claimed(run, number, external);
        }
        !is_it
    }

    /// How a run ends whose last attempt ended so: what was cancelled did not succeed as long as another may have done
    /// its work.
    pub(super) fn end_of(&mut self, run: &Run, attempt: &Attempt, phase: Phase) -> Phase {
        match self.holder(run, attempt) {
            Holder::Unknown(_) => Phase::Cancelled,
            Holder::Nobody | Holder::Attempt(..) => phase,
        }
    }

    /// The run of a key that was given up has appeared, and has a successor. While nobody has made the claim, either
    /// may be the one that does: neither is ended. Whoever made the claim of an earlier round was seen to end: what is
    /// read there now, as after somebody deleted it, says nothing any more.
    pub(super) fn late_twin(&mut self, run: &Run, twin: &Attempt, external: ExternalRun) {
        if run.is_active() && twin.is_rival_of(run.attempt()) {
            match self.holder(run, twin) {
                Holder::Attempt(number, _) if number == twin.number => {
                    return self.claimed(run, number, external);
                }
                Holder::Nobody if !mutant::is(Mutant::TwinEndedUnclaimed) => return,
                Holder::Unknown(_) => return,
                Holder::Nobody | Holder::Attempt(..) => {}
            }
        }
        self.change_attempt(run.batch, twin.number, AttemptChange::LateTwin(external));
    }

    /// The first attempt that makes the claim the next one is to make: a new claim only once the last was made by
    /// one that was seen to end.
    pub(super) fn next_round(&mut self, run: &Run, attempt: &Attempt, next: u32) -> Option<u32> {
        attempt.round?;
        match self.holder(run, attempt) {
            Holder::Attempt(..) => Some(next),
            Holder::Nobody | Holder::Unknown(_) => attempt.round,
        }
    }

    fn claimed(&mut self, run: &Run, number: u32, external: ExternalRun) {
        let watch_until = self.now + self.state.timing.watch;
        self.change_attempt(run.batch, number, AttemptChange::Claimed { external, watch_until });
    }
}

/// Whether the run was to end for a reason that lets no attempt follow.
pub(super) fn is_ended_by_others(run: &Run) -> bool {
    matches!(run.cancel, Some(Cancel::Asked | Cancel::ReplacedBy(_)))
}
