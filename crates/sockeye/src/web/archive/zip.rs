//! Zip (APPNOTE.TXT 6.3): files as they are, each with its length behind it, and at the end a directory of all of them. What
//! needs more than 32 bits gets 64, and nothing else does, so that old programs read the rest.

use std::io;

use flate2::Crc;

use super::{Item, NAMES, PIECE, Reading, Walk, seconds};
use crate::limits;
use crate::web::clock::Calendar;
use crate::web::made::Source;
use crate::web::root::{Kind, Meta};

/// The length follows the content (section 4.4.4, bit 3).
const LENGTH_FOLLOWS: u16 = 1 << 3;
/// The name is UTF-8 (bit 11).
const UTF8: u16 = 1 << 11;
/// What 32 bits cannot say.
const MUCH: u64 = 0xffff_ffff;

#[derive(Debug)]
pub(super) struct Zip {
    walk: Walk,
    doing: Doing,
    /// The directory, as far as it is written.
    directory: Vec<u8>,
    entries: u64,
    /// Bytes that were made.
    made: u64,
}

#[derive(Debug)]
enum Doing {
    Walk,
    File(Box<(Entry, Reading)>),
    /// The directory is sent, from here.
    Directory {
        at: usize,
        begins: u64,
    },
    Nothing,
}

/// What the directory says of a name.
#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    meta: Meta,
    flags: u16,
    /// Whether its lengths have 64 bits.
    is_large: bool,
    offset: u64,
    sum: Crc,
}

impl Zip {
    pub(super) fn new(walk: Walk) -> Self {
        Self { walk, doing: Doing::Walk, directory: vec![], entries: 0, made: 0 }
    }

    /// Adds what comes next; whether the piece may go on.
    fn next(&mut self, offset: u64, out: &mut Vec<u8>) -> io::Result<bool> {
        match self.walk.next()? {
            Some(Item::Passed) => return Ok(false),
            Some(Item::Folder { name, meta }) => {
                let entry = Entry::new(name, meta, 0, offset);
                entry.push_local(0, out);
                self.note(&entry, 0)?;
            }
            Some(Item::Text { name, meta, text }) => {
                let mut entry = Entry::new(name, meta, 0, offset);
                entry.sum.update(&text);
                entry.push_local(text.len() as u64, out);
                out.extend_from_slice(&text);
                self.note(&entry, text.len() as u64)?;
            }
            Some(Item::File { name, meta, file }) => {
                let entry = Entry::new(name, meta, LENGTH_FOLLOWS, offset);
                entry.push_local(0, out);
                self.doing = Doing::File(Box::new((entry, Reading { file, at: 0, size: meta.size })));
            }
            None => self.doing = Doing::Directory { at: 0, begins: offset },
        }
        Ok(true)
    }

    /// Adds a line to the directory.
    fn note(&mut self, entry: &Entry, size: u64) -> io::Result<()> {
        entry.push_central(size, &mut self.directory);
        self.entries += 1;
        if self.directory.len() > limits::ARCHIVE_DIRECTORY {
            return Err(io::Error::other("a zip of so many names takes too much memory; a tar does not"));
        }
        Ok(())
    }

    /// What stands behind the directory (sections 4.3.14 to 4.3.16).
    fn push_end(&self, begins: u64, out: &mut Vec<u8>) {
        let length = self.directory.len() as u64;
        if self.entries >= 0xffff || begins >= MUCH {
            push(out, &[0x0606_4b50_u32.to_le_bytes().as_slice(), &44_u64.to_le_bytes()]);
            push(out, &[&MADE_BY.to_le_bytes(), &45_u16.to_le_bytes(), &[0; 8]]);
            push(out, &[&self.entries.to_le_bytes(), &self.entries.to_le_bytes()]);
            push(out, &[&length.to_le_bytes(), &begins.to_le_bytes()]);
            push(out, &[0x0706_4b50_u32.to_le_bytes().as_slice(), &[0; 4]]);
            push(out, &[(begins + length).to_le_bytes().as_slice(), &1_u32.to_le_bytes()]);
        }
        let entries = u16::try_from(self.entries).unwrap_or(0xffff).to_le_bytes();
        push(out, &[0x0605_4b50_u32.to_le_bytes().as_slice(), &[0; 4], &entries, &entries]);
        push(out, &[low(length).to_le_bytes().as_slice(), &low(begins).to_le_bytes(), &[0; 2]]);
    }
}

impl Source for Zip {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let begin = out.len();
        for _ in 0..NAMES {
            let offset = self.made + (out.len() - begin) as u64;
            match &mut self.doing {
                Doing::Walk => {
                    if !self.next(offset, out)? {
                        break;
                    }
                }
                Doing::File(file) => {
                    let (entry, reading) = &mut **file;
                    let from = out.len();
                    // A file that has become shorter ends here, and its length says so.
                    let is_over = reading.more(out)? == 0 || reading.is_whole();
                    entry.sum.update(&out[from..]);
                    if is_over && let Doing::File(file) = std::mem::replace(&mut self.doing, Doing::Walk) {
                        let (entry, reading) = *file;
                        entry.push_lengths(reading.at, out);
                        self.note(&entry, reading.at)?;
                    }
                }
                Doing::Directory { at, begins } => {
                    let to = self.directory.len().min(*at + usize::try_from(PIECE).unwrap_or(usize::MAX));
                    out.extend_from_slice(&self.directory[*at..to]);
                    *at = to;
                    if to == self.directory.len() {
                        let begins = *begins;
                        self.push_end(begins, out);
                        self.doing = Doing::Nothing;
                    }
                }
                Doing::Nothing => break,
            }
            if (out.len() - begin) as u64 >= PIECE {
                break;
            }
        }
        self.made += (out.len() - begin) as u64;
        Ok(!matches!(self.doing, Doing::Nothing))
    }

    fn memory(&self) -> usize {
        self.directory.capacity()
    }
}

