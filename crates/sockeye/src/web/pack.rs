//! Files read into memory, and packed there.

use std::fs::File;
use std::io::{self, Write as _};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::io::Errno;

use crate::sys::files::read_onto;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Everybody takes it.
    Gzip,
    /// Browsers take it where no proxy between can spoil it: over TLS, and from this machine.
    Brotli,
}

impl Coding {
    /// Its name in Content-Encoding.
    pub(crate) fn name(self) -> &'static [u8] {
        match self {
            Self::Gzip => b"gzip",
            Self::Brotli => b"br",
        }
    }

    /// Packs what is in memory.
    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => gzip(bytes),
            Self::Brotli => brotli(bytes),
        }
    }

    /// Packs a file, which has to be as long as it was said to be.
    pub(crate) fn pack_file(self, file: &File, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![];
        let read = read_part(file, 0, size, &mut bytes)?;
        if read as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.pack(&bytes))
    }
}

/// Reads behind what the buffer holds; fewer bytes where the file ends.
pub(crate) fn read_part(file: &File, from: u64, length: u64, into: &mut Vec<u8>) -> io::Result<usize> {
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut read = 0;
    while read < length {
        match read_onto(file, from + read as u64, length - read, into) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(read)
}

/// The fastest level: others wait meanwhile, and it already takes most of what there is to take.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// At this quality it takes some longer than gzip at its fastest, and leaves a tenth to a third less to be sent; the next
/// ones take twice the time for a few hundredths.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(bytes.len() / 2);
    // A window larger than what is packed would only be memory to clear.
    let window = bytes.len().next_power_of_two().trailing_zeros().clamp(10, 20);
    let parameters = BrotliEncoderParams {
        quality: 2,
        lgwin: i32::try_from(window).unwrap_or(20),
        size_hint: bytes.len(),
        ..BrotliEncoderParams::default()
    };
    // Reading and writing memory does not fail.
    let _ = brotli::BrotliCompress(&mut &*bytes, &mut packed, &parameters);
    packed
}
