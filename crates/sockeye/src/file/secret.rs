//! Files with keys and passwords.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Reads one; `what` is in it, such as "this key". What everybody may read is no secret, and is refused.
///
/// # Errors
/// It cannot be read, or everybody may.
pub fn read_secret(path: &Path, what: &str) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    // Asked of the open file: by its name it could be another one by now.
    if file.metadata()?.mode() & 0o004 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("everybody may read {what}: chmod o-r")));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
