//! The rules in force, checked and compiled: what a revision of the rule file says.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::drift::{DriftReport, Finding, Role, Verdict};
use crate::event::{DataRef, Message, PauseMode};
use crate::expression::Expression;
use crate::key::{Hash128, hash128};
use crate::notice::{Notice, NoticeKind};
use crate::promotion::{PromoteRule, Stage, StageEntry};
use crate::reason::Refusal;
use crate::schedule::Schedule;
use crate::template::Template;
use crate::time::Span;
use crate::timing::BATCH_COUNT_DEFAULT;
use crate::window::Window;

/// One revision of the rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// SHA-256 of the file, hexadecimal.
    pub revision: String,
    /// What the planner must know of each service, by name.
    pub services: BTreeMap<String, ServiceProfile>,
    /// The triggers, by name.
    pub triggers: BTreeMap<String, Trigger>,
    /// Who can be told of what happens, by name.
    pub receivers: BTreeMap<String, Receiver>,
}

/// What the planner must know of who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The kinds of notices it wants.
    pub on: BTreeSet<NoticeKind>,
    /// Whether notices may be gathered into one letter.
    pub groups: bool,
}

/// How starting a run behaves when it is done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Idempotency {
    /// The service refuses, or answers with the same run, for the same key.
    A,
    /// Keys are accepted, but a second start with one does harm.
    B,
    /// The service knows no keys; runs are found by a marker.
    C,
}

/// What the planner must know of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceProfile {
    /// How starting twice behaves.
    pub class: Idempotency,
    /// Whether a run can be looked up by its key or marker.
    pub finds: bool,
    /// Whether a run can be cancelled.
    pub cancels: bool,
}

/// From events to runs of one pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// What it listens to; any of them.
    pub on: Vec<On>,
    /// A condition every event must meet.
    pub when: Option<Expression>,
    /// How events become batches.
    pub batch: BatchRule,
    /// The least time between two launches.
    pub cooldown: Span,
    /// What to do while a run is active.
    pub overlap: Overlap,
    /// The hours of days within which it may start runs; at any time if absent.
    pub window: Option<Window>,
    /// How many runs it may start in a sliding period.
    pub budget: Budget,
    /// When a failed run is tried again.
    pub retry: Retry,
    /// How long a run may take before it is cancelled.
    pub timeout: Span,
    /// Whether the rule file itself pauses it.
    pub pause: Option<PauseMode>,
    /// What to do where the fate of a start call cannot be learned.
    pub on_unknown: OnUnknown,
    /// Who is told of what happens, by name.
    pub notify: BTreeSet<String>,
    /// The run it starts.
    pub run: RunRule,
    /// What becomes of the models its runs make; nothing where there is none.
    pub promote: Option<PromoteRule>,
}

/// One thing a trigger listens to.
#[derive(Clone, Debug, PartialEq)]
pub enum On {
    /// New generations of objects.
    Objects(ObjectMatch),
    /// Messages.
    Message(MessageMatch),
    /// Drift reports.
    Drift(DriftMatch),
    /// Times.
    Schedule(Schedule),
    /// Versions of a model that are given a stage.
    Model(ModelMatch),
}

/// Which objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectMatch {
    /// The bucket, with or without a scheme such as `gs://`.
    pub bucket: String,
    /// What the name must begin with.
    pub prefix: String,
    /// What the name must end with.
    pub suffix: String,
    /// A pattern for the whole name; `*` stays within a folder, `**` does not.
    pub glob: Option<Glob>,
    /// Whether empty objects count.
    pub zero_bytes: bool,
    /// Whether an upload with the bytes the object had counts.
    pub identical: bool,
}

/// A compiled pattern for object names.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    matcher: GlobMatcher,
}

/// Which messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageMatch {
    /// CloudEvents `type`, exactly; any if absent.
    pub ty: Option<String>,
    /// CloudEvents `source`, exactly; any if absent.
    pub source: Option<String>,
    /// Patterns for the files a push touches, one of which must match; any if empty.
    pub paths: Vec<Glob>,
}

/// Which drift reports.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftMatch {
    /// The model, its deployment or endpoint, or the monitor.
    pub model: String,
    /// The least share of columns that drifted; any if absent.
    pub min_share: Option<f64>,
    /// Features of which one must have drifted; any if empty.
    pub features: BTreeSet<String>,
    /// So many reports in a row.
    pub consecutive: u32,
}

