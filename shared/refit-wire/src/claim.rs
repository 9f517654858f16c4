//! Claims of guards, as they lie in Cloud Storage and in S3: how one is asked for, and what the answer says.

use refit_core::run::Claim;

use crate::content::{self, is_found};
use crate::http::{Request, Response};
use crate::listing::Buckets;

/// The format of claims.
const VERSION: u32 = 1;

/// What the URI of an object of Cloud Storage begins with.
pub const CLOUD_STORAGE: &str = "gs://";
/// What the URI of an object of S3 begins with.
pub const S3: &str = "s3://";

/// The bucket and the name of an object, or the bucket and a folder in it, where the URI begins so.
#[must_use]
pub fn place<'a>(uri: &'a str, scheme: &str) -> Option<(&'a str, &'a str)> {
    let (bucket, name) = uri.strip_prefix(scheme)?.split_once('/')?;
    let lawful = !bucket.is_empty() && name.split('/').all(|part| !part.is_empty());
    lawful.then_some((bucket, name))
}

/// Whether claims in a folder can be read.
#[must_use]
pub fn is_readable(folder: &str) -> bool {
    [CLOUD_STORAGE, S3].iter().any(|scheme| place(folder, scheme).is_some())
}

impl Buckets {
    /// Asks for the claim at a URI.
    ///
    /// # Errors
    /// Says why it cannot be asked for.
    pub fn claim(&self, uri: &str) -> Result<Request, String> {
        if let Some((bucket, name)) = place(uri, CLOUD_STORAGE) {
            return self.object(content::CLOUD_STORAGE, bucket, name);
        }
        let (bucket, name) = place(uri, S3).ok_or("no object of Cloud Storage or of S3")?;
        self.object(content::S3, bucket, name)
    }
}

/// Reads the answer to [`Buckets::claim`]: nothing where nobody has made it.
///
/// # Errors
/// Says what is wrong, and what would mend it.
pub fn read(uri: &str, response: &Response) -> Result<Option<Claim>, String> {
    if !is_found(uri.starts_with(S3), "the claim", response)? {
        return Ok(None);
    }
    let claim: Option<Claim> = serde_json::from_slice(&response.body).ok();
    let claim = claim.filter(|claim| claim.v == VERSION && !claim.run.is_empty());
    claim.map(Some).ok_or_else(|| "what lies there is no claim".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Auth;

    fn answer(status: u16, body: &'static str) -> Result<Option<Claim>, String> {
        read("gs://g/t/l/b2-1", &Response { status, body: body.into(), ..Response::default() })
    }

    /// A recorded answer of S3.
    fn of_s3(status: u16, body: &'static str) -> Result<Option<Claim>, String> {
        read("s3://g/t/l/b2-1", &Response { status, body: body.into(), ..Response::default() })
    }

    #[test]
    fn a_claim_is_asked_for_by_its_place() {
        let request = Buckets::default().claim("gs://acme-guards/churn/l/b2-1").unwrap();
        let wanted =
            "https://storage.googleapis.com/storage/v1/b/acme-guards/o/churn%2Fl%2Fb2-1?alt=media";
        assert_eq!(request.url.as_str(), wanted);
        for wrong in ["ftp://b/n", "gs://b", "gs:///n", "gs://b/", "gs://b/n/", "s3://b//n"] {
            let refused = Buckets::default().claim(wrong).unwrap_err();
            assert!(refused.starts_with("no object"), "{wrong}: {refused}");
        }
    }

    #[test]
    fn a_claim_in_s3_is_asked_for_in_the_region_that_is_named() {
        let uri = "s3://acme-guards/churn/l 1/b2-1";
        let refused = Buckets::default().claim(uri).unwrap_err();
        assert!(refused.contains("AWS_REGION"), "{refused}");
        let asked = |endpoint| {
            let buckets = Buckets::default().with_s3("eu-central-1", endpoint).unwrap();
            buckets.claim(uri).unwrap()
        };
        let request = asked(None);
        let wanted = "https://s3.eu-central-1.amazonaws.com/acme-guards/churn/l%201/b2-1";
        assert_eq!(request.url.as_str(), wanted);
        let auth = Auth::Aws { service: "s3".to_owned(), region: "eu-central-1".to_owned() };
        assert_eq!(request.auth, auth);
        let stand_in = asked(Some("http://127.0.0.1:5555/"));
        assert_eq!(stand_in.url.as_str(), "http://127.0.0.1:5555/acme-guards/churn/l%201/b2-1");
        assert!(Buckets::default().with_s3("eu-central-1", Some("nowhere")).is_none());
        assert!(Buckets::default().with_s3("evil.example/", None).is_none());
    }

    #[test]
    fn what_s3_answers_is_told_from_a_claim() {
        let claim = of_s3(200, r#"{"v": 1, "key": "rf-0", "run": "8a1b"}"#).unwrap().unwrap();
        assert_eq!((claim.key.as_str(), claim.run.as_str()), ("rf-0", "8a1b"));
        let missing = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.\
                       </Message><Key>churn/l/b2-1</Key></Error>";
        assert_eq!(of_s3(404, missing), Ok(None));
        for (status, body, words) in [
            (404, "<Error><Code>NoSuchBucket</Code></Error>", "no such bucket"),
            (403, "<Error><Code>AccessDenied</Code></Error>", "s3:ListBucket"),
            (301, "<Error><Code>PermanentRedirect</Code></Error>", "another region"),
            (503, "<Error><Code>SlowDown</Code></Error>", "`503`"),
            (200, "go", "no claim"),
        ] {
            let error = of_s3(status, body).unwrap_err();
            assert!(error.contains(words), "{error}");
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
