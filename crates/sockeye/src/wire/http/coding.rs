//! Content codings (RFC 9110, section 8.4.1; RFC 7932; RFC 8878): readers laid over the body as it comes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use brotli_decompressor::Decompressor;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// What we say we take.
    pub(crate) const ACCEPTED: &str = "gzip, deflate, br, zstd";

    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("deflate") => Some(Self::Deflate),
            () if is("br") => Some(Self::Brotli),
            () if is("zstd") => Some(Self::Zstd),
            () => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Whether a file of this name is packed like this itself: a server that says so of an archive may mean the archive.
    pub(crate) fn is_the_files_own(self, name: &str) -> bool {
        let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        match self {
            Self::Gzip => matches!(
                ending.as_str(),
                "gz" | "tgz" | "taz" | "svgz" | "emz" | "wmz" | "vgz" | "cpgz" | "gzip" | "adz"
            ),
            Self::Brotli => matches!(ending.as_str(), "br" | "tbr"),
            Self::Zstd => matches!(ending.as_str(), "zst" | "tzst" | "zstd"),
            Self::Deflate => false,
        }
    }

    /// Whether a body of this type is packed like this itself.
    pub(crate) fn is_the_types_own(self, content_type: &[u8]) -> bool {
        let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let kind = String::from_utf8_lossy(kind).to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or_default();
        match self {
            Self::Gzip => {
                matches!(kind, "gzip" | "x-gzip" | "x-tgz" | "x-gtar-compressed" | "x-compressed-tar" | "tar+gzip")
            }
            Self::Brotli => matches!(kind, "brotli" | "x-brotli" | "x-br"),
            Self::Zstd => matches!(kind, "zstd" | "x-zstd"),
            Self::Deflate => false,
        }
    }

    /// Whether these bytes, the beginning of something, are packed like this.
    pub(crate) fn begins(self, bytes: &[u8]) -> bool {
        match self {
            Self::Gzip => bytes.starts_with(&[0x1f, 0x8b, 8]),
            Self::Zstd => {
                bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
            }
            // Neither has a mark of its own: something comes of it, or nothing does.
            Self::Brotli | Self::Deflate => {
                let fault = Fault::default();
                let mut unpacked = Vec::new();
                let read = decode(Box::new(bytes), &[self], &fault).read_to_end(&mut unpacked);
                read.is_ok() || (fault.borrow().as_ref().is_some_and(|fault| fault.is_cut) && !unpacked.is_empty())
            }
        }
    }
}

/// How much of what is unpacked tells whether it is packed again.
const TELLING: usize = 4096;

/// Whether the first coding of these was there before the others, and is that of the thing itself: unpacked, it is not packed
/// in the same way again. `None` if these first bytes of a body do not tell yet.
pub(crate) fn is_own(codings: &[Coding], beginning: &[u8], is_all: bool) -> Option<bool> {
    let own = *codings.first()?;
    let fault = Fault::default();
    let mut unpacked = Vec::new();
    let read = decode(Box::new(beginning), codings, &fault).take(TELLING as u64).read_to_end(&mut unpacked);
    let is_cut = fault.borrow().as_ref().is_some_and(|fault| fault.is_cut);
    if unpacked.len() < TELLING && is_cut && !is_all && !(own != Coding::Brotli && unpacked.len() >= 4) {
        return None;
    }
    // What cannot be unpacked is not what it says, and fails when it is.
    Some(!own.begins(&unpacked) && (read.is_ok() || !unpacked.is_empty() || is_cut))
}

/// Endings of names of files that no coding makes smaller.
const PACKED: [&str; 40] = [
    "gz", "tgz", "taz", "svgz", "br", "zst", "tzst", "zstd", "xz", "txz", "bz2", "tbz", "tbz2", "lz", "lz4", "lzma",
    "lzo", "z", "zip", "7z", "rar", "jar", "whl", "apk", "deb", "rpm", "crate", "gem", "jpg", "jpeg", "png", "webp",
    "avif", "mp3", "mp4", "webm", "mkv", "ogg", "woff2", "docx",
];

