//! Claims of guards, as they lie in Cloud Storage: how one is asked for, and what the answer says.

use refit_core::run::Claim;

use crate::http::{Request, Response};
use crate::listing::Buckets;

/// The format of claims.
const VERSION: u32 = 1;

/// The bucket and the name of an object of Cloud Storage, or the bucket and a folder in it.
#[must_use]
pub fn place(uri: &str) -> Option<(&str, &str)> {
    let (bucket, name) = uri.strip_prefix("gs://")?.split_once('/')?;
    let lawful = !bucket.is_empty() && name.split('/').all(|part| !part.is_empty());
    lawful.then_some((bucket, name))
}

impl Buckets {
    /// Asks for the claim at a URI; `None` where that is no object of Cloud Storage.
    #[must_use]
    pub fn claim(&self, uri: &str) -> Option<Request> {
        let (bucket, name) = place(uri)?;
        Some(self.request(&[bucket, "o", name], &[("alt", "media")]))
    }
}

/// Reads the answer to [`Buckets::claim`]: nothing where nobody has made it.
///
/// # Errors
/// Says what is wrong, and what would mend it.
pub fn read(response: &Response) -> Result<Option<Claim>, String> {
    match response.status {
        200 => {}
        404 if is_of_bucket(response) => return Err("there is no such bucket".to_owned()),
        404 => return Ok(None),
        401 | 403 => {
            let rights = "storage.objects.get and storage.objects.list";
            return Err(format!("not allowed: it takes the permissions {rights}"));
        }
        status => return Err(format!("the claim cannot be read: status=`{status}`")),
    }
    let claim: Option<Claim> = serde_json::from_slice(&response.body).ok();
    let claim = claim.filter(|claim| claim.v == VERSION && !claim.run.is_empty());
    claim.map(Some).ok_or_else(|| "what lies there is no claim".to_owned())
}

/// Whether it is the bucket that is missing, in the words of the service.
fn is_of_bucket(response: &Response) -> bool {
    String::from_utf8_lossy(&response.body).contains("bucket does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Option<Claim>, String> {
        read(&Response { status, body: body.into(), ..Response::default() })
    }

    #[test]
    fn a_claim_is_asked_for_by_its_place() {
        let request = Buckets::default().claim("gs://acme-guards/churn/l/b2-1").unwrap();
        let wanted =
            "https://storage.googleapis.com/storage/v1/b/acme-guards/o/churn%2Fl%2Fb2-1?alt=media";
        assert_eq!(request.url.as_str(), wanted);
        for wrong in ["s3://b/n", "gs://b", "gs:///n", "gs://b/", "gs://b/n/", "gs://b//n"] {
            assert_eq!(Buckets::default().claim(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_claim_says_who_made_it() {
        let claim = answer(200, "{\"v\": 1, \"key\": \"rf-0\", \"run\": \"8a1b\"}\n").unwrap();
        let claim = claim.unwrap();
        assert_eq!((claim.key.as_str(), claim.run.as_str()), ("rf-0", "8a1b"));
        assert_eq!(answer(404, "No such object: acme-guards/churn/l/b2-1"), Ok(None));
    }

    #[test]
    fn what_is_not_clearly_a_claim_says_nothing_of_who_made_it() {
        let made = |body| answer(200, body).unwrap_err();
        for wrong in [
            "",
            "go",
            "{}",
            r#"{"v": 2, "key": "k", "run": "r"}"#,
            r#"{"v": 1, "key": "k", "run": ""}"#,
            r#"{"v": 1, "key": "k", "run": "r", "more": 1}"#,
        ] {
            assert!(made(wrong).contains("no claim"), "{wrong}");
        }
        for (status, body, words) in [
            (403, "", "storage.objects.get"),
            (
                404,
                r#"{"error": {"message": "The specified bucket does not exist."}}"#,
                "no such bucket",
            ),
            (500, "", "`500`"),
        ] {
            let error = answer(status, body).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
