//! Where a body goes: a file that is there whole or not at all, standard output, or a device.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sockeye::file::{AtomicFile, FileError};
use sockeye::sink::Sink;
use sockeye::verb::fetch::range::{Part as Came, Range};
use sockeye::verb::fetch::{Answer, Url};

use super::digest;
use super::leaving::Leaving;
use super::part::Part;
use crate::clean::Cleaner;
use crate::exit::Exit;
use crate::flags::Fetch;
use crate::pretty::Pretty;

/// The place, held before anything is asked for: what cannot be written is not downloaded.
pub(super) enum Place {
    File {
        file: AtomicFile,
        path: PathBuf,
    },
    /// A file that outlives a failure.
    Part {
        part: Part,
        path: PathBuf,
    },
    /// A device or pipe, which takes bytes as they come and cannot be replaced.
    Device {
        file: File,
        path: PathBuf,
    },
    Stdout,
    Nowhere,
}

/// How a body looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    AsItCame,
    Json,
    JsonInColor,
}

/// Why there is no place, or no file in it.
pub(super) type Refused = (Exit, String);

impl Place {
    pub(super) fn choose(flags: &Fetch, (index, name): (usize, &str), until: Option<Instant>) -> Result<Self, Refused> {
        let is_device = flags.output_of(index).is_some_and(is_device);
        if flags.needs_file() && (is_device || flags.head || flags.body_to_stdout()) {
            let why = "--resume, --sha256, --remote-time, --if-newer, --etag and --skip-existing are for a file, and none is written";
            return Err((Exit::Usage, why.to_owned()));
        }
        if flags.body_to_stdout() {
            return Ok(Self::Stdout);
        }
        if flags.head {
            return Ok(Self::Nowhere);
        }
        let path = flags.path_of(index, name);
        if let (Some(folder), None) = (&flags.dir, flags.output_of(index)) {
            let cannot = |error| (Exit::CannotWrite, format!("cannot make the folder {}: {error}", folder.display()));
            std::fs::create_dir_all(folder).map_err(cannot)?;
        }
        if is_device {
            let file = open_device(&path, until)?;
            return Ok(Self::Device { file, path });
        }
        let replace = flags.output_of(index).is_some() || flags.force || flags.if_newer || flags.etag.is_some();
        let made = if flags.resume {
            Part::open(&path, replace).map(|part| Self::Part { part, path: path.clone() })
        } else {
            let file = if replace { AtomicFile::create(&path) } else { AtomicFile::create_new(&path) };
            file.map(|file| Self::File { file, path: path.clone() })
        };
        made.map_err(|error| {
            let is_there = !replace && error.source.kind() == io::ErrorKind::AlreadyExists;
            let help = if is_there { format!("; -o {} replaces it", path.display()) } else { String::new() };
            (Exit::CannotWrite, format!("{error}{help}"))
        })
    }

    /// What a signal has to do.
    pub(super) fn leaving(&self) -> Leaving {
        match self {
            Self::File { file, .. } => Leaving::Remove(file.leftover()),
            Self::Part { part, .. } => Leaving::Keep(part.held()),
            Self::Device { .. } | Self::Stdout | Self::Nowhere => Leaving::Nothing,
        }
    }

    /// What is to be asked for, if not the whole.
    pub(super) fn missing(&self, url: &Url) -> Option<Range> {
        if let Self::Part { part, .. } = self { part.missing(url) } else { None }
    }

    /// Makes room for an answer that is to be saved; how much of it is there already.
    pub(super) fn begin(&self, url: &Url, answer: &Answer) -> Result<u64, Refused> {
        let Self::Part { part, .. } = self else { return Ok(0) };
        part.begin(url, answer.head(), answer.part).map_err(|why| (Exit::Reset, why))
    }

    /// Whether this part of it was the last.
    pub(super) fn is_whole(&self, came: Came) -> bool {
        if let Self::Part { part, .. } = self { part.is_whole(came) } else { true }
    }

    /// Whether all is there, by an answer that there is no such range.
    pub(super) fn is_all(&self, answer: &Answer) -> bool {
        if let Self::Part { part, .. } = self { part.is_all(answer.head()) } else { false }
    }

    /// What is there is of no use.
    pub(super) fn forget(&self) {
        if let Self::Part { part, .. } = self {
            part.discard();
        }
    }

