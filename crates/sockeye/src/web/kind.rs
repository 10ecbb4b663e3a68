//! What a file is: by the end of its name, as a list of ours and then a long one of others say, and where that leaves it
//! open, by its first bytes.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::charset::{self, LOOKED_AT, Says};

/// A media type and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaType {
    /// What Content-Type says.
    pub(crate) name: &'static str,
    /// Whether packing it is worth the time.
    pub(crate) shrinks: bool,
    text: Text,
    /// The file is packed as it lies there, and who takes it is told so.
    pub(crate) is_gzip: bool,
}

/// What is said of how a text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// It is none, or its type knows.
    None,
    /// UTF-8, as nearly all of it is, unless it says otherwise.
    Utf8(Says),
}

/// Longest ending in the table.
const LONGEST: usize = 16;

/// The type of a file of that name.
pub(crate) fn of(name: &[u8]) -> MediaType {
    let ending = match memchr::memrchr(b'.', name) {
        // A name that only begins with a dot has no ending.
        Some(dot) if dot > 0 => &name[dot + 1..],
        _ => return without_ending(name),
    };
    let mut room = [0; LONGEST];
    let Some(small) = room.get_mut(..ending.len()) else { return OTHER };
    small.copy_from_slice(ending);
    small.make_ascii_lowercase();
    by_ending(small).or_else(|| guessed(small)).unwrap_or(OTHER)
}

impl MediaType {
    /// What can be said once the file is open.
    pub(crate) fn seen_in(self, file: &File, size: u64) -> Self {
        if self.text == Text::None && !self.is_gzip {
            return self;
        }
        // One call is enough, unless the file shrinks meanwhile.
        let mut begin = [0; LOOKED_AT];
        let most = usize::try_from(size).map_or(LOOKED_AT, |size| size.min(LOOKED_AT));
        let begin = &mut begin[..most];
        let mut length = 0;
        while length < begin.len()
            && let Ok(read @ 1..) = file.read_at(&mut begin[length..], length as u64)
        {
            length += read;
        }
        self.seen(&begin[..length])
    }

    fn seen(self, begin: &[u8]) -> Self {
        if self == TYPESCRIPT && is_transport_stream(begin) {
            return packed("video/mp2t");
        }
        if self.is_gzip {
            return Self { is_gzip: begin.starts_with(b"\x1f\x8b"), ..self };
        }
        match self.text {
            Text::Utf8(says) if charset::names_another(begin, says) => Self { text: Text::None, ..self },
            _ => self,
        }
    }

    /// Writes the value of Content-Type.
    pub(crate) fn push(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        if self.text != Text::None {
            out.extend_from_slice(b"; charset=utf-8");
        }
    }
}

/// Packets of 188 bytes that begin with the same byte (ISO/IEC 13818-1), with or without a time before each.
fn is_transport_stream(begin: &[u8]) -> bool {
    let is_sync =
        |first: usize, step: usize| (0..4).map(|packet| first + packet * step).all(|at| begin.get(at) == Some(&0x47));
    is_sync(0, 188) || is_sync(4, 192) || begin.len() == 188 && begin[0] == 0x47 && begin.contains(&0xff)
}

const OTHER: MediaType = packed("application/octet-stream");
const TEXT: MediaType = utf8("text/plain", Says::Comment);
/// Or what a camera has recorded.
const TYPESCRIPT: MediaType = utf8("text/plain", Says::Script);

/// Files that everybody knows to be text.
fn without_ending(name: &[u8]) -> MediaType {
    match name {
        b"AUTHORS" | b"CHANGELOG" | b"CONTRIBUTING" | b"COPYING" | b"Dockerfile" | b"LICENSE" | b"Makefile"
        | b"NEWS" | b"NOTICE" | b"README" | b"TODO" => TEXT,
        _ => OTHER,
    }
}

const fn text(name: &'static str) -> MediaType {
    MediaType { name, shrinks: true, text: Text::None, is_gzip: false }
}

const fn utf8(name: &'static str, says: Says) -> MediaType {
    MediaType { name, shrinks: true, text: Text::Utf8(says), is_gzip: false }
}

const fn packed(name: &'static str) -> MediaType {
    MediaType { name, shrinks: false, text: Text::None, is_gzip: false }
}

