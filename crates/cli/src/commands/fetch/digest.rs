//! The digest of a file that has no name yet.

use std::io;
use std::os::fd::BorrowedFd;

use sha2::{Digest, Sha256};

/// SHA-256 in small hex digits, of the whole file wherever its offset stands.
pub(super) fn sha256(file: BorrowedFd<'_>) -> io::Result<String> {
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
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
