//! The C library's socket calls under their own names, on bare descriptors.
//!
//! For the one verb that must make the calls another program makes, in its order and with its flags: a library that wraps
//! sockets well sets close-on-exec, retries, or closes what it owns, and each of these would be seen from outside.

pub(crate) mod names;
pub(crate) mod password;
pub(crate) mod socket;

/// The last call's error.
fn last_error<T>() -> std::io::Result<T> {
    Err(std::io::Error::last_os_error())
}
