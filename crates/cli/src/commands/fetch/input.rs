//! What is sent, read from where it was said to be.

use std::io::{self, Read};
use std::path::Path;
use std::string::FromUtf8Error;

use sockeye::file::read_secret;
use sockeye::verb::fetch::Body;
use sockeye::verb::fetch::download::{TransferError, TransferErrorKind};

/// The words themselves, or what is in a file.
pub(super) fn text_or_file(body: Body, data: &str) -> Result<Body, TransferError> {
    match data.strip_prefix('@') {
        None => Ok(body.with(data)),
        Some("-") => Ok(body.with(stdin()?)),
        Some(path) => body.with_file(Path::new(path)).map_err(|error| unreadable(path, &error)),
    }
}

pub(super) fn stdin() -> Result<Vec<u8>, TransferError> {
    let mut bytes = Vec::new();
    let read = io::stdin().read_to_end(&mut bytes);
    read.map_err(|error| unreadable("standard input", &error))?;
    Ok(bytes)
}

/// The first line of a file that only its owner may read. Other bytes than UTF-8 are told so.
pub(super) fn secret_line(path: &str, what: &str, not_utf8: fn(FromUtf8Error) -> io::Error) -> io::Result<String> {
    let text = String::from_utf8(read_secret(Path::new(path), what)?).map_err(not_utf8)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Why it cannot be.
pub(super) fn unreadable(path: &str, error: &io::Error) -> TransferError {
    input(format!("cannot read {path}: {}", sockeye::net::words(error)))
}

/// A file of ours that is not what it should be.
pub(super) fn input(why: String) -> TransferError {
    TransferError::new(TransferErrorKind::Input, why)
}

/// What was asked for cannot be done.
pub(super) fn usage(why: impl Into<String>) -> TransferError {
    TransferError::new(TransferErrorKind::Usage, why)
}
