//! What a download that failed leaves and the next goes on with: `NAME.part`, and beside it a record of what it is a part of.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::super::range::{Bytes, ContentRange, Range};
use super::super::{Head, Url};
use crate::file::{AtomicFile, FileError, PartFile};
use crate::limits;

/// A file that is being fetched and may be gone on with.
pub(super) struct ResumableFile(Arc<PartialFile>);

/// The part of a file that is there. It is kept at the end of a download that failed, or before the process is ended.
#[derive(Debug)]
pub struct PartialFile {
    file: PartFile,
    record: Mutex<Option<Record>>,
    /// Whether it is another one than was found.
    is_ours: AtomicBool,
    is_done: AtomicBool,
}

/// What a part is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    url: String,
    /// A strong ETag or a Last-Modified.
    validator: String,
    length: Option<u64>,
    /// The boot of the machine in which it was written: what was not stored may be lost or wrong after the next.
    boot: String,
    stored: u64,
}

/// Why what comes cannot go to where a part stands.
#[derive(Debug)]
pub(super) enum BeginError {
    /// The server says that it is the version of before, and now it has another length.
    OtherLength,
    /// There is no room for it.
    File(FileError),
}

impl fmt::Display for BeginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherLength => {
                f.write_str("the server says that it is the same as before and now has another length")
            }
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BeginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OtherLength => None,
            Self::File(error) => Some(error),
        }
    }
}

impl ResumableFile {
    pub(super) fn open(target: &Path, replace: bool) -> Result<Self, FileError> {
        let file = PartFile::open(target, replace)?;
        let record = Mutex::new(None);
        Ok(Self(Arc::new(PartialFile {
            file,
            record,
            is_ours: AtomicBool::new(false),
            is_done: AtomicBool::new(false),
        })))
    }

    /// For a signal that ends the process.
    pub(super) fn held(&self) -> Arc<PartialFile> {
        Arc::clone(&self.0)
    }

    /// What is missing, if what is there is known to be a part of the URL.
    pub(super) fn missing(&self, url: &Url) -> Option<Range> {
        let record = Record::read(&self.0.record_path()).filter(|record| record.url == url.to_string())?;
        let there = self.0.file.length().ok()?;
        let sure = if record.boot == boot() { there } else { there.min(record.stored) };
        let first = match record.length {
            Some(length) if sure > length => return None,
            // All is there and has not got its name: of the last byte the server says whether it still is so.
            Some(length) => sure.min(length.saturating_sub(1)),
            None => sure,
        };
        let if_still = Some(record.validator.clone());
        *self.0.record() = Some(record);
        (first > 0).then_some(Range { bytes: Bytes::From(first, None), if_still })
    }

    /// Makes room for what comes: behind what is there, or from the beginning. How many bytes stay is returned.
    ///
    /// # Errors
    /// The server has something else now; no room can be made.
    pub(super) fn begin(&self, url: &Url, head: &Head, came: Option<ContentRange>) -> Result<u64, BeginError> {
        let held = &*self.0;
        let first = came.map_or(0, |came| came.first);
        if let Some(came) = came
            && held
                .length()
                .is_some_and(|length| came.total.is_some_and(|total| total != length) || came.last >= length)
        {
            held.remember(None);
            return Err(BeginError::OtherLength);
        }
        held.is_ours.store(true, Ordering::Relaxed);
        // A record never stands beside bytes of something else, at whatever line the process is killed.
        let record = if came.is_none() {
            held.remember(None);
            Record::of(url, head)
        } else {
            held.record()
                .clone()
                .map(|record| Record { length: record.length.or(came.and_then(|came| came.total)), ..record })
        };
        held.file.go_on_at(first).map_err(BeginError::File)?;
        // What is kept was stored before another boot; what comes is of this one.
        held.remember(record.map(|record| Record { boot: boot(), stored: record.stored.min(first), ..record }));
        Ok(first)
    }