/// Whether a file of this name is packed already, so that no coding is asked for.
#[must_use]
pub fn is_packed(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| PACKED.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Words in Content-Encoding that are no codings: those of other fields, and of uploads (S3 keeps `aws-chunked` for ever).
pub(crate) fn is_no_coding(word: &[u8]) -> bool {
    const WORDS: [&str; 20] = [
        "none",
        "null",
        "nil",
        "no",
        "default",
        "off",
        "false",
        "plain",
        "text",
        "raw",
        "binary",
        "8bit",
        "7bit",
        "aws-chunked",
        "chunked",
        "ascii",
        "us-ascii",
        "base64",
        "quoted-printable",
        "unicode",
    ];
    let word = String::from_utf8_lossy(word).to_ascii_lowercase();
    let word = word.trim_matches('"');
    let is_charset =
        ["utf", "ucs-", "iso-", "iso8859", "iso_", "windows-", "cp125", "latin", "charset", "gb", "big5", "euc-"];
    WORDS.contains(&word) || word.contains('/') || is_charset.iter().any(|begin| word.starts_with(begin))
}

/// What is wrong with a packed body.
#[derive(Debug)]
pub(crate) struct CodingError {
    pub(crate) coding: Coding,
    /// Whether it only ends too early.
    pub(crate) is_cut: bool,
    why: String,
}

impl fmt::Display for CodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { coding, is_cut, why } = self;
        if *is_cut {
            write!(f, "the {} body ends before its own end", coding.name())
        } else {
            write!(f, "the {} body is corrupt: {why}", coding.name())
        }
    }
}

impl std::error::Error for CodingError {}

/// What is found wrong with a packed body, however many layers the error then passes: the first that is found.
pub(crate) type Fault = Rc<RefCell<Option<CodingError>>>;

/// Undoes codings: the last that was applied comes off first. Where the reader fails and `fault` stays empty, it is `body`
/// that failed.
pub(crate) fn decode<'a>(body: Box<dyn BufRead + 'a>, codings: &[Coding], fault: &Fault) -> Box<dyn BufRead + 'a> {
    codings.iter().rev().fold(body, |inner, &coding| {
        let state = Rc::new(Cell::new(State::Going));
        let below = Below { inner, state: Rc::clone(&state) };
        let decoder = Decoder::new(coding, below);
        let layer = Layer { decoder, coding, state, ended: false, fault: Rc::clone(fault) };
        Box::new(BufReader::with_capacity(64 * 1024, layer))
    })
}

/// What a layer stands on, which remembers how it ended: not every decoder tells.
struct Below<'a> {
    inner: Box<dyn BufRead + 'a>,
    state: Rc<Cell<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Ended,
    Failed,
}

/// Reads from what has a buffer of its own: as much as stands in it.
pub(crate) fn read_buffered(source: &mut impl BufRead, bytes: &mut [u8]) -> io::Result<usize> {
    let there = source.fill_buf()?;
    let length = there.len().min(bytes.len());
    bytes[..length].copy_from_slice(&there[..length]);
    source.consume(length);
    Ok(length)
}

impl Read for Below<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, bytes)
    }
}

impl BufRead for Below<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let there = self.inner.fill_buf();
        match &there {
            Ok([]) => self.state.set(State::Ended),
            Err(_) => self.state.set(State::Failed),
            Ok(_) => {}
        }
        there
    }

    fn consume(&mut self, length: usize) {
        self.inner.consume(length);
    }
}

/// The same for two.
#[derive(Clone)]
struct SharedReader<'a>(Rc<RefCell<Below<'a>>>);

impl Read for SharedReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(bytes)
    }
}

