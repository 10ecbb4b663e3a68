//! `sockeye import` of a page of text.

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
    let lossy = String::from_utf8_lossy(&page);
    let is_utf8 = matches!(lossy, std::borrow::Cow::Borrowed(_));
    let page = lossy;
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
    super::agrees(&name, &imported.text, Carrier::Stream).map_err(|why| console.conclude(Exit::Usage, why))?;
    let mut warnings: Vec<String> =
        imported.guesses.iter().map(|(line, guess)| format!("{name}:{line}: {guess}")).collect();
    if !is_utf8 {
        warnings
            .push(format!("{name} is not UTF-8 throughout: what is not is shown as {}", char::REPLACEMENT_CHARACTER));
    }
    if let [_, _, ..] = imported.sessions[..] {
        let lines: Vec<String> = imported.sessions.iter().map(ToString::to_string).collect();
        let (count, lines) = (lines.len(), lines.join(", "));
        warnings
            .push(format!("{name} has {count} sessions, at the lines {lines}; this is number {session} (--session)"));
    }
    console.warn_of_all(&warnings);
    Ok(imported.text)
}

fn has(page: &[u8], words: &[u8]) -> bool {
    page.windows(words.len()).any(|window| window == words)
}

/// What a file is that is no text, and what makes text of it or a capture.
fn no_page(file: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 9] = [
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