    /// Whether all is there after this part of it came; where it is not said how long the whole is, the next answer tells.
    pub(super) fn is_whole(&self, came: ContentRange) -> bool {
        came.is_last(self.0.length())
    }

    /// Whether an answer that there is no such range means that nothing is missing.
    pub(super) fn is_all(&self, head: &Head) -> bool {
        let held = &*self.0;
        let Ok(there) = held.file.length() else { return false };
        let is_all = there > 0
            && head.whole_without_range() == Some(there)
            && held.record().as_ref().is_some_and(|record| !head.is_other(&record.validator));
        if is_all {
            held.is_ours.store(true, Ordering::Relaxed);
        }
        is_all
    }

    /// It gets its name.
    pub(super) fn commit(self) -> Result<(), FileError> {
        self.0.is_done.store(true, Ordering::Relaxed);
        self.0.file.commit()?;
        let _ = std::fs::remove_file(self.0.record_path());
        Ok(())
    }

    /// It is of no use: nothing of it stays.
    pub(super) fn discard(&self) {
        self.0.remember(None);
    }
}

impl AsFd for ResumableFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

impl Drop for ResumableFile {
    fn drop(&mut self) {
        self.0.keep();
    }
}

impl PartialFile {
    /// Leaves the part so that it can be gone on with, or not at all. Its path if it stays.
    pub fn keep(&self) -> Option<&Path> {
        if self.is_done.swap(true, Ordering::Relaxed) {
            return None;
        }
        let length = self.file.length().unwrap_or(0);
        let mut record = self.record();
        match &mut *record {
            Some(record) if length > 0 => {
                // What was not begun is as it was found, and perhaps not sure to be what it seems.
                if self.is_ours.load(Ordering::Relaxed) && self.file.store().is_ok() {
                    record.stored = length;
                    let _ = record.write(&self.record_path());
                }
                Some(self.file.path())
            }
            // Another's, perhaps of another URL: it was not touched.
            _ if length > 0 && !self.is_ours.load(Ordering::Relaxed) => None,
            _ => {
                self.file.remove();
                let _ = std::fs::remove_file(self.record_path());
                None
            }
        }
    }

    fn length(&self) -> Option<u64> {
        self.record().as_ref().and_then(|record| record.length)
    }

    fn record_path(&self) -> PathBuf {
        self.file.beside(".json")
    }

    fn record(&self) -> MutexGuard<'_, Option<Record>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, new: Option<Record>) {
        let written = new.as_ref().is_some_and(|new| new.write(&self.record_path()).is_ok());
        if !written {
            let _ = std::fs::remove_file(self.record_path());
        }
        *self.record() = new;
    }
}

impl Record {
    /// Of an answer whose body can be gone on with later.
    fn of(url: &Url, head: &Head) -> Option<Self> {
        let is_packed = head.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
        let validator = head.strong_validator().filter(|_| !is_packed && head.status == 200)?;
        Some(Self { url: url.to_string(), validator, length: head.length, boot: boot(), stored: 0 })
    }

    fn read(path: &Path) -> Option<Self> {
        let found = std::fs::symlink_metadata(path).ok()?;
        if !found.is_file() || found.len() > limits::RECORD_OF_PART {
            return None;
        }
        let value: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            url: text("url")?,
            validator: text("validator")?,
            length: value["length"].as_u64(),
            boot: text("boot")?,
            stored: value["stored"].as_u64()?,
        })
    }

    fn write(&self, path: &Path) -> Result<(), FileError> {
        let Self { url, validator, length, boot, stored } = self;
        let value = json!({ "url": url, "validator": validator, "length": length, "boot": boot, "stored": stored });
        let mut file = AtomicFile::create(path)?;
        file.append(format!("{value}\n").as_bytes())?;
        file.commit()
    }
}

/// What names this boot of the machine (proc(5)); where nothing does, no two are the same.
fn boot() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map_or_else(|_| format!("unknown {}", std::process::id()), |text| text.trim().to_owned())
}
