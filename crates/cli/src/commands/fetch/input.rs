//! What is sent, read from where it was said to be.

use std::io::{self, Read};
use std::path::Path;

use sockeye::verb::fetch::Body;

use super::Failure;
use crate::exit::Exit;

/// The words themselves, or what is in a file.
pub(super) fn text_or_file(body: Body, data: &str) -> Result<Body, Failure> {
    match data.strip_prefix('@') {
        None => Ok(body.with(data)),
        Some("-") => Ok(body.with(stdin()?)),
        Some(path) => body.with_file(Path::new(path)).map_err(|error| unreadable(path, &error)),
    }
}

pub(super) fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().read_to_end(&mut bytes);
    read.map_err(|error| {
        (Exit::CannotRead, format!("cannot read standard input: {error}", error = sockeye::net::words(&error)))
    })?;
    Ok(bytes)
}

/// Why it cannot be.
pub(super) fn unreadable(path: &str, error: &io::Error) -> Failure {
    (Exit::CannotRead, format!("cannot read {path}: {error}", error = sockeye::net::words(&error)))
}