enum Decoder<'a> {
    Gzip(Box<MultiGzDecoder<Below<'a>>>),
    Zlib(Box<ZlibDecoder<Below<'a>>>),
    Raw(Box<DeflateDecoder<Below<'a>>>),
    /// It reads ahead and does not give back what it stands on.
    Brotli(Box<Decompressor<SharedReader<'a>>>, SharedReader<'a>),
    Frame(Box<Frame<'a>>),
    /// Nothing was read yet, or a frame has ended and another may follow.
    Waiting(Coding, Below<'a>),
    Taken,
}

/// One frame of Zstandard whose head was read.
struct Frame<'a> {
    source: Below<'a>,
    decoder: FrameDecoder,
}

impl Read for Frame<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let decoder = &mut self.decoder;
        // Some blocks only fill the window, of which nothing can be taken yet.
        while decoder.can_collect() < bytes.len() && !decoder.is_finished() {
            let missing = bytes.len() - decoder.can_collect();
            let strategy = BlockDecodingStrategy::UptoBytes(missing);
            decoder.decode_blocks(&mut self.source, strategy).map_err(io::Error::other)?;
        }
        decoder.read(bytes)
    }
}

/// Passes over a frame that holds no data.
fn skip(below: &mut Below<'_>, length: u32) -> io::Result<()> {
    let mut left = length as usize;
    while left > 0 {
        let there = below.fill_buf()?.len();
        if there == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        below.consume(there.min(left));
        left -= there.min(left);
    }
    Ok(())
}

impl<'a> Decoder<'a> {
    fn new(coding: Coding, below: Below<'a>) -> Self {
        Self::Waiting(coding, below)
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::Gzip(decoder) => return decoder.read(bytes),
                Self::Zlib(decoder) => return decoder.read(bytes),
                Self::Raw(decoder) => return decoder.read(bytes),
                Self::Brotli(decoder, _) => return decoder.read(bytes),
                Self::Waiting(_, below) => {
                    // Servers name a coding of an empty body too.
                    if below.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    self.begin()?;
                }
                Self::Frame(decoder) => {
                    let length = decoder.read(bytes)?;
                    if length > 0 {
                        return Ok(length);
                    }
                    self.end_frame()?;
                }
                Self::Taken => return Ok(0),
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        let Self::Waiting(coding, mut below) = std::mem::replace(self, Self::Taken) else { return Ok(()) };
        *self = match coding {
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(below))),
            // The low half of the first byte is 8 in the zlib wrapping (RFC 1950, section 2.2) that the standard asks
            // for and some servers leave out; of a bare deflate block it would be a reserved or unusual kind.
            Coding::Deflate if below.fill_buf()?.first().is_some_and(|byte| byte & 0x0f == 8) => {
                Self::Zlib(Box::new(ZlibDecoder::new(below)))
            }
            Coding::Deflate => Self::Raw(Box::new(DeflateDecoder::new(below))),
            Coding::Brotli => {
                let below = SharedReader(Rc::new(RefCell::new(below)));
                Self::Brotli(Box::new(Decompressor::new(below.clone(), 16 * 1024)), below)
            }
            Coding::Zstd => {
                let mut decoder = FrameDecoder::new();
                match decoder.init(&mut below) {
                    Ok(()) => Self::Frame(Box::new(Frame { source: below, decoder })),
                    // Frames that hold no data stand anywhere between the others (RFC 8878, section 3.1.2).
                    Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                        length, ..
                    })) => {
                        skip(&mut below, length)?;
                        Self::Waiting(Coding::Zstd, below)
                    }
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        };
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let Self::Frame(frame) = std::mem::replace(self, Self::Taken) else { return Ok(()) };
        let Frame { source: below, decoder } = *frame;
        if let Some(written) = decoder.get_checksum_from_data()
            && decoder.get_calculated_checksum() != Some(written)
        {
            return Err(io::Error::other("its checksum is wrong"));
        }
        *self = Self::Waiting(Coding::Zstd, below);
        Ok(())
    }

    /// Whether bytes follow behind the end.
    fn has_more(&mut self) -> io::Result<bool> {
        let below = match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Raw(decoder) => decoder.get_mut(),
            Self::Waiting(_, below) => below,
            // What it has read of that it refuses the second time.
            Self::Brotli(decoder, below) => {
                return Ok(decoder.read(&mut [0]).is_err() || !below.0.borrow_mut().fill_buf()?.is_empty());
            }
            Self::Frame(_) | Self::Taken => return Ok(false),
        };
        Ok(!below.fill_buf()?.is_empty())
    }
}

/// One coding, with errors that say so.
struct Layer<'a> {
    decoder: Decoder<'a>,
    coding: Coding,
    state: Rc<Cell<State>>,
    ended: bool,
    fault: Fault,
}

