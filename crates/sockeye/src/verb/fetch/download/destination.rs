//! Where a body goes: a file that is there whole or not at all, a device, or the caller.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::super::range::{ContentRange, Range};
use super::super::{Answer, Url};
use super::error::{TransferError, TransferErrorKind};
use super::partial::{PartialFile, ResumableFile};
use crate::file::{AtomicFile, Leftover, UnsyncedFolders};
use crate::net::words;

/// Where a body is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, which has its name once all of it is there.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether one that is there is replaced; else it is an error.
        replace: bool,
    },
    /// The same; what came of one that failed stays beside it and is gone on with the next time.
    Resumable {
        /// Its path.
        path: PathBuf,
        /// Whether one that is there is replaced; else it is an error.
        replace: bool,
    },
    /// A device or a pipe, which takes bytes as they come.
    Device(PathBuf),
    /// To the caller: see [`Watcher::output`](super::Watcher::output).
    Output,
    /// Nowhere.
    Nowhere,
    /// Where the answer says: see [`Watcher::named`](super::Watcher::named).
    Named,
}

impl Target {
    /// What stands at a path decides: into a device or a pipe bytes are written as they come, anything else is a file with this
    /// path, and `replace` says whether it may be there already.
    #[must_use]
    pub fn at(path: PathBuf, replace: bool) -> Self {
        let is_device = std::fs::metadata(&path).is_ok_and(|found| {
            let kind = found.file_type();
            kind.is_char_device() || kind.is_fifo()
        });
        if is_device { Self::Device(path) } else { Self::File { path, replace } }
    }

    /// The path of the file that the body becomes, if it becomes one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Resumable { path, .. } => Some(path),
            Self::Device(_) | Self::Output | Self::Nowhere | Self::Named => None,
        }
    }
}

/// What is to become of what has come so far, if the process ends now.
#[derive(Debug)]
pub enum Unfinished {
    /// There is nothing.
    Nothing,
    /// It is removed.
    Remove(Leftover),
    /// It stays, to be gone on with.
    Keep(Arc<PartialFile>),
}

impl Unfinished {
    /// Does it. The path of what stays.
    #[must_use]
    pub fn leave(&self) -> Option<PathBuf> {
        match self {
            Self::Nothing => None,
            Self::Remove(leftover) => {
                leftover.remove();
                None
            }
            Self::Keep(held) => held.keep().map(Path::to_owned),
        }
    }
}

/// The place, held before anything is asked for: what cannot be written is not downloaded.
pub(super) enum Destination {
    File { file: AtomicFile, path: PathBuf },
    Resumable { file: ResumableFile, path: PathBuf },
    Device { file: File, path: PathBuf },
    Output,
    Nowhere,
}

impl Destination {
    pub(super) fn open(target: &Target, until: Option<Instant>) -> Result<Self, TransferError> {
        let (opened, path, replace) = match target {
            Target::Output => return Ok(Self::Output),
            Target::Nowhere | Target::Named => return Ok(Self::Nowhere),
            Target::Device(path) => return Ok(Self::Device { file: open_device(path, until)?, path: path.clone() }),
            Target::Resumable { path, replace } => {
                let file = ResumableFile::open(path, *replace);
                (file.map(|file| Self::Resumable { file, path: path.clone() }), path, replace)
            }
            Target::File { path, replace } => {
                let file = if *replace { AtomicFile::create(path) } else { AtomicFile::create_new(path) };
                (file.map(|file| Self::File { file, path: path.clone() }), path, replace)
            }
        };
        opened.map_err(|error| {
            let is_there = !replace && error.source.kind() == io::ErrorKind::AlreadyExists;
            let mut error = TransferError::from(error);
            if is_there {
                error.add(&format!("; -o {} replaces it", path.display()));
            }
            error
        })
    }

    pub(super) fn unfinished(&self) -> Unfinished {
        match self {
            Self::File { file, .. } => Unfinished::Remove(file.leftover()),
            Self::Resumable { file, .. } => Unfinished::Keep(file.held()),
            Self::Device { .. } | Self::Output | Self::Nowhere => Unfinished::Nothing,
        }
    }

    /// What is to be asked for, if not the whole.
    pub(super) fn missing(&self, url: &Url) -> Option<Range> {
        if let Self::Resumable { file, .. } = self { file.missing(url) } else { None }
    }

    /// Makes room for an answer that is to be saved; how much of it is there already.
    pub(super) fn begin(&self, url: &Url, answer: &Answer) -> Result<u64, TransferError> {
        let Self::Resumable { file, .. } = self else { return Ok(0) };
        let begun = file.begin(url, answer.head(), answer.part);
        begun.map_err(|error| TransferError::new(TransferErrorKind::Changed, error.to_string()))
    }

