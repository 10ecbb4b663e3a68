//! A file that is written whole. Another is replaced at once; what is no file, a device, a pipe or standard output, is written into.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use sockeye::file::AtomicFile;

use crate::exit::Exit;
use crate::output::Console;
use crate::sys::is_stdout;

/// Standard output, for what is written there as it comes.
///
/// # Errors
/// It is closed.
pub(crate) fn stdout(console: &Console) -> io::Result<File> {
    if console.stdout_is_missing() {
        return Err(io::Error::other("it is closed"));
    }
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Writes it; what went wrong has been said.
pub(crate) fn write(path: &Path, text: &str, console: &Console) -> Result<(), Exit> {
    if is_stdout(path) {
        return match console.print(text.as_bytes()) {
            Exit::Done => Ok(()),
            failed => Err(failed),
        };
    }
    let failed = |error: String| console.fail(Exit::CannotWrite, &error);
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let written = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
        return written
            .map_err(|error| failed(format!("cannot write {}: {}", path.display(), sockeye::net::words(&error))));
    }
    let written = AtomicFile::create(path).and_then(|mut file| {
        file.append(text.as_bytes())?;
        file.commit()
    });
    written.map_err(|error| failed(error.to_string()))
}