impl Read for Layer<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.ended || bytes.is_empty() {
            return Ok(0);
        }
        let read = self.decoder.read(bytes).and_then(|length| {
            self.ended = length == 0;
            if self.ended && self.decoder.has_more()? {
                return Err(io::Error::other("bytes stand behind its end"));
            }
            Ok(length)
        });
        read.inspect_err(|error| {
            if self.state.get() != State::Failed {
                let is_cut = self.state.get() == State::Ended;
                let error = CodingError { coding: self.coding, is_cut, why: error.to_string() };
                self.fault.borrow_mut().get_or_insert(error);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn pack(coding: Coding, text: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match coding {
            Coding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Brotli => {
                let mut packed = Vec::new();
                brotli::BrotliCompress(
                    &mut Cursor::new(text),
                    &mut packed,
                    &brotli::enc::BrotliEncoderParams::default(),
                )
                .unwrap();
                packed
            }
            Coding::Zstd => {
                ruzstd::encoding::compress_to_vec(Cursor::new(text), ruzstd::encoding::CompressionLevel::Fastest)
            }
        }
    }

    fn unpack(packed: &[u8], codings: &[Coding]) -> Result<Vec<u8>, String> {
        let fault = Fault::default();
        let mut text = Vec::new();
        // A buffer of a few bytes: what comes is cut everywhere.
        let mut body = BufReader::with_capacity(7, packed);
        let unpacked = decode(Box::new(&mut body), codings, &fault).read_to_end(&mut text);
        match unpacked {
            Ok(_) if !body.fill_buf().unwrap().is_empty() => Err("bytes are left".to_owned()),
            Ok(_) => Ok(text),
            Err(_) => Err(fault.borrow().as_ref().unwrap().to_string()),
        }
    }

    const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    fn text() -> Vec<u8> {
        (0..5_000_u32).flat_map(|number| (number * number).to_le_bytes()).collect()
    }

    #[test]
    fn every_coding_comes_off_alone_and_on_top_of_another() {
        let text = text();
        for outer in ALL {
            assert_eq!(unpack(&pack(outer, &text), &[outer]).unwrap(), text, "{outer:?}");
            assert_eq!(unpack(b"", &[outer]).unwrap(), b"", "{outer:?}");
            for inner in ALL {
                let packed = pack(outer, &pack(inner, &text));
                assert_eq!(unpack(&packed, &[inner, outer]).unwrap(), text, "{inner:?} in {outer:?}");
            }
        }
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        bare.write_all(&text).unwrap();
        assert_eq!(unpack(&bare.finish().unwrap(), &[Coding::Deflate]).unwrap(), text);
        let twice = [pack(Coding::Gzip, b"one, "), pack(Coding::Gzip, b"two")].concat();
        assert_eq!(unpack(&twice, &[Coding::Gzip]).unwrap(), b"one, two");
        let twice = [pack(Coding::Zstd, b"one, "), pack(Coding::Zstd, b"two")].concat();
        assert_eq!(unpack(&twice, &[Coding::Zstd]).unwrap(), b"one, two");
        let many: Vec<u8> = (0..300).flat_map(|_| pack(Coding::Gzip, b"x")).collect();
        assert_eq!(unpack(&many, &[Coding::Gzip]).unwrap(), vec![b'x'; 300]);
    }

    #[test]
    fn frames_without_data_stand_anywhere_in_zstd() {
        let skipped = |magic: u8, length: usize| {
            let head = [&[magic, 0x2a, 0x4d, 0x18], &u32::try_from(length).unwrap().to_le_bytes()[..]].concat();
            [head, vec![b'?'; length]].concat()
        };
        let frame = |text: &[u8]| pack(Coding::Zstd, text);
        for (packed, expected) in [
            ([skipped(0x50, 0), frame(b"a")].concat(), "a"),
            ([skipped(0x5f, 100_000), skipped(0x51, 7), frame(b"a"), skipped(0x50, 3), frame(b"b")].concat(), "ab"),
            ([frame(b"a"), skipped(0x5a, 20)].concat(), "a"),
            (skipped(0x50, 9), ""),
        ] {
            assert_eq!(unpack(&packed, &[Coding::Zstd]).unwrap(), expected.as_bytes());
        }
        for cut in 1..17 {
            let packed = [frame(b"a"), skipped(0x50, 9)].concat();
            let error = unpack(&packed[..packed.len() - cut], &[Coding::Zstd]);
            // Where the second frame has not begun, the first is whole.
            assert!(error.is_err() || cut == 17, "{cut}: {error:?}");
        }
    }

    /// Row 36 of the faults, under the packing: a packed body that ends early is never taken for whole.
    #[test]
    fn a_packed_body_that_is_cut_anywhere_is_told() {
        let text = &text()[..300];
        for coding in ALL {
            let packed = pack(coding, text);
            for cut in 1..packed.len() {
                let error = unpack(&packed[..cut], &[coding]).unwrap_err();
                assert!(error.contains("ends before its own end"), "{coding:?} at {cut}: {error}");
            }
        }
    }

    #[test]
    fn a_packed_body_that_is_wrong_or_goes_on_behind_its_end_is_told() {
        let text = text();
        for coding in ALL {
            let packed = pack(coding, &text);
            let more = [packed.as_slice(), &[b'x'; 40]].concat();
            assert!(unpack(&more, &[coding]).is_err(), "{coding:?}");
            let mut wrong = packed.clone();
            let middle = wrong.len() / 2;
            wrong[middle] ^= 0x55;
            // Brotli has no checksum: some wrong bytes cannot be told from right ones.
            assert!(unpack(&wrong, &[coding]) != Ok(text.clone()), "{coding:?}");
            assert!(unpack(b"plain text, not packed at all", &[coding]).is_err(), "{coding:?}");
        }
    }
}