/// Which versions of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelMatch {
    /// The model.
    pub model: String,
    /// The stage they are given.
    pub stage: Stage,
}

/// How accepted events become batches.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchRule {
    /// Every event is a batch of its own.
    pub each: bool,
    /// Due when nothing was accepted for this long.
    pub quiet: Option<Span>,
    /// Due this long after its first member, even if data still arrives.
    pub max_wait: Option<Span>,
    /// Members it needs, but not beyond `max_wait`.
    pub min_count: u64,
    /// Bytes it needs, but not beyond `max_wait`.
    pub min_bytes: u64,
    /// Members it may have; the rest opens the next.
    pub max_count: u64,
    /// One batch per value.
    pub by: Option<Expression>,
    /// The marker object that closes it.
    pub until: Option<ObjectMatch>,
}

/// What to do with a due batch while a run of the trigger is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// Start anyway.
    Allow,
    /// Hold it; members go on coalescing.
    Forbid,
    /// Keep so many closed batches waiting; beyond, coalesce.
    Queue(u32),
    /// Cancel the active run and move its members to this batch.
    Replace,
}

/// So many runs per sliding period, every attempt counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Attempts.
    pub runs: u32,
    /// The period.
    pub per: Span,
}

/// When a failed or timed-out run is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u32,
    /// The wait before the second.
    pub backoff: Span,
    /// The longest wait.
    pub max_backoff: Span,
}

/// What to do where the fate of a start call cannot be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnUnknown {
    /// Abandon the key and start under a new one.
    Relaunch,
    /// Alert, and wait for a person.
    Ask,
}

/// The run a trigger starts.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRule {
    /// The service, by name.
    pub service: String,
    /// What the service is to run, in its own terms.
    pub target: Value,
    /// The parameters, by name.
    pub parameters: BTreeMap<String, Template>,
    /// Whether the service may answer steps from its cache.
    pub cache: bool,
    /// The folder, as `gs://BUCKET/FOLDER`, in which the first step of the pipeline makes a claim; none where it has
    /// no guard.
    pub guard: Option<String>,
}

impl Rules {
    /// Who is told of a notice: those its trigger names, or everybody where it concerns no trigger, or one that is no longer
    /// in the rules and has none that promotes the same model in its place; of these, who wants its kind.
    pub fn told<'a>(
        &'a self,
        notice: &'a Notice,
    ) -> impl Iterator<Item = (&'a String, &'a Receiver)> {
        let rule = notice.trigger.as_ref().and_then(|trigger| {
            let own = self.triggers.get(trigger);
            own.or_else(|| self.promoting(notice.model.as_ref()?))
        });
        self.receiving(rule, notice.kind)
    }

    /// The trigger whose versions are of this model; the first, where there are several.
    pub(crate) fn promoting(&self, model: &str) -> Option<&Trigger> {
        let promotes = |rule: &&Trigger| rule.promote.as_ref().is_some_and(|it| it.model == model);
        self.triggers.values().find(promotes)
    }

    /// Whether anybody is told of this kind of notice of the trigger.
    #[must_use]
    pub fn tells(&self, trigger: &str, kind: NoticeKind) -> bool {
        self.receiving(self.triggers.get(trigger), kind).next().is_some()
    }

    /// Those a trigger names, or all, that want a kind of notice.
    fn receiving(
        &self,
        rule: Option<&Trigger>,
        kind: NoticeKind,
    ) -> impl Iterator<Item = (&String, &Receiver)> {
        self.receivers.iter().filter(move |(name, receiver)| {
            rule.is_none_or(|rule| rule.notify.contains(*name)) && receiver.on.contains(&kind)
        })
    }
}

impl Trigger {
    /// A trigger with the stated defaults: 500 uploads are one run, and a loop stops itself.
    #[must_use]
    pub fn new(on: Vec<On>, run: RunRule) -> Self {
        Self {
            on,
            when: None,
            batch: BatchRule::default(),
            cooldown: Span::ZERO,
            window: None,
            overlap: Overlap::Forbid,
            budget: Budget { runs: 24, per: Span::hours(24) },
            retry: Retry { attempts: 1, backoff: Span::mins(1), max_backoff: Span::hours(1) },
            timeout: Span::hours(24),
            pause: None,
            on_unknown: OnUnknown::Relaunch,
            notify: BTreeSet::new(),
            run,
            promote: None,
        }
    }

