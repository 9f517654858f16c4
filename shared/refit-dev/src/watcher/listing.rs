//! The watched folder, listed as Cloud Storage lists a bucket: for what sweeps it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Path as Place, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::disk;
use super::notification::{Checksums, resource};
use super::scan::scan;
use super::standing::{Object, Stat};

/// Objects of one page.
const PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    page_token: String,
}

/// `GET /storage/v1/b/BUCKET/o`, with `prefix` and `pageToken`.
pub fn listing(buckets: PathBuf) -> Router {
    Router::new().route("/storage/v1/b/{bucket}/o", get(list)).with_state(Arc::new(buckets))
}

async fn list(
    State(buckets): State<Arc<PathBuf>>,
    Place(bucket): Place<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, StatusCode> {
    let page = disk(move || page(&buckets, &bucket, &wanted)).await;
    page.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn page(buckets: &Path, bucket: &str, wanted: &Wanted) -> io::Result<Value> {
    let found = scan(buckets)?.files;
    let prefix = format!("{bucket}/{}", wanted.prefix);
    let is_wanted = |object: &Object| {
        object.0.starts_with(&prefix) && object.parts().1 >= wanted.page_token.as_str()
    };
    let mut objects = found.iter().filter(|(object, _)| is_wanted(object));
    let mut items = Vec::new();
    for (object, stat) in objects.by_ref().take(PAGE) {
        items.extend(item(buckets, object, stat));
    }
    let mut page = json!({ "kind": "storage#objects", "items": items });
    if let Some((next, _)) = objects.next() {
        page["nextPageToken"] = json!(next.parts().1);
    }
    Ok(page)
}

/// One that has just gone, or cannot be read, is none.
fn item(buckets: &Path, object: &Object, stat: &Stat) -> Option<Value> {
    let checksums = Checksums::of(&buckets.join(&object.0)).ok()?;
    Some(resource(object, stat, &checksums))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_as_a_bucket_is_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = folder.path().join("uploads/in");
        std::fs::create_dir_all(&bucket).unwrap();
        (0..=PAGE).for_each(|n| std::fs::write(bucket.join(format!("{n:04}")), "x").unwrap());
        std::fs::write(folder.path().join("uploads/other"), "x").unwrap();
        let mut wanted = Wanted { prefix: "in/".to_owned(), page_token: String::new() };
        let first = page(folder.path(), "uploads", &wanted).unwrap();
        assert_eq!(first["items"].as_array().unwrap().len(), PAGE);
        wanted.page_token = first["nextPageToken"].as_str().unwrap().to_owned();
        let last = page(folder.path(), "uploads", &wanted).unwrap();
        assert_eq!(last["items"].as_array().unwrap().len(), 1);
        assert_eq!(last["items"][0]["name"], format!("in/{PAGE:04}"));
        assert_eq!(last["nextPageToken"], Value::Null);
        assert_eq!(page(folder.path(), "none", &wanted).unwrap()["items"], json!([]));
    }

    #[test]
    fn what_cannot_be_read_is_not_listed_and_everything_else_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("uploads")).unwrap();
        let file = folder.path().join("uploads/a");
        std::fs::write(&file, "x").unwrap();
        let stat = crate::watcher::scan::look_at(&file).unwrap().unwrap();
        let object = |name: &str| Object(format!("uploads/{name}"));
        assert!(item(folder.path(), &object("a"), &stat).is_some());
        // A name that is too long cannot be opened, whoever asks.
        assert_eq!(item(folder.path(), &object(&"a".repeat(300)), &stat), None);
        crate::watcher::tests::bury(&folder.path().join("uploads"));
        let wanted = Wanted { prefix: String::new(), page_token: String::new() };
        let page = page(folder.path(), "uploads", &wanted).unwrap();
        assert_eq!(page["items"][0]["name"], "a");
    }
}
