//! Tokens are given, and expire when they are told to.

use refit_testkit::fake::client::call;
use refit_testkit::fake::metadata::Metadata;

const ACCOUNT: &str = "GET /computeMetadata/v1/instance/service-accounts/default";
const FLAVOR: &str = "metadata-flavor: Google\r\n";

#[tokio::test]
async fn tokens_are_new_each_time_and_good_until_they_expire() {
    let metadata = Metadata::start();
    let is_good = metadata.judge();
    let mut tokens = Vec::new();
    for path in ["token", "token", "identity?audience=x&format=full"] {
        let line = format!("{ACCOUNT}/{path}");
        let reply = call(&metadata.place(), &line, FLAVOR, b"").await.unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.head.contains("metadata-flavor: Google"), "{}", reply.head);
        let token = reply.json()["access_token"].as_str().map(str::to_owned);
        tokens.push(token.unwrap_or(reply.body));
    }
    assert!(tokens.iter().all(|token| token.starts_with(Metadata::CANARY) && is_good(token)));
    assert_ne!(tokens[0], tokens[1]);
    metadata.expire();
    assert!(!tokens.iter().any(|token| is_good(token)));
    assert_eq!(metadata.given(), 3);
}

#[tokio::test]
async fn whoever_does_not_say_the_word_gets_nothing() {
    let metadata = Metadata::start();
    for (path, flavor, status) in
        [("token", "", 403), ("token", "metadata-flavor: no\r\n", 403), ("nothing", FLAVOR, 404)]
    {
        let line = format!("{ACCOUNT}/{path}");
        let reply = call(&metadata.place(), &line, flavor, b"").await.unwrap();
        assert_eq!(reply.status, status, "{path} {flavor}");
    }
    assert_eq!(metadata.given(), 0);
}