/// Written as Unix does, by version 4.5.
const MADE_BY: u16 = (3 << 8) | 45;

impl Entry {
    fn new(mut name: Vec<u8>, meta: Meta, flags: u16, offset: u64) -> Self {
        let flags = if std::str::from_utf8(&name).is_ok() { flags | UTF8 } else { flags };
        // Where backslashes part folders, one could lead out of the place where this is unpacked.
        for byte in name.iter_mut().filter(|byte| **byte == b'\\') {
            *byte = b'_';
        }
        let is_large = meta.kind == Kind::File && meta.size >= MUCH;
        Self { name, meta, flags, is_large, offset, sum: Crc::new() }
    }

    fn needed(&self) -> [u8; 2] {
        (if self.is_large || self.offset >= MUCH { 45_u16 } else { 20 }).to_le_bytes()
    }

    /// Section 4.3.7. The size of what is not read yet is not known.
    fn push_local(&self, size: u64, out: &mut Vec<u8>) {
        let mut extra = vec![];
        if self.is_large {
            push(&mut extra, &[&1_u16.to_le_bytes(), &16_u16.to_le_bytes(), &[0; 16]]);
        }
        self.push_time(&mut extra);
        let size = if self.is_large { 0xffff_ffff } else { low(size) }.to_le_bytes();
        push(out, &[0x0403_4b50_u32.to_le_bytes().as_slice(), &self.needed()]);
        push(out, &[self.flags.to_le_bytes().as_slice(), &[0; 2], &dos(seconds(self.meta.modified))]);
        push(out, &[self.sum.sum().to_le_bytes().as_slice(), &size, &size, &length(&self.name), &length(&extra)]);
        push(out, &[&self.name, &extra]);
    }

    /// Section 4.3.9.
    fn push_lengths(&self, size: u64, out: &mut Vec<u8>) {
        push(out, &[0x0807_4b50_u32.to_le_bytes().as_slice(), &self.sum.sum().to_le_bytes()]);
        if self.is_large {
            push(out, &[size.to_le_bytes().as_slice(), &size.to_le_bytes()]);
        } else {
            push(out, &[low(size).to_le_bytes().as_slice(), &low(size).to_le_bytes()]);
        }
    }

    /// Section 4.3.12.
    fn push_central(&self, size: u64, out: &mut Vec<u8>) {
        let mut large = vec![];
        if size >= MUCH {
            push(&mut large, &[size.to_le_bytes().as_slice(), &size.to_le_bytes()]);
        }
        if self.offset >= MUCH {
            large.extend_from_slice(&self.offset.to_le_bytes());
        }
        let mut extra = vec![];
        if !large.is_empty() {
            push(&mut extra, &[1_u16.to_le_bytes().as_slice(), &length(&large), &large]);
        }
        self.push_time(&mut extra);
        let (kind, folder) = if self.meta.kind == Kind::Folder { (0o040_000, 0x10) } else { (0o100_000, 0) };
        let attributes = ((kind | self.meta.mode) << 16) | folder;
        push(out, &[0x0201_4b50_u32.to_le_bytes().as_slice(), &MADE_BY.to_le_bytes(), &self.needed()]);
        push(out, &[self.flags.to_le_bytes().as_slice(), &[0; 2], &dos(seconds(self.meta.modified))]);
        push(out, &[self.sum.sum().to_le_bytes().as_slice(), &low(size).to_le_bytes(), &low(size).to_le_bytes()]);
        push(out, &[length(&self.name).as_slice(), &length(&extra), &[0; 6], &attributes.to_le_bytes()]);
        push(out, &[low(self.offset).to_le_bytes().as_slice(), &self.name, &extra]);
    }

    /// Seconds since 1970: the usual field has local time and every other second (Info-ZIP's extra field 0x5455).
    fn push_time(&self, extra: &mut Vec<u8>) {
        if let Ok(seconds) = i32::try_from(self.meta.modified.seconds) {
            push(extra, &[b"UT".as_slice(), &5_u16.to_le_bytes(), &[1], &seconds.to_le_bytes()]);
        }
    }
}

/// A number that stands in an extra field where it is too large.
fn low(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(0xffff_ffff)
}

fn length(bytes: &[u8]) -> [u8; 2] {
    // A path of the kernel's has at most 4096 bytes.
    u16::try_from(bytes.len()).unwrap_or(0xffff).to_le_bytes()
}

/// Time and date as MS-DOS had them, from 1980 to 2107.
fn dos(seconds: u64) -> [u8; 4] {
    let Calendar { year, month, day, hour, minute, second } = Calendar::of(seconds);
    let (time, date) = match year {
        ..1980 => (0, (1 << 5) | 1),
        2108.. => ((23 << 11) | (59 << 5) | 29, (127 << 9) | (12 << 5) | 31),
        _ => ((hour << 11) | (minute << 5) | (second / 2), ((year - 1980) << 9) | (month << 5) | day),
    };
    u32::try_from((date << 16) | time).unwrap_or(0).to_le_bytes()
}

fn push(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