    /// Whether this part of it was the last.
    pub(super) fn is_whole(&self, came: ContentRange) -> bool {
        if let Self::Resumable { file, .. } = self { file.is_whole(came) } else { true }
    }

    /// Whether all is there, by an answer that there is no such range.
    pub(super) fn is_all(&self, answer: &Answer) -> bool {
        if let Self::Resumable { file, .. } = self { file.is_all(answer.head()) } else { false }
    }

    /// What is there is of no use.
    pub(super) fn forget(&self) {
        if let Self::Resumable { file, .. } = self {
            file.discard();
        }
    }

    /// The answer is an error. That there is no such range any more means that there is another whole.
    pub(super) fn refused(&self, status: u16) {
        if status == 416 {
            self.forget();
        }
    }

    /// It failed: the path of what stays.
    pub(super) fn keep(&self) -> Option<PathBuf> {
        let Self::Resumable { file, .. } = self else { return None };
        file.held().keep().map(Path::to_owned)
    }

    /// The name that the file will have.
    pub(super) fn name(&self) -> String {
        self.path().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Resumable { path, .. } | Self::Device { path, .. } => Some(path),
            Self::Output | Self::Nowhere => None,
        }
    }

    /// What takes the bytes, if it is a descriptor of ours.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Device { file, .. } => Some(file.as_fd()),
            _ => self.file(),
        }
    }

    /// The file, if it can be written in any order.
    pub(super) fn atomic(&self) -> Option<&AtomicFile> {
        if let Self::File { file, .. } = self { Some(file) } else { None }
    }

    /// Compares what is there with a digest.
    pub(super) fn check(&self, expected: &str) -> Result<(), TransferError> {
        let Some(file) = self.file() else { return Ok(()) };
        let found = sha256(file).map_err(|error| {
            TransferError::new(TransferErrorKind::Input, format!("cannot read what was saved: {}", words(&error)))
        })?;
        if found == expected {
            return Ok(());
        }
        self.forget();
        let text = format!("what came has the SHA-256 {found}, and not {expected}; nothing saved");
        Err(TransferError::new(TransferErrorKind::Differs, text))
    }

    /// Gives the file the time that the server says it was last changed.
    pub(super) fn set_time(&self, modified: SystemTime) -> io::Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
        let time = rustix::fs::Timespec { tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::futimens(file, &times)?)
    }

    fn file(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::File { file, .. } => Some(file.as_fd()),
            Self::Resumable { file, .. } => Some(file.as_fd()),
            Self::Device { .. } | Self::Output | Self::Nowhere => None,
        }
    }

    /// All is there: the file gets its name, which is stored at once or with the others of its folder.
    pub(super) fn commit(self, folders: Option<&UnsyncedFolders>) -> Result<(), TransferError> {
        match self {
            Self::File { file, .. } => match folders {
                None => Ok(file.commit()?),
                Some(folders) => Ok(file.commit_in(folders)?),
            },
            Self::Resumable { file, .. } => Ok(file.commit()?),
            Self::Device { .. } | Self::Output | Self::Nowhere => Ok(()),
        }
    }
}

/// SHA-256 in small hex digits, of the whole file wherever its offset stands.
fn sha256(file: BorrowedFd<'_>) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    let mut at = 0;
    loop {
        match rustix::io::pread(file, &mut *piece, at) {
            Ok(0) => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(length) => {
                digest.update(&piece[..length]);
                at += length as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a device or a pipe. A pipe without a reader is waited for, and not longer than everything may take.
fn open_device(path: &Path, until: Option<Instant>) -> Result<File, TransferError> {
    let cannot = |error: io::Error| {
        TransferError::new(TransferErrorKind::Output, format!("cannot write {}: {error}", path.display()))
    };
    loop {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => {
                // Writing waits by its own rules.
                let flags = rustix::fs::fcntl_getfl(&file).map_err(|error| cannot(error.into()))?;
                rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(|error| cannot(error.into()))?;
                return Ok(File::from(file));
            }
            Err(Errno::INTR) => {}
            Err(Errno::NXIO) if is_fifo(path) => {
                if until.is_some_and(|until| until <= Instant::now()) {
                    let why = format!("the pipe {} has no reader in time (--timeout)", path.display());
                    return Err(TransferError::new(TransferErrorKind::TimedOut, why));
                }
                // Nothing tells when the other end is opened.
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(cannot(error.into())),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}
