//! Gathering facts of AWS.

use std::collections::BTreeSet;

use futures::future::join_all;
use refit_wire::cloud::aws::Aws;

use super::{HOOK, Look};
use crate::doctor::facts::{Facts, Needed, reconciles};

impl Look<'_> {
    /// Gathers what follows from the ledger and the rules.
    pub(super) async fn look_at_aws(&self, aws: &Aws, facts: &mut Facts) {
        let watched = facts.watched_in("s3").into_iter().map(str::to_owned).collect();
        let ledger = facts.ledger.in_s3().map(|(bucket, _)| bucket.to_owned());
        let ledger: BTreeSet<String> = ledger.into_iter().collect();
        facts.aws.announced = self.each(&watched, |bucket| aws.announced(bucket)).await;
        facts.aws.policies = self.each(&ledger, |bucket| aws.bucket_policy(bucket)).await;
        facts.aws.rules = self.each(&ledger, |bucket| aws.lifecycle(bucket)).await;
        facts.aws.lambdas = Some(self.read(aws.lambdas()).await);
        facts.aws.mappings = Some(self.read(aws.mappings()).await);
        self.look_at_lambdas(aws, facts).await;
        self.look_at_queues(aws, facts, facts.event_queues()).await;
        let queues = facts.aws.queues.values().filter_map(|read| read.as_ref().ok());
        let dead = queues.filter_map(|queue| queue.dead_letters.clone()).collect();
        self.look_at_queues(aws, facts, dead).await;
    }

    async fn look_at_lambdas(&self, aws: &Aws, facts: &mut Facts) {
        let functions = facts.lambdas().into_iter().map(|lambda| &lambda.function);
        let (reconcilers, rest): (Vec<_>, Vec<_>) = functions.partition(|it| reconciles(it));
        let closed = rest.iter().filter(|it| it.program() != Some(HOOK)).chain(&reconcilers);
        let closed = closed.map(|function| function.name.clone()).collect();
        let reconcilers = reconcilers.iter().map(|function| function.name.clone()).collect();
        facts.aws.reserved = self.each(&reconcilers, |name| aws.reserved(name)).await;
        facts.aws.urls = self.each(&closed, |name| aws.function_url(name)).await;
        let asked = facts.needed().into_iter().map(async |needed| {
            let Needed { role, thing, actions } = &needed;
            let read = self.read(aws.refused(role, actions, thing)).await;
            (needed, read)
        });
        facts.aws.refused = join_all(asked).await.into_iter().collect();
    }

    async fn look_at_queues(&self, aws: &Aws, facts: &mut Facts, queues: BTreeSet<String>) {
        let is_new = |arn: &String| !facts.aws.queues.contains_key(arn);
        let asked = queues.into_iter().filter(is_new).filter_map(|arn| {
            let question = aws.queue(&arn)?;
            Some(async move { (arn, self.read(question).await) })
        });
        let read = join_all(asked.collect::<Vec<_>>()).await;
        facts.aws.queues.extend(read);
    }
}
