//! Files read into memory, and packed there.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Reads behind what the buffer holds; fewer bytes where the file ends. The buffer is left longer than that.
pub(crate) fn read_part(file: &File, from: u64, length: u64, into: &mut Vec<u8>) -> io::Result<usize> {
    let begin = into.len();
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    into.resize(begin + length, 0);
    let mut read = 0;
    while read < length {
        match file.read_at(&mut into[begin + read..], from + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

pub(crate) fn gzip_file(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = read_part(file, 0, size, &mut bytes)?;
    if read as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(gzip(&bytes))
}

/// The fastest level: others wait meanwhile, and it already takes most of what there is to take.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
