//! What a text says of how it is encoded, in its first bytes: UTF-8 is not said over that.

/// As much of a file as is looked at; browsers look at as much of a page (HTML, "prescan a byte stream").
pub(super) const LOOKED_AT: usize = 1024;

/// Where a text may say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// `<meta charset=…>`, or the same for http-equiv.
    Html,
    /// `<?xml … encoding="…"?>`
    Xml,
    /// `@charset "…";`
    Css,
    /// `coding: …` in a comment in the first two lines, as interpreters and editors read it.
    Comment,
    /// The same, if it is a text at all.
    Script,
}

/// Whether the text says that it is something else than UTF-8.
pub(super) fn names_another(text: &[u8], says: Says) -> bool {
    match text {
        // A mark goes before everything that is said.
        [0xef, 0xbb, 0xbf, ..] => return false,
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, 0, 0xfe, 0xff, ..] => return true,
        // Two or four bytes a character, without a mark.
        [0, b'<', 0, ..] | [b'<', 0, ..] => return true,
        _ => {}
    }
    // On the stack: a small file is answered without the heap.
    let mut small = [0; LOOKED_AT];
    let text = &text[..text.len().min(LOOKED_AT)];
    let small = &mut small[..text.len()];
    small.copy_from_slice(text);
    small.make_ascii_lowercase();
    let small = &*small;
    let name = match says {
        Says::Html => declared_by_xml(small).or_else(|| declared_by_meta(small)),
        Says::Xml => declared_by_xml(small),
        Says::Css => small.strip_prefix(b"@charset \"").map(name_at),
        Says::Comment | Says::Script => small.split(|&byte| byte == b'\n').take(2).find_map(declared_in_comment),
    };
    name.is_some_and(|name| !name.is_empty() && !is_utf8(name))
}

/// ASCII is UTF-8 as well.
fn is_utf8(name: &[u8]) -> bool {
    let plain = [b"utf-8".as_slice(), b"utf8", b"unicode-1-1-utf-8", b"us-ascii", b"ascii", b"utf-8-sig", b"utf8-unix"];
    plain.contains(&name) || name.starts_with(b"utf-8-")
}

fn declared_by_xml(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = memchr::memmem::find(text, b"?>").unwrap_or(text.len());
    value_of(b"encoding", &text[..end])
}

fn declared_by_meta(mut text: &[u8]) -> Option<&[u8]> {
    while let Some(at) = memchr::memchr(b'<', text) {
        text = &text[at + 1..];
        if let Some(comment) = text.strip_prefix(b"!--") {
            text = &comment[memchr::memmem::find(comment, b"-->")?..];
        } else if let Some(tag) = text.strip_prefix(b"meta")
            && tag.first().is_some_and(|&byte| byte.is_ascii_whitespace() || byte == b'/')
        {
            let end = memchr::memchr(b'>', tag).unwrap_or(tag.len());
            // `charset=` stands alone or in the content of an http-equiv.
            if let Some(name) = value_of(b"charset", &tag[..end]) {
                return Some(name);
            }
        }
    }
    None
}

/// PEP 263: `coding[=:]\s*([-\w.]+)`.
fn declared_in_comment(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii_start();
    if ![b"#".as_slice(), b"//", b"/*", b";", b"--", b"%", b"\"", b"<!--"].iter().any(|mark| line.starts_with(mark)) {
        return None;
    }
    let at = memchr::memmem::find(line, b"coding")?;
    match line[at + b"coding".len()..].trim_ascii_start() {
        [b':' | b'=', rest @ ..] => Some(name_at(rest)),
        _ => None,
    }
}

/// What stands behind `name=`, with or without quotes.
fn value_of<'t>(name: &[u8], text: &'t [u8]) -> Option<&'t [u8]> {
    memchr::memmem::find_iter(text, name).find_map(|at| {
        let rest = text[at + name.len()..].trim_ascii_start().strip_prefix(b"=")?;
        Some(name_at(rest))
    })
}

/// The name at the beginning of this, behind blanks and a quote.
fn name_at(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"\"").or_else(|| text.strip_prefix(b"'")).unwrap_or(text).trim_ascii_start();
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"-_.:".contains(byte));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_says_of_itself_is_found_where_it_may_stand() {
        use Says::{Comment, Css, Html, Xml};
        for (says, text, another) in [
            (Html, "<meta charset=iso-8859-1>", true),
            (Html, "<!doctype html>\n<HTML><head><META CHARSET = 'Shift_JIS' />", true),
            (Html, "<meta http-equiv=Content-Type content=\"text/html; charset=windows-1252\">", true),
            (Html, "<?xml version='1.0' encoding='koi8-r'?><html>", true),
            (Html, "<meta name=x><meta content='text/html;charset=euc-kr' http-equiv=content-type>", true),
            (Html, "<meta charset=utf-8>", false),
            (Html, "<meta charset=\"UTF8\">", false),
            (Html, "<!-- <meta charset=iso-8859-1> --><p>", false),
            (Html, "<p>charset=iso-8859-1", false),
            (Html, "<metadata charset=iso-8859-1>", false),
            (Html, "<meta charset=>", false),
            (Html, "", false),
            (Html, "\u{feff}<meta charset=iso-8859-1>", false),
            (Xml, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", true),
            (Xml, "<?xml version=\"1.0\" encoding = 'utf-16'?>", true),
            (Xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?>", false),
            (Xml, "<?xml version=\"1.0\"?><a encoding=\"x\">", false),
            (Css, "@charset \"iso-8859-15\";", true),
            (Css, "@charset \"utf-8\";", false),
            (Css, "a{} @charset \"iso-8859-15\";", false),
            (Comment, "#!/usr/bin/python\n# -*- coding: latin-1 -*-", true),
            (Comment, "# vim: set fileencoding=cp1252 :", true),
            (Comment, "# -*- coding: utf-8-unix -*-", false),
            (Comment, "\n\n# coding: latin-1", false),
            (Comment, "coding: latin-1", false),
        ] {
            assert_eq!(names_another(text.as_bytes(), says), another, "{text}");
        }
        for says in [Html, Xml, Css, Comment] {
            assert!(names_another(b"\xff\xfea\0", says) && names_another(b"\xfe\xff\0a", says));
        }
        assert!(names_another(b"<\0?\0x\0m\0l\0", Xml));
    }
}
