//! Folders of runs: what of a run is on disk.
//!
//! A folder appears at once and whole, with the request in it; from then on only its journal grows, one line for every
//! change, each durable before anything follows from it.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use refit_core::key::RunKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::run::{Accepted, Record};

/// Files of a run that are listed at most.
pub(super) const ARTIFACTS_MAX: usize = 1000;
/// Folders not yet whole begin with it.
pub(super) const DRAFT: &str = ".draft-";
const REQUEST: &str = "request.json";
const JOURNAL: &str = "journal.jsonl";

/// The folder of a run.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// The journal of a run, open to be added to.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// The bytes known to be whole.
    bytes: u64,
}

impl Folder {
    /// The folder of a run below that of all runs.
    pub(super) fn of(runs: &Path, id: RunKey) -> Self {
        Self(runs.join(id.to_string()))
    }

    /// Makes it, with its request and its parameters in it. It is there, and durable, or it is not.
    pub(super) fn create(
        &self,
        accepted: &Accepted,
        parameters: &Map<String, Value>,
    ) -> io::Result<Journal> {
        let (runs, name) = (self.parent()?, accepted.id.to_string());
        let draft = Self(runs.join(format!("{DRAFT}{name}")));
        remove(&draft.0)?;
        for folder in [&draft.0, &draft.artifacts(), &draft.logs()] {
            fs::create_dir(folder)?;
        }
        write(&draft.0.join(REQUEST), accepted)?;
        write(&draft.parameters(), parameters)?;
        let file = File::create_new(draft.0.join(JOURNAL))?;
        file.sync_all()?;
        sync(&draft.0)?;
        fs::rename(&draft.0, &self.0)?;
        sync(runs)?;
        Ok(Journal { file, bytes: 0 })
    }

    /// Reads it: what was asked for, what happened, and the journal to go on with.
    pub(super) fn open(&self) -> io::Result<(Accepted, Vec<Record>, Journal)> {
        let accepted = read(&self.0.join(REQUEST))?;
        let path = self.0.join(JOURNAL);
        let text = fs::read(&path)?;
        // A line that was cut short was never relied on.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let lines = text[..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let records = lines.map(serde_json::from_slice).collect::<Result<_, _>>()?;
        let file = File::options().write(true).open(&path)?;
        Ok((accepted, records, Journal { file, bytes: whole as u64 }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn parameters(&self) -> PathBuf {
        self.0.join("parameters.json")
    }

    pub(super) fn log(&self, step: &str) -> PathBuf {
        self.logs().join(format!("{step}.log"))
    }

    fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub(super) fn artifacts(&self) -> PathBuf {
        self.0.join("artifacts")
    }

    /// The files in its artifacts folder, in the order of their names; links are not followed.
    pub(super) fn list_artifacts(&self) -> Vec<String> {
        let root = self.artifacts();
        let mut folders = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            for entry in entries.take(ARTIFACTS_MAX) {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_file() => found.push(entry.path()),
                    Ok(_) | Err(_) => {}
                }
            }
            if found.len() >= ARTIFACTS_MAX {
                break;
            }
        }
        found.sort();
        let names = found.iter().filter_map(|path| path.strip_prefix(&root).ok()?.to_str());
        names.take(ARTIFACTS_MAX).map(str::to_owned).collect()
    }

    fn parent(&self) -> io::Result<&Path> {
        self.0.parent().ok_or_else(|| io::Error::other("a run lies below the folder of all runs"))
    }
}

impl Journal {
    /// Adds a line; once this has succeeded, it is durable.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        // What an earlier try left behind is cut off.
        self.file.set_len(self.bytes)?;
        self.file.seek(SeekFrom::Start(self.bytes))?;
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

/// The folders of runs, once those that never became whole are removed.
pub(super) fn all(runs: &Path) -> io::Result<Vec<(RunKey, Folder)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(DRAFT) {
            remove(&entry.path())?;
        } else if let Ok(id) = name.parse() {
            found.push((id, Folder(entry.path())));
        }
    }
    Ok(found)
}

/// Stores a value under a name that may exist: the old one or the new one is there, whole.
pub(super) fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let draft = path.with_extension("draft");
    write(&draft, value)?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), sync)
}

/// Reads a stored value.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Stores a value in a file of its own; once this has succeeded, its content is durable.
pub(super) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut file = File::create(path)?;
    serde_json::to_writer(&mut file, value)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a folder, if there is one.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
