//! Where a ledger lies: in a directory, or in a bucket of a server of others.

use std::sync::Arc;

use refit_engine::port::Store;
use refit_platform::store::LocalStore;
use tempfile::TempDir;

/// Where a ledger lies, and how processes are told.
pub(crate) struct Ground {
    /// What `REFIT_LEDGER` says.
    pub(crate) location: String,
    /// What the URI of everything in it begins with.
    pub(crate) root: String,
    /// What the test itself reads and writes it through.
    pub(crate) store: Arc<dyn Store>,
    /// What processes are told beside.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Whether what processes ask of it goes wrong at times.
    pub(crate) is_faulty: bool,
    /// The folder it lies in, which goes with it.
    folder: Option<TempDir>,
}

impl Ground {
    /// A directory.
    pub(crate) async fn directory() -> Self {
        let folder = TempDir::with_prefix("refit-it").unwrap();
        let place = folder.path().join("ledger");
        let store = Arc::new(LocalStore::open(&place).await.unwrap());
        Self {
            location: place.display().to_string(),
            root: format!("file://{}/", place.display()),
            store,
            variables: Vec::new(),
            is_faulty: false,
            folder: Some(folder),
        }
    }

    /// A folder of a bucket of the stand-in for Cloud Storage at `server`, which processes find at `place`.
    #[cfg(feature = "gcp")]
    pub(crate) async fn bucket(server: &str, place: &str, folder: &str) -> Self {
        use refit_platform::clock::SystemClock;
        use refit_platform::store::{Folder, GcsStore};
        use refit_platform::transport::{HttpTransport, Options};

        let clock = Arc::new(SystemClock);
        let transport = HttpTransport::new(Arc::<SystemClock>::clone(&clock), Options::default());
        let lies = Folder::parse(&format!("{LEDGERS}/{folder}")).unwrap();
        let transport = Arc::new(transport.unwrap());
        let store = GcsStore::open(lies, Some(server), clock, transport).await.unwrap();
        let location = format!("gs://{LEDGERS}/{folder}");
        Self {
            root: format!("{location}/"),
            location,
            store: Arc::new(store),
            variables: vec![("STORAGE_EMULATOR_HOST", place.to_owned())],
            is_faulty: server != place,
            folder: None,
        }
    }

    /// The folder of a ledger in a directory.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.as_ref().expect("it lies in a directory").path().join("ledger")
    }
}

/// The bucket of ledgers.
#[cfg(feature = "gcp")]
pub(crate) const LEDGERS: &str = "ledgers";
