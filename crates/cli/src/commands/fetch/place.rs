//! Where a body goes: a file that is there whole or not at all, standard output, or a device.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use sockeye::file::{AtomicFile, Leftover};
use sockeye::sink::Sink;
use sockeye::verb::fetch::{Url, file_name};

use crate::clean::Cleaner;
use crate::flags::Fetch;

/// The place, held before anything is asked for: what cannot be written is not downloaded.
pub(super) enum Place {
    File {
        file: AtomicFile,
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

impl Place {
    pub(super) fn choose(flags: &Fetch, url: &Url) -> Result<Self, String> {
        if flags.body_to_stdout() {
            return Ok(Self::Stdout);
        }
        if flags.head {
            return Ok(Self::Nowhere);
        }
        let Some(path) = &flags.output else {
            let path = PathBuf::from(file_name(url));
            return match AtomicFile::create_new(&path) {
                Ok(file) => Ok(Self::File { file, path }),
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                    Err(format!("{error}; -o {} replaces it", path.display()))
                }
                Err(error) => Err(error.to_string()),
            };
        };
        if is_device(path) {
            let file = File::options().write(true).open(path);
            let file = file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            return Ok(Self::Device { file, path: path.clone() });
        }
        let file = AtomicFile::create(path).map_err(|error| error.to_string())?;
        Ok(Self::File { file, path: path.clone() })
    }

    /// What a signal removes.
    pub(super) fn leftover(&self) -> Option<Leftover> {
        match self {
            Self::File { file, .. } => Some(file.leftover()),
            _ => None,
        }
    }

    /// The name that the file will have.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File { path, .. } | Self::Device { path, .. } => {
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            Self::Stdout | Self::Nowhere => String::new(),
        }
    }

    /// The path for messages, if there is one.
    pub(super) fn shown(&self) -> Option<String> {
        match self {
            Self::File { path, .. } | Self::Device { path, .. } => Some(path.display().to_string()),
            Self::Stdout | Self::Nowhere => None,
        }
    }

    pub(super) fn with_sink<T>(&mut self, act: impl FnOnce(&mut Sink<'_>) -> T) -> T {
        let stdout = io::stdout();
        match self {
            Self::File { file, .. } => act(&mut Sink::Descriptor(file.as_fd())),
            Self::Device { file, .. } => act(&mut Sink::Descriptor(file.as_fd())),
            Self::Stdout if stdout.is_terminal() => {
                let mut cleaner = Cleaner::new(stdout);
                let result = act(&mut Sink::Writer(&mut cleaner));
                if let Ok(mut stdout) = cleaner.finish() {
                    let _ = stdout.flush();
                }
                result
            }
            Self::Stdout => act(&mut Sink::Descriptor(stdout.as_fd())),
            Self::Nowhere => act(&mut Sink::Writer(&mut io::sink())),
        }
    }

    /// All is there: the file gets its name.
    pub(super) fn commit(self) -> Result<(), String> {
        match self {
            Self::File { file, .. } => file.commit().map_err(|error| error.to_string()),
            Self::Device { .. } | Self::Stdout | Self::Nowhere => Ok(()),
        }
    }
}

fn is_device(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_char_device() || kind.is_fifo()
    })
}
