//! Tar as POSIX has it (pax interchange format): a header of 512 bytes before each file, and before that, where its name or
//! its size does not fit in there, a list of what it says wrong.

use std::io;

use super::{Item, NAMES, PIECE, Reading, Walk};
use crate::web::made::Source;
use crate::web::root::{Kind, Meta};

const BLOCK: usize = 512;
/// The largest number in eleven octal digits.
const MOST: u64 = 0o777_7777_7777;

#[derive(Debug)]
pub(super) struct Tar {
    walk: Walk,
    reading: Option<Reading>,
    is_over: bool,
}

impl Tar {
    pub(super) fn new(walk: Walk) -> Self {
        Self { walk, reading: None, is_over: false }
    }

    /// Adds what comes next; whether the piece may go on.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        match self.walk.next()? {
            Some(Item::Passed) => return Ok(false),
            Some(Item::Folder { name, meta }) => push_entry(&name, &meta, 0, out),
            Some(Item::Text { name, meta, text }) => {
                push_entry(&name, &meta, text.len() as u64, out);
                out.extend_from_slice(&text);
                fill(text.len() as u64, out);
            }
            Some(Item::File { name, meta, file }) => {
                push_entry(&name, &meta, meta.size, out);
                self.reading = (meta.size > 0).then_some(Reading { file, at: 0, size: meta.size });
            }
            None => {
                out.resize(out.len() + 2 * BLOCK, 0);
                self.is_over = true;
            }
        }
        Ok(!self.is_over)
    }
}

impl Source for Tar {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let begin = out.len();
        for _ in 0..NAMES {
            match &mut self.reading {
                None => {
                    if !self.next(out)? {
                        break;
                    }
                }
                Some(reading) => {
                    // Its size was said: nothing can stand in for what is missing.
                    if reading.more(out)? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    if reading.is_whole() {
                        fill(reading.size, out);
                        self.reading = None;
                    }
                }
            }
            if (out.len() - begin) as u64 >= PIECE {
                break;
            }
        }
        Ok(!self.is_over)
    }
}

/// A header, and before it what does not fit in it.
fn push_entry(name: &[u8], meta: &Meta, size: u64, out: &mut Vec<u8>) {
    let mut records = vec![];
    // A name of other characters is not said to be in any encoding by the header alone.
    if name.len() > 100 || !name.is_ascii() && std::str::from_utf8(name).is_ok() {
        if std::str::from_utf8(name).is_err() {
            push_record("hdrcharset", b"BINARY", &mut records);
        }
        push_record("path", name, &mut records);
    }
    if size > MOST {
        push_record("size", size.to_string().as_bytes(), &mut records);
    }
    let fits_in_header = u64::try_from(meta.modified.seconds).is_ok_and(|seconds| seconds <= MOST);
    if !fits_in_header {
        push_record("mtime", meta.modified.seconds.to_string().as_bytes(), &mut records);
    }
    if !records.is_empty() {
        push_header(b"./PaxHeaders/name", meta, records.len() as u64, b'x', out);
        let length = records.len() as u64;
        out.append(&mut records);
        fill(length, out);
    }
    let kind = if meta.kind == Kind::Folder { b'5' } else { b'0' };
    push_header(name, meta, size, kind, out);
}

/// `LENGTH KEY=VALUE\n`, of which the length counts itself.
fn push_record(key: &str, value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn push_header(name: &[u8], meta: &Meta, size: u64, kind: u8, out: &mut Vec<u8>) {
    let mut header = [0; BLOCK];
    let shown = name.len().min(100);
    header[..shown].copy_from_slice(&name[..shown]);
    octal(&mut header[100..108], meta.mode.into());
    octal(&mut header[108..116], 0);
    octal(&mut header[116..124], 0);
    octal(&mut header[124..136], size.min(MOST));
    octal(&mut header[136..148], u64::try_from(meta.modified.seconds).unwrap_or(0).min(MOST));
    header[148..156].fill(b' ');
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum = header.iter().map(|&byte| u64::from(byte)).sum();
    octal(&mut header[148..155], sum);
    out.extend_from_slice(&header);
}

/// Digits with zeros before them, and a NUL behind.
fn octal(field: &mut [u8], mut number: u64) {
    let end = field.len() - 1;
    for digit in field[..end].iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 8).unwrap_or(0);
        number /= 8;
    }
    field[end] = 0;
}

/// Zeros up to the end of a block.
fn fill(length: u64, out: &mut Vec<u8>) {
    let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    if over > 0 {
        out.resize(out.len() + BLOCK - over, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [1, 85, 86, 87, 88, 89, 90, 91, 92, 93, 980, 985, 990, 999] {
            let mut record = vec![];
            push_record("path", &vec![b'x'; length], &mut record);
            let said: usize = record
                .split(|&byte| byte == b' ')
                .next()
                .map(|text| String::from_utf8_lossy(text).parse().unwrap())
                .unwrap();
            assert_eq!(said, record.len());
        }
    }
}
