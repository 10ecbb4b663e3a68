//! `sockeye import` of a page of text.

use std::collections::BTreeSet;

use transcript::Carrier;
use transcript::import::{Import, import, why_none};

use crate::exit::Exit;
use crate::flags;
use crate::output::Console;

/// Makes a transcript of a session of a page.
pub(super) fn transcript(page: Vec<u8>, flags: &flags::Import, console: &Console) -> Result<String, Exit> {
    let name = flags.file.display().to_string();
    let of_captures =
        [(flags.stream.is_some(), "--stream"), (flags.keylog.is_some(), "--keylog"), (flags.exact, "--exact")];
    if let Some((_, flag)) = of_captures.into_iter().find(|(is_there, _)| *is_there) {
        let why = format!(
            "{flag} is about captures, and {name} is none as tcpdump and Wireshark write them (.pcap, .pcapng)"
        );
        return Err(console.fail(Exit::Usage, &why));
    }
    let session = flags.session.unwrap_or(1);
    if page.len() as u64 > sockeye::limits::TRANSCRIPT {
        return Err(console.fail(Exit::Usage, &format!("{name} is larger than 16 MiB: cut out the pages that matter")));
    }
    if page.trim_ascii_start().starts_with(b"{") && has(&page, b"\"entries\"") {
        return Err(console.fail(Exit::Usage, &format!("{name} seems to be an HTTP archive: --har reads those")));
    }
    let no_page = no_page(&page);
    let page = utf16(&page).map_or(page, String::into_bytes);
    let (page, bytes) = with_bytes(&page);
    let client = flags.client.as_deref();
    let options = Import { session, starttls: flags.starttls, client };
    let Some(imported) = import(&page, options) else {
        let first = import(&page, Import { client, ..Import::default() });
        let why = match first.map(|first| first.sessions.len()) {
            Some(1) => format!("{name} has one session, and no number {session}"),
            Some(count) => format!("{name} has {count} sessions, and no number {session}"),
            None => {
                let why = no_page.map_or_else(|| why_none(&page, client), str::to_owned);
                format!("{name} has no session: {why}")
            }
        };
        return Err(console.fail(Exit::Usage, &why));
    };
    let text = written(imported.text, &bytes);
    let shown = format!("the transcript of {name}");
    let made = super::agrees(&shown, &text, Carrier::Stream).map_err(|why| console.conclude(Exit::Usage, why))?;
    let mut warnings: Vec<String> =
        imported.guesses.iter().map(|(line, guess)| written(format!("{name}:{line}: {guess}"), &bytes)).collect();
    if let Some(byte) = bytes.iter().next() {
        warnings.push(format!("{name} is not UTF-8 throughout: what is not is written as bytes, as {{0x{byte:02x}}}"));
    }
    if let [_, _, ..] = imported.sessions[..] {
        let lines: Vec<String> = imported.sessions.iter().map(ToString::to_string).collect();
        let (count, lines) = (lines.len(), lines.join(", "));
        warnings
            .push(format!("{name} has {count} sessions, at the lines {lines}; this is number {session} (--session)"));
    }
    let lints = made.warnings();
    warnings.extend(lints.iter().take(transcript::MOST_SHOWN).map(|lint| lint.one_line(made.source())));
    if let Some(more @ 1..) = lints.len().checked_sub(transcript::MOST_SHOWN) {
        warnings.push(format!("{shown}: {} warnings; {more} more are not shown", lints.len()));
    }
    console.warn_of_all(&warnings);
    Ok(text)
}

/// Characters for private use, which stand for the bytes 0x80 to 0xff of a page that is not UTF-8.
const BYTES: u32 = 0x10_fe00;

/// A page as text, and which of its bytes are none; those are characters for private use in it.
fn with_bytes(page: &[u8]) -> (String, BTreeSet<u8>) {
    let (mut text, mut bytes) = (String::with_capacity(page.len()), BTreeSet::new());
    for chunk in page.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            bytes.insert(*byte);
            text.push(stand_in(*byte));
        }
    }
    (text, bytes)
}

fn stand_in(byte: u8) -> char {
    char::from_u32(BYTES + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// What came of such a text, with these bytes as a transcript writes them.
fn written(text: String, bytes: &BTreeSet<u8>) -> String {
    bytes.iter().fold(text, |text, byte| text.replace(stand_in(*byte), &format!("{{0x{byte:02x}}}")))
}

/// What unpacks a file that is packed.
pub(super) fn packed(file: &[u8]) -> Option<&'static str> {
    no_page(file).filter(|why| why.contains("unpack it"))
}

fn has(page: &[u8], words: &[u8]) -> bool {
    page.windows(words.len()).any(|window| window == words)
}

/// What a file is that is no text, and what makes text of it or a capture.
fn no_page(file: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 10] = [
        (b"\x1f\x8b", "it is packed: unpack it with gunzip first"),
        (b"\xfd7zXZ\0", "it is packed: unpack it with xz -d first"),
        (b"\x28\xb5\x2f\xfd", "it is packed: unpack it with zstd -d first"),
        (b"BZh", "it is packed: unpack it with bunzip2 first"),
        (b"\x04\x22\x4d\x18", "it is packed: unpack it with lz4 -d first"),
        (b"PK\x03\x04", "it is a zip archive: unpack it with unzip first"),
        (b"snoop\0\0\0", "it is a capture of snoop: editcap -F pcap makes one of it that can be read"),
        (b"GMBU", "it is a capture of Network Monitor: editcap -F pcap makes one of it that can be read"),
        (b"RTSS", "it is a capture of Network Monitor: editcap -F pcap makes one of it that can be read"),
        (b"%PDF", "it is a PDF: save it as plain text (pdftotext -layout)"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| file.starts_with(magic)).map(|(_, what)| *what);
    known.or_else(|| {
        let is_text = !file.contains(&0) || utf16(file).is_some();
        (!is_text).then_some("it is neither text nor a capture as tcpdump and Wireshark write them (.pcap, .pcapng)")
    })
}

/// The text of a page that was saved as UTF-16, which begins with its mark.
fn utf16(page: &[u8]) -> Option<String> {
    let of: fn([u8; 2]) -> u16 = match page {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units: Vec<u16> = page[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}
