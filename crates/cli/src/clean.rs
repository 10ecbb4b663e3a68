//! The cleaner: what a peer sent is shown on a terminal, never obeyed. Controls, escape sequences, C1 codes in both
//! forms and characters that reorder or hide text are written in transcript notation, `{0x1b}`.

use std::io::{self, Write};

use transcript::is_hidden;

/// One line of text made harmless: line breaks and tabs are shown too, so that one event stays one line.
pub(crate) fn line(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            push_hex(&mut cleaned, character.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            cleaned.push(character);
        }
    }
    cleaned
}

/// Text of several lines that we made, which may hold a peer's words: its line breaks stay.
pub(crate) fn lines(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len() + 1);
    for part in text.lines() {
        cleaned.push_str(&line(part));
        cleaned.push('\n');
    }
    cleaned
}

fn push_hex(cleaned: &mut String, bytes: &[u8]) {
    cleaned.push_str("{0x");
    for byte in bytes {
        cleaned.push_str(&format!("{byte:02x}"));
    }
    cleaned.push('}');
}

/// A writer for a terminal: bytes of a peer go in, harmless text comes out. LF and tab pass; a CR passes only before LF.
pub(crate) struct Cleaner<W> {
    inner: W,
    /// The beginning of a character, or a CR, whose rest has not come.
    held: Vec<u8>,
}

impl<W: Write> Cleaner<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, held: Vec::new() }
    }

    /// Writes something whole in a colour (a code of SGR), which is ours and no peer's.
    pub(crate) fn paint(&mut self, code: &str, bytes: &[u8]) -> io::Result<()> {
        write!(self.inner, "\x1b[{code}m")?;
        self.write_all(bytes)?;
        self.inner.write_all(b"\x1b[0m")
    }

    /// Writes what is held back: nothing more comes.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let mut cleaned = String::new();
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            push_hex(&mut cleaned, &held);
        }
        self.inner.write_all(cleaned.as_bytes())?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Cleaner<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let mut cleaned = String::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            let mut characters = chunk.valid().chars().peekable();
            while let Some(character) = characters.next() {
                match character {
                    '\n' | '\t' => cleaned.push(character),
                    '\r' if characters.peek() == Some(&'\n') => {}
                    '\r' if characters.peek().is_none() && last && chunk.invalid().is_empty() => self.held.push(b'\r'),
                    // Persian and many emoji are wrong without their joiners, and a terminal obeys none.
                    '\u{200c}' | '\u{200d}' => cleaned.push(character),
                    _ if is_hidden(character) => push_hex(&mut cleaned, character.encode_utf8(&mut [0; 4]).as_bytes()),
                    _ => cleaned.push(character),
                }
            }
            if !chunk.invalid().is_empty() {
                if last && is_beginning(chunk.invalid()) {
                    self.held.extend_from_slice(chunk.invalid());
                } else {
                    push_hex(&mut cleaned, chunk.invalid());
                }
            }
        }
        self.inner.write_all(cleaned.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Whether bytes are the beginning of a character that may still be completed.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(pieces: &[&[u8]]) -> String {
        let mut cleaner = Cleaner::new(Vec::new());
        for piece in pieces {
            cleaner.write_all(piece).unwrap();
        }
        String::from_utf8(cleaner.finish().unwrap()).unwrap()
    }

    fn is_harmless(text: &str) -> bool {
        let passes = |character| matches!(character, '\n' | '\t' | '\u{200c}' | '\u{200d}') || !is_hidden(character);
        text.chars().all(passes)
    }

    /// Row 61 of the faults: a thousand sequences, each byte by byte, in halves and whole.
    #[test]
    fn no_escape_sequence_reaches_the_terminal() {
        let mut sequences: Vec<Vec<u8>> = (0..=255_u8).map(|byte| vec![b'a', byte, b'z']).collect();
        for introducer in [&b"\x1b["[..], b"\x9b", b"\xc2\x9b", b"\x1b]52;c;", b"\x1bP", b"\x1b_", b"\x1b^", b"\x9d0;"]
        {
            for end in b' '..=b'~' {
                sequences.push([introducer, b"6;1", &[end], b"\x07", b"\x1b\\"].concat());
            }
        }
        for hidden in ["\u{202e}", "\u{2066}", "\u{200b}", "\u{2028}", "\u{e0041}", "\u{85}", "\u{feff}"] {
            sequences.push(format!("x{hidden}y").into_bytes());
        }
        assert!(sequences.len() > 1000);
        for sequence in &sequences {
            let whole = clean(&[sequence]);
            assert!(is_harmless(&whole), "{sequence:?} became {whole:?}");
            let bytes: Vec<&[u8]> = sequence.chunks(1).collect();
            assert!(is_harmless(&clean(&bytes)), "{sequence:?}");
            let one_line = line(&String::from_utf8_lossy(sequence));
            assert!(!one_line.chars().any(is_hidden), "{sequence:?} became {one_line:?}");
        }
    }

    #[test]
    fn text_in_any_language_passes_however_it_is_cut() {
        let text = "Grüße, 世界 🐟 नमस्ते می\u{200c}خواهم 👩\u{200d}👧 שלום\n\tend\n";
        for cut in 0..=text.len() {
            assert_eq!(clean(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]), text);
        }
        assert_eq!(clean(&[b"a\r", b"\nb\rc\r"]), "a\nb{0x0d}c{0x0d}");
        assert_eq!(clean(&[b"\xe4\xb8"]), "{0xe4b8}");
    }

    /// Row 61 of the faults, for every pair of bytes: cut in between, the same comes out as from both at once.
    #[test]
    fn every_two_bytes_are_harmless_whole_and_cut() {
        for pair in 0..=u16::MAX {
            let [first, second] = pair.to_be_bytes();
            let whole = clean(&[&[first, second, b'm']]);
            assert!(is_harmless(&whole), "{first:02x} {second:02x} became {whole:?}");
            assert_eq!(clean(&[&[first], &[second, b'm']]), whole, "{first:02x} {second:02x}");
        }
    }

    #[test]
    fn random_bytes_are_harmless_however_they_are_cut() {
        let mut state = 61_u64;
        let mut next = move || {
            // A linear congruential generator (Knuth): the same bytes each time.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        for _ in 0..1000 {
            let mut bytes = vec![0x1b];
            bytes.extend((0..24).map(|_| next()));
            let whole = clean(&[&bytes]);
            assert!(is_harmless(&whole), "{bytes:02x?} became {whole:?}");
            let cut = usize::from(next()) % bytes.len();
            assert_eq!(clean(&[&bytes[..cut], &bytes[cut..]]), whole, "{bytes:02x?} at {cut}");
        }
    }
}
