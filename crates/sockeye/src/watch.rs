//! Files that are rewritten, told by the kernel (inotify(7)).
//!
//! ```
//! use sockeye::{stop, watch::watch};
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("a.talk");
//! std::fs::write(&file, "S: old\n")?;
//! let (asker, asked) = stop::channel()?;
//! watch(std::slice::from_ref(&file), asker)?;
//! // A server that is given `asked` reads its transcripts again when this is written.
//! std::fs::write(&file, "S: new\n")?;
//! # drop(asked);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;

use crate::stop::Stopper;

/// Asks, from a thread of its own, whenever one of the files was written or another was moved to its place.
///
/// # Errors
/// As `inotify_init1(2)` and `inotify_add_watch(2)`; a folder is not there.
pub fn watch(files: &[PathBuf], asker: Stopper) -> io::Result<()> {
    let events = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let mut names: Vec<(i32, OsString)> = Vec::new();
    for file in files {
        // The folder is watched, not the file: editors write a new one and move it there.
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = file.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
        let flags = inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::MOVED_TO;
        names.push((inotify::add_watch(&events, folder, flags)?, name.to_owned()));
    }
    std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&events, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    if names.iter().any(|(watch, file)| *watch == event.wd() && name == Some(file)) {
                        asker.stop();
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    })?;
    Ok(())
}
