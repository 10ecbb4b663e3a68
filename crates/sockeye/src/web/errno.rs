//! What a call that failed means for a client that wants something stored.

use std::io;

use rustix::io::Errno;

use crate::wire::http::status::Status;

pub(super) fn status(error: Errno) -> Status {
    match error {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Status::FORBIDDEN,
        Errno::NOSPC | Errno::DQUOT => Status::INSUFFICIENT_STORAGE,
        Errno::FBIG => Status::CONTENT_TOO_LARGE,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Status::UNAVAILABLE,
        // There is no such folder, or none where one would have to be.
        Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG | Errno::EXIST => {
            Status::CONFLICT
        }
        _ => Status::INTERNAL_ERROR,
    }
}

pub(super) fn status_of(error: &io::Error) -> Status {
    error.raw_os_error().map_or(Status::INTERNAL_ERROR, |code| status(Errno::from_raw_os_error(code)))
}