    /// The answer is an error. That there is no such range any more means that there is another whole.
    pub(super) fn refused(&self, status: u16) {
        if status == 416 {
            self.forget();
        }
    }

    /// It failed: the path of what stays.
    pub(super) fn keep(&self) -> Option<String> {
        let Self::Part { part, .. } = self else { return None };
        part.held().keep().map(|path| path.display().to_string())
    }

    /// The name that the file will have.
    pub(super) fn name(&self) -> String {
        self.path().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The path for messages, if there is one.
    pub(super) fn shown(&self) -> Option<String> {
        self.path().map(|path| path.display().to_string())
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Part { path, .. } | Self::Device { path, .. } => Some(path),
            Self::Stdout | Self::Nowhere => None,
        }
    }

    /// Gives it to whoever writes; and whether all that was held back for a terminal could be written behind that.
    pub(super) fn with_sink<T>(&mut self, shown: Shown, act: impl FnOnce(&mut Sink<'_>) -> T) -> (T, io::Result<()>) {
        let stdout = io::stdout();
        let result = match self {
            Self::File { file, .. } => act(&mut Sink::Descriptor(file.as_fd())),
            Self::Part { part, .. } => act(&mut Sink::Descriptor(part.as_fd())),
            Self::Device { file, .. } => act(&mut Sink::Descriptor(file.as_fd())),
            Self::Stdout if stdout.is_terminal() && shown != Shown::AsItCame => {
                let mut pretty = Pretty::new(BufWriter::new(stdout), shown == Shown::JsonInColor);
                let result = act(&mut Sink::Writer(&mut pretty));
                return (result, pretty.finish().and_then(|mut stdout| stdout.flush()));
            }
            Self::Stdout if stdout.is_terminal() => {
                let mut cleaner = Cleaner::new(stdout);
                let result = act(&mut Sink::Writer(&mut cleaner));
                return (result, cleaner.finish().and_then(|mut stdout| stdout.flush()));
            }
            Self::Stdout => act(&mut Sink::Descriptor(stdout.as_fd())),
            Self::Nowhere => act(&mut Sink::Writer(&mut io::sink())),
        };
        (result, Ok(()))
    }

    /// The file, if it can be written in any order.
    pub(super) fn atomic(&self) -> Option<&AtomicFile> {
        if let Self::File { file, .. } = self { Some(file) } else { None }
    }

    /// Compares what is there with a digest.
    pub(super) fn check(&self, expected: &str) -> Result<(), Refused> {
        let Some(file) = self.file() else { return Ok(()) };
        let found = digest::sha256(file);
        let found = found.map_err(|error| {
            (Exit::CannotRead, format!("cannot read what was saved: {error}", error = sockeye::net::words(&error)))
        })?;
        if found == expected {
            return Ok(());
        }
        self.forget();
        Err((Exit::Differs, format!("what came has the SHA-256 {found}, and not {expected}; nothing saved")))
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
            Self::Part { part, .. } => Some(part.as_fd()),
            Self::Device { .. } | Self::Stdout | Self::Nowhere => None,
        }
    }

    /// All is there: the file gets its name.
    pub(super) fn commit(self) -> Result<(), FileError> {
        match self {
            Self::File { file, .. } => file.commit(),
            Self::Part { part, .. } => part.commit(),
            Self::Device { .. } | Self::Stdout | Self::Nowhere => Ok(()),
        }
    }
}

/// Opens a device or a pipe. A pipe that nobody reads is waited for, and not longer than everything may take.
fn open_device(path: &Path, until: Option<Instant>) -> Result<File, Refused> {
    let cannot = |error: io::Error| (Exit::CannotWrite, format!("cannot write {}: {error}", path.display()));
    loop {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => {
                // Whoever writes waits by its own rules.
                let flags = rustix::fs::fcntl_getfl(&file).map_err(|error| cannot(error.into()))?;
                rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(|error| cannot(error.into()))?;
                return Ok(File::from(file));
            }
            Err(Errno::INTR) => {}
            Err(Errno::NXIO) if is_fifo(path) => {
                if until.is_some_and(|until| until <= Instant::now()) {
                    let why = format!("nobody reads the pipe {} in time (--timeout)", path.display());
                    return Err((Exit::TimedOut, why));
                }
                // Nothing tells when somebody opens the other end.
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(cannot(error.into())),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_char_device() || kind.is_fifo()
    })
}