    /// Whether it listens to this object by its place, whatever its condition says.
    #[must_use]
    pub fn watches(&self, object: &DataRef) -> bool {
        self.object_match(object).is_some()
    }

    /// The entry of `on` that matches this object.
    #[must_use]
    pub fn object_match(&self, object: &DataRef) -> Option<&ObjectMatch> {
        self.on.iter().find_map(|on| match on {
            On::Objects(matching) => matching.matches(object).then_some(matching),
            On::Message(_) | On::Drift(_) | On::Schedule(_) | On::Model(_) => None,
        })
    }

    /// Whether it listens to this message, whatever its condition says.
    #[must_use]
    pub fn hears(&self, message: &Message) -> bool {
        self.on.iter().any(|on| match on {
            On::Message(matching) => matching.matches(message),
            On::Objects(_) | On::Drift(_) | On::Schedule(_) | On::Model(_) => false,
        })
    }

    /// The entries of `on` that a report concerns, whatever it says.
    pub fn minds<'a>(&'a self, report: &'a DriftReport) -> impl Iterator<Item = &'a DriftMatch> {
        self.on.iter().filter_map(|on| match on {
            On::Drift(entry) => report.is_about(&entry.model).then_some(entry),
            On::Objects(_) | On::Message(_) | On::Schedule(_) | On::Model(_) => None,
        })
    }

    /// The schedules among the entries of `on`.
    pub fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        self.on.iter().filter_map(|on| match on {
            On::Schedule(schedule) => Some(schedule),
            On::Objects(_) | On::Message(_) | On::Drift(_) | On::Model(_) => None,
        })
    }

    /// Whether it listens to this version's being given its stage.
    #[must_use]
    pub fn follows(&self, entry: &StageEntry) -> bool {
        self.on.iter().any(|on| match on {
            On::Model(matching) => matching.model == entry.name && matching.stage == entry.stage,
            On::Objects(_) | On::Message(_) | On::Drift(_) | On::Schedule(_) => false,
        })
    }
}

impl BatchRule {
    /// How long the first member waits at the most.
    #[must_use]
    pub fn longest_wait(&self) -> Span {
        self.max_wait.unwrap_or(Span::ZERO)
    }
}

impl Default for BatchRule {
    fn default() -> Self {
        Self {
            each: false,
            quiet: Some(Span::mins(1)),
            max_wait: Some(Span::hours(1)),
            min_count: 0,
            min_bytes: 0,
            max_count: BATCH_COUNT_DEFAULT,
            by: None,
            until: None,
        }
    }
}

impl ObjectMatch {
    /// The store (`gs` or `s3`) and the name of the bucket. One without a scheme is where the ledger at this URI is: in S3,
    /// or else in Cloud Storage.
    #[must_use]
    pub fn store_and_bucket(&self, ledger: &str) -> (&str, &str) {
        let usual = if ledger.starts_with("s3://") { "s3" } else { "gs" };
        self.bucket.split_once("://").unwrap_or((usual, &self.bucket))
    }

    /// Whether the place of the object matches.
    #[must_use]
    pub fn matches(&self, object: &DataRef) -> bool {
        self.fault(object).is_none()
    }

