//! Answers of buckets: listings, objects and claims. An input is what was asked for and the status of the answer, a line
//! end, and the body.

use refit_core::event::DataRef;
use refit_core::run::Claim;
use refit_wire::http::Response;
use refit_wire::{claim, content, listing};

use super::events::check_stored;
use super::{Outcome, Target, first_line};

pub(super) const BUCKETS: Target =
    Target { name: "buckets", about: "listings, objects and claims in buckets", seeds, give };

const BUCKET: &str = "acme";

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"listing 200
{"items": [{"bucket": "acme", "name": "in/a", "generation": "12", "metageneration": "1", "size": "3",
"md5Hash": "rL0Y20zC+Fzt72VPzMSk2A==", "crc32c": "AAAAAA==", "timeCreated": "2026-01-05T12:00:00Z",
"contentType": "text/csv", "metadata": {"refit_model": "churn"}}, {"name": "b"}], "nextPageToken": "n"}"#,
        "listing 200\n{}",
        "object 206\n{\"metrics\": []}",
        "object 416\n<Error/>",
        "object 404\n<Error><Code>NoSuchKey</Code></Error>",
        "claim 200\n{\"v\": 1, \"key\": \"rf-0\", \"run\": \"8a1b\"}",
        "claim 404\n<Error><Code>NoSuchKey</Code></Error>",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

fn give(input: &[u8]) -> Outcome {
    let refused = |why: &str| Outcome::Refused(why.to_owned());
    let (head, body) = first_line(input);
    let head = String::from_utf8_lossy(head);
    let Some((asked, status)) = head.split_once(' ') else { return refused("nothing is asked") };
    let Ok(status) = status.parse() else { return refused("no status") };
    let response = Response { status, body: body.to_vec().into(), ..Response::default() };
    let read = match asked {
        "listing" => read_listing(&response),
        "object" => read_object(&response),
        "claim" => read_claim(&response),
        _ => return refused("nothing is asked"),
    };
    read.map_or_else(Outcome::Refused, Outcome::Understood)
}

/// What is listed is of the bucket that was listed, and can be stored.
fn read_listing(response: &Response) -> Result<String, String> {
    let listed = listing::read(BUCKET, response)?;
    check_stored(&listed.events);
    for event in &listed.events {
        let bucket = event.identity.0.get(1).map(String::as_str);
        assert_eq!(bucket, Some(BUCKET), "of another bucket: {event:?}");
    }
    let more = listed.next.is_some();
    Ok(format!("{}, {}, {more}", listed.events.len().min(2), listed.unreadable.min(2)))
}

/// What is read is the whole of the answer.
fn read_object(response: &Response) -> Result<String, String> {
    let object = DataRef { bucket: BUCKET.to_owned(), ..DataRef::default() };
    let read = content::read(&object, response)?;
    let whole = |body: &bytes::Bytes| body.is_empty() || *body == response.body;
    assert!(read.as_ref().is_none_or(whole), "{read:?}");
    Ok(format!("an object: {}", read.is_some()))
}

/// A claim says who made it, and says the same when it is written again.
fn read_claim(response: &Response) -> Result<String, String> {
    let read = claim::read("gs://acme/churn/l/b2-1", response)?;
    if let Some(claim) = &read {
        assert!(!claim.run.is_empty(), "{claim:?}");
        let written = serde_json::to_vec(claim).expect("a claim is JSON");
        let again: Claim = serde_json::from_slice(&written).expect("what was written is read");
        assert_eq!(&again, claim);
    }
    Ok(format!("a claim: {}", read.is_some()))
}
