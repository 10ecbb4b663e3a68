//! What a file is, by the end of its name: the endings that sites are made of, and no more.

/// A media type and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaType {
    /// What Content-Type says.
    pub(crate) name: &'static str,
    /// Whether packing it is worth the time.
    pub(crate) shrinks: bool,
}

/// Longest ending in the table.
const LONGEST: usize = 11;

/// The type of a file of that name. Text is taken for UTF-8, as nearly all of it is.
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
    by_ending(small)
}

const OTHER: MediaType = packed("application/octet-stream");
const TEXT: MediaType = text("text/plain; charset=utf-8");

/// Files that everybody knows to be text.
fn without_ending(name: &[u8]) -> MediaType {
    match name {
        b"AUTHORS" | b"CHANGELOG" | b"CONTRIBUTING" | b"COPYING" | b"Dockerfile" | b"LICENSE" | b"Makefile"
        | b"NEWS" | b"NOTICE" | b"README" | b"TODO" => TEXT,
        _ => OTHER,
    }
}

const fn text(name: &'static str) -> MediaType {
    MediaType { name, shrinks: true }
}

const fn packed(name: &'static str) -> MediaType {
    MediaType { name, shrinks: false }
}

fn by_ending(ending: &[u8]) -> MediaType {
    match ending {
        b"html" | b"htm" => text("text/html; charset=utf-8"),
        b"css" => text("text/css; charset=utf-8"),
        b"js" | b"mjs" | b"cjs" => text("text/javascript; charset=utf-8"),
        b"json" | b"map" => text("application/json"),
        b"jsonld" => text("application/ld+json"),
        b"geojson" => text("application/geo+json"),
        b"ndjson" | b"jsonl" => text("application/x-ndjson"),
        b"webmanifest" => text("application/manifest+json"),
        b"txt" | b"text" | b"log" | b"conf" | b"cfg" | b"ini" | b"diff" | b"patch" | b"talk" | b"toml" | b"lock"
        | b"rs" | b"c" | b"h" | b"cc" | b"cpp" | b"hpp" | b"py" | b"rb" | b"go" | b"java" | b"kt" | b"swift"
        | b"sh" | b"sql" | b"tsx" | b"jsx" | b"tex" => TEXT,
        b"md" | b"markdown" => text("text/markdown; charset=utf-8"),
        b"csv" => text("text/csv; charset=utf-8"),
        b"tsv" => text("text/tab-separated-values; charset=utf-8"),
        b"vtt" => text("text/vtt; charset=utf-8"),
        b"ics" => text("text/calendar; charset=utf-8"),
        b"yaml" | b"yml" => text("application/yaml"),
        b"xml" | b"xsl" => text("text/xml; charset=utf-8"),
        b"xhtml" => text("application/xhtml+xml"),
        b"rss" => text("application/rss+xml"),
        b"atom" => text("application/atom+xml"),
        b"svg" => text("image/svg+xml"),
        b"wasm" => text("application/wasm"),
        b"png" => packed("image/png"),
        b"jpg" | b"jpeg" => packed("image/jpeg"),
        b"gif" => packed("image/gif"),
        b"webp" => packed("image/webp"),
        b"avif" => packed("image/avif"),
        b"jxl" => packed("image/jxl"),
        b"ico" => packed("image/x-icon"),
        b"bmp" => text("image/bmp"),
        b"tif" | b"tiff" => packed("image/tiff"),
        b"mp3" => packed("audio/mpeg"),
        b"ogg" | b"oga" | b"opus" => packed("audio/ogg"),
        b"wav" => packed("audio/wav"),
        b"flac" => packed("audio/flac"),
        b"m4a" => packed("audio/mp4"),
        b"aac" => packed("audio/aac"),
        b"mp4" | b"m4v" => packed("video/mp4"),
        b"webm" => packed("video/webm"),
        b"ogv" => packed("video/ogg"),
        b"mov" => packed("video/quicktime"),
        b"mkv" => packed("video/x-matroska"),
        b"ts" => TEXT,
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
        b"docx" => packed("application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        b"xlsx" => packed("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        b"pptx" => packed("application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        b"odt" => packed("application/vnd.oasis.opendocument.text"),
        b"pcap" => packed("application/vnd.tcpdump.pcap"),
        _ => OTHER,
    }
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
            assert_eq!(of(name.as_bytes()).name, expected, "{name}");
        }
    }
}