    /// The first condition the object fails, in words; none if it matches.
    #[must_use]
    pub fn fault(&self, object: &DataRef) -> Option<String> {
        let bucket = match self.bucket.split_once("://") {
            Some((scheme, bucket)) => scheme == object.scheme && bucket == object.bucket,
            None => self.bucket == object.bucket,
        };
        if !bucket {
            return Some(format!("bucket `{}` is not `{}`", object.bucket, self.bucket));
        }
        if !object.name.starts_with(&self.prefix) {
            return Some(format!("the name does not begin with `{}`", self.prefix));
        }
        if !object.name.ends_with(&self.suffix) {
            return Some(format!("the name does not end with `{}`", self.suffix));
        }
        let unmatched = self.glob.as_ref().filter(|glob| !glob.matches(&object.name));
        unmatched.map(|glob| format!("the name does not match `{}`", glob.text))
    }
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        let glob = glob.map_err(|error| error.kind().to_string())?;
        Ok(Self { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    /// The pattern as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl MessageMatch {
    /// Whether the message matches.
    #[must_use]
    pub fn matches(&self, message: &Message) -> bool {
        self.ty.as_ref().is_none_or(|ty| *ty == message.ty)
            && self.source.as_ref().is_none_or(|source| *source == message.source)
            && (self.paths.is_empty() || self.touches(message))
    }

    /// Whether it is about a file that one of the patterns is for.
    fn touches(&self, message: &Message) -> bool {
        let paths = message.data.get("paths").and_then(Value::as_array).into_iter().flatten();
        let mut paths = paths.filter_map(Value::as_str);
        paths.any(|path| self.paths.iter().any(|glob| glob.matches(path)))
    }
}

impl DriftMatch {
    /// Whether a report says what is asked for; else why not, with a word on it. What it leaves open is neither.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge(&self, report: &DriftReport) -> Result<(), (Refusal, Option<String>)> {
        let because = |reason, detail: String| Err((reason, Some(detail)));
        match report.verdict {
            Verdict::Drift => {}
            Verdict::Unknown => return Err((Refusal::Undecided, None)),
            Verdict::Possible | Verdict::Ok | Verdict::Resolved => {
                let verdict = report.verdict.text();
                return because(Refusal::NoDrift, format!("verdict=`{verdict}`"));
            }
        }
        self.judge_features(report)?;
        let Some(least) = self.min_share else { return Ok(()) };
        match report.share() {
            Some(share) if share >= least => Ok(()),
            Some(share) => {
                because(Refusal::BelowShare, format!("share=`{share:.3}`, min_share=`{least}`"))
            }
            None => because(Refusal::Undecided, "it states no share of columns".to_owned()),
        }
    }

    /// That other features drifted is known only where some column is said to have: a report that lists none, and one
    /// whose findings are conditions of a monitor, leave it open.
    fn judge_features(&self, report: &DriftReport) -> Result<(), (Refusal, Option<String>)> {
        let ours = report.findings.iter().filter(|it| self.features.contains(&it.name));
        let drifted: Vec<Option<bool>> = ours.map(|finding| finding.drifted).collect();
        if self.features.is_empty() || drifted.contains(&Some(true)) {
            return Ok(());
        }
        let column_drifted =
            |it: &Finding| it.role != Some(Role::Dataset) && it.drifted == Some(true);
        let known = match drifted.is_empty() {
            true => report.findings.iter().any(column_drifted),
            false => !drifted.contains(&None),
        };
        match known {
            true => Err((Refusal::OtherFeatures, None)),
            false => Err((Refusal::Undecided, Some("it leaves the features open".to_owned()))),
        }
    }

    /// The row a report belongs to: reports of one tool, monitor, model and question, judged by these settings.
    #[must_use]
    pub fn series(&self, report: &DriftReport) -> Hash128 {
        let features: Vec<&str> = self.features.iter().map(String::as_str).collect();
        let settings =
            format!("{:?} {features:?} {} {}", self.min_share, self.consecutive, self.model);
        hash128(report.series().0.into_iter().chain([settings.as_str()]))
    }
}

impl Retry {
    /// The wait before attempt `next`, counted from 2.
    #[must_use]
    pub fn wait(&self, next: u32) -> Span {
        let doublings = next.saturating_sub(2).min(30);
        self.backoff.times(1 << doublings).min(self.max_backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> DataRef {
        DataRef { scheme: "gs".into(), bucket: "b".into(), name: name.into(), ..DataRef::default() }
    }

    #[test]
    fn a_match_says_which_condition_failed() {
        let glob = Some(Glob::new("in/**/*.csv").unwrap());
        let matching = ObjectMatch {
            bucket: "gs://b".into(),
            prefix: "in/".into(),
            suffix: ".csv".into(),
            glob,
            ..ObjectMatch::default()
        };
        assert!(matching.matches(&object("in/a/b/c.csv")));
        assert!(matching.matches(&object("in/c.csv")), "`**` matches no folder as well");
        let fault = |name: &str| matching.fault(&object(name)).unwrap_or_default();
        assert!(fault("out/c.csv").contains("begin with"));
        assert!(fault("in/c.txt").contains("end with"));
        let s3 = DataRef { scheme: "s3".into(), ..object("in/c.csv") };
        assert!(matching.fault(&s3).unwrap().contains("bucket"));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry { attempts: 9, backoff: Span::mins(2), max_backoff: Span::mins(5) };
        let waits = [2, 3, 4, 40].map(|next| retry.wait(next).to_string());
        assert_eq!(waits, ["2m", "4m", "5m", "5m"]);
    }
}