/// What the list of others says.
fn guessed(ending: &[u8]) -> Option<MediaType> {
    let name = mime_guess::from_ext(std::str::from_utf8(ending).ok()?).first_raw()?;
    Some(match name.split_once('/') {
        Some(("text", "xml")) => utf8(name, Says::Xml),
        Some(("text", _)) => utf8(name, Says::Comment),
        _ if name.ends_with("+xml") || name.ends_with("+json") || is_text_all_the_same(name) => text(name),
        _ => packed(name),
    })
}

fn is_text_all_the_same(name: &str) -> bool {
    [
        "application/javascript",
        "application/json",
        "application/x-sh",
        "application/xml",
        "application/xml-dtd",
        "application/postscript",
        "application/rtf",
        "application/sql",
        "application/x-javascript",
        "application/x-tex",
        "application/x-subrip",
        "image/bmp",
        "image/x-ms-bmp",
    ]
    .contains(&name)
}

fn by_ending(ending: &[u8]) -> Option<MediaType> {
    Some(match ending {
        b"html" | b"htm" => utf8("text/html", Says::Html),
        b"css" => utf8("text/css", Says::Css),
        b"js" | b"mjs" | b"cjs" => utf8("text/javascript", Says::Comment),
        b"json" | b"map" => text("application/json"),
        b"jsonld" => text("application/ld+json"),
        b"geojson" => text("application/geo+json"),
        b"ndjson" | b"jsonl" => text("application/x-ndjson"),
        b"webmanifest" => text("application/manifest+json"),
        b"txt" | b"text" | b"log" | b"conf" | b"cfg" | b"ini" | b"diff" | b"patch" | b"talk" | b"toml" | b"lock"
        | b"rs" | b"c" | b"h" | b"cc" | b"cpp" | b"hpp" | b"py" | b"rb" | b"go" | b"java" | b"kt" | b"swift"
        | b"sh" | b"sql" | b"tsx" | b"jsx" | b"tex" | b"cts" | b"bat" | b"ps1" | b"pl" | b"lua" | b"zig" | b"nix"
        | b"cmake" | b"gradle" | b"properties" | b"env" | b"srt" | b"nfo" | b"asc" | b"sha256" | b"md5" => TEXT,
        b"md" | b"markdown" => utf8("text/markdown", Says::Comment),
        b"csv" => utf8("text/csv", Says::Comment),
        b"tsv" => utf8("text/tab-separated-values", Says::Comment),
        b"vtt" => utf8("text/vtt", Says::Comment),
        b"vcf" => utf8("text/vcard", Says::Comment),
        b"rtf" => text("application/rtf"),
        b"ics" => utf8("text/calendar", Says::Comment),
        b"yaml" | b"yml" => text("application/yaml"),
        b"xml" | b"xsl" | b"xslt" => utf8("text/xml", Says::Xml),
        b"xhtml" | b"xht" => text("application/xhtml+xml"),
        b"rss" => text("application/rss+xml"),
        b"atom" => text("application/atom+xml"),
        b"svg" => text("image/svg+xml"),
        b"svgz" => MediaType { is_gzip: true, ..packed("image/svg+xml") },
        b"wasm" => text("application/wasm"),
        b"png" => packed("image/png"),
        b"jpg" | b"jpeg" => packed("image/jpeg"),
        b"gif" => packed("image/gif"),
        b"webp" => packed("image/webp"),
        b"avif" => packed("image/avif"),
        b"heic" => packed("image/heic"),
        b"heif" => packed("image/heif"),
        b"jxl" => packed("image/jxl"),
        b"ico" => packed("image/x-icon"),
        b"bmp" => text("image/bmp"),
        b"tif" | b"tiff" => packed("image/tiff"),
        b"mid" | b"midi" => packed("audio/midi"),
        b"mp3" => packed("audio/mpeg"),
        b"ogg" | b"oga" | b"opus" => packed("audio/ogg"),
        b"wav" => packed("audio/wav"),
        b"flac" => packed("audio/flac"),
        b"m4a" | b"m4b" => packed("audio/mp4"),
        b"aac" => packed("audio/aac"),
        b"mp4" | b"m4v" => packed("video/mp4"),
        b"webm" => packed("video/webm"),
        b"ogv" => packed("video/ogg"),
        b"mov" => packed("video/quicktime"),
        b"mkv" => packed("video/x-matroska"),
        b"avi" => packed("video/x-msvideo"),
        b"mpg" | b"mpeg" | b"mpe" => packed("video/mpeg"),
        b"m2ts" | b"m2t" => packed("video/mp2t"),
        b"m3u8" => text("application/vnd.apple.mpegurl"),
        b"m3u" => text("audio/x-mpegurl"),
        b"mpd" => text("application/dash+xml"),
        b"ts" | b"mts" => TYPESCRIPT,
        // The list has a drawing program's, and a certificate's.
        b"obj" => text("model/obj"),
        b"stl" => packed("model/stl"),
        b"woff" => packed("font/woff"),
        b"woff2" => packed("font/woff2"),
        b"ttf" => text("font/ttf"),
        b"otf" => text("font/otf"),
        b"pdf" => packed("application/pdf"),
        b"epub" => packed("application/epub+zip"),
        b"zip" => packed("application/zip"),
        b"gz" | b"tgz" => packed("application/gzip"),
        b"bz2" => packed("application/x-bzip2"),
        b"xz" => packed("application/x-xz"),
        b"zst" => packed("application/zstd"),
        b"7z" => packed("application/x-7z-compressed"),
        b"tar" => packed("application/x-tar"),
        b"jar" => packed("application/java-archive"),
        b"apk" => packed("application/vnd.android.package-archive"),
        b"iso" | b"img" | b"dmg" | b"exe" | b"msi" | b"deb" | b"rpm" | b"bin" => OTHER,
        b"pcap" | b"pcapng" => packed("application/vnd.tcpdump.pcap"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_by_the_end_of_the_name() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("A.HTM", "text/html; charset=utf-8"),
            ("x.min.js", "text/javascript; charset=utf-8"),
            ("x.tar.gz", "application/gzip"),
            ("README", "text/plain; charset=utf-8"),
            ("x.webmanifest", "application/manifest+json"),
            ("x.webmanifests", "application/octet-stream"),
            ("x.", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(said(of(name.as_bytes())), expected, "{name}");
        }
    }

    fn said(media: MediaType) -> String {
        let mut out = vec![];
        media.push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_sites_and_offices_are_made_of_is_known() {
        for (name, expected) in [
            ("live.m3u8", "application/vnd.apple.mpegurl"),
            ("a.AVI", "video/x-msvideo"),
            ("a.mpg", "video/mpeg"),
            ("a.svgz", "image/svg+xml"),
            ("a.doc", "application/msword"),
            ("a.xls", "application/vnd.ms-excel"),
            ("a.ppt", "application/vnd.ms-powerpoint"),
            ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            ("a.obj", "model/obj"),
            ("a.stl", "model/stl"),
            ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            ("a.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
            ("a.odt", "application/vnd.oasis.opendocument.text"),
            ("a.ods", "application/vnd.oasis.opendocument.spreadsheet"),
            ("a.rtf", "application/rtf"),
            ("a.mid", "audio/midi"),
            ("a.wmv", "video/x-ms-wmv"),
            ("a.flv", "video/x-flv"),
            ("a.3gp", "video/3gpp"),
            ("a.vcf", "text/vcard; charset=utf-8"),
            ("a.nothing", "application/octet-stream"),
        ] {
            assert_eq!(said(of(name.as_bytes())), expected, "{name}");
        }
    }

    #[test]
    fn what_the_name_leaves_open_is_seen_in_the_file() {
        let stream: Vec<u8> = (0..1024).map(|at| if at % 188 == 0 { 0x47 } else { 0xff }).collect();
        let camera: Vec<u8> = (0..1024).map(|at| if at % 192 == 4 { 0x47 } else { 0xff }).collect();
        let gs = [b'G'; 100];
        for (name, begin, expected) in [
            ("a.ts", stream.as_slice(), "video/mp2t"),
            ("a.MTS", camera.as_slice(), "video/mp2t"),
            ("a.ts", b"export const a = 1;", "text/plain; charset=utf-8"),
            ("a.ts", &gs, "text/plain; charset=utf-8"),
            ("a.ts", b"", "text/plain; charset=utf-8"),
            ("a.html", b"<meta charset=iso-8859-1>", "text/html"),
            ("a.html", b"<p>", "text/html; charset=utf-8"),
            ("a.xml", b"<?xml version='1.0' encoding='iso-8859-1'?>", "text/xml"),
            ("a.txt", b"\xff\xfeh\0i\0", "text/plain"),
            ("a.css", b"@charset \"koi8-r\";", "text/css"),
            ("a.png", b"\xff\xfe", "image/png"),
        ] {
            assert_eq!(said(of(name.as_bytes()).seen(begin)), expected, "{name}");
        }
        assert!(of(b"a.svgz").seen(b"\x1f\x8b\x08").is_gzip && !of(b"a.svgz").seen(b"<svg>").is_gzip);
    }
}
