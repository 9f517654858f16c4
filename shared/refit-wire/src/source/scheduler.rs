//! Calls of Cloud Scheduler over HTTP. They say that time has passed and nothing else: what is due is found out
//! by whoever is called, so one that is missed or repeated does no harm.

use std::collections::BTreeMap;

use http::HeaderMap;
use refit_core::time::Timestamp;

use super::payload::Payload;
use super::{Arrival, Meaning, Ping, Rejected, Understood};

/// Recognises them by the header `X-CloudScheduler`.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    match arrival {
        Arrival::Request(delivery) if delivery.headers.contains_key("x-cloudscheduler") => {
            let ping = ping(delivery.headers, delivery.body);
            Ok(Some(Meaning::Means(Understood::Ping(ping))))
        }
        Arrival::Request(_)
        | Arrival::Document(_)
        | Arrival::CloudEvent(_)
        | Arrival::Pubsub(_)
        | Arrival::Enveloped(_) => Ok(None),
    }
}

/// A ping whose headers cannot be read is a ping all the same.
fn ping(headers: &HeaderMap, body: &[u8]) -> Ping {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let job = text("x-cloudscheduler-jobname");
    Ping {
        origin: "scheduler.http".to_owned(),
        job: job.rsplit('/').next().unwrap_or(job).to_owned(),
        time: text("x-cloudscheduler-scheduletime").parse::<Timestamp>().ok(),
        delivery: None,
        data: Payload::guessed(body.to_vec()).into_data(&mut BTreeMap::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{event, form};

    #[test]
    fn a_ping_is_known_by_its_job_and_its_time_in_utc() {
        let cases = [
            ("refit-tick", "2026-01-05T13:00:00+01:00", "2026-01-05T12:00:00Z"),
            (
                "projects/p/locations/l/jobs/refit-tick",
                "2026-01-05T12:00:00Z",
                "2026-01-05T12:00:00Z",
            ),
            ("refit-tick", "soon", "RECEIVED_AT"),
        ];
        for (job, time, slot) in cases {
            let headers = [
                ("x-cloudscheduler", "true"),
                ("x-cloudscheduler-jobname", job),
                ("x-cloudscheduler-scheduletime", time),
            ];
            let form = form(&headers, "");
            assert_eq!(
                event(&form)["identity"],
                json!(["tick", "refit-tick", slot]),
                "{job} {time}"
            );
        }
    }

    #[test]
    fn a_ping_of_which_nothing_can_be_read_is_a_ping() {
        let headers = [("x-cloudscheduler", ""), ("x-cloudscheduler-jobname", "Ä")];
        let form = form(&headers, "\u{0}");
        assert_eq!(event(&form)["identity"], json!(["tick", "", "RECEIVED_AT"]));
        assert_eq!(event(&form)["data"], json!("\u{0}"));
    }
}
