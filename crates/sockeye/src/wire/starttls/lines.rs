//! Protocols of lines: a greeting, what is asked, and the line that says yes.

use super::{Next, Refusal, Upgrade, shown, strange};

/// How an answer ends, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `250-` and `250 ` (RFC 5321, section 4.2.1; RFC 959, section 4.2).
    Codes,
    /// `+OK`, `-ERR`.
    Signs,
    /// `* …` as often as there is something to tell, then the tag.
    Tagged,
    /// Strings as often as there is something to tell, then OK, NO or BYE.
    Words,
}

fn style(upgrade: Upgrade) -> Style {
    match upgrade {
        Upgrade::Imap => Style::Tagged,
        Upgrade::Pop3 => Style::Signs,
        Upgrade::Sieve => Style::Words,
        _ => Style::Codes,
    }
}

/// What is said in answer to the greeting, and to what follows; what each answer must begin with, and whether it must
/// offer TLS.
fn script(upgrade: Upgrade, own: &str) -> Vec<(&'static str, bool, Option<String>)> {
    let line = |text: &str| Some(format!("{text}\r\n"));
    match upgrade {
        Upgrade::Smtp => {
            vec![("220", false, line(&format!("EHLO {own}"))), ("250", true, line("STARTTLS")), ("220", false, None)]
        }
        Upgrade::Lmtp => {
            vec![("220", false, line(&format!("LHLO {own}"))), ("250", true, line("STARTTLS")), ("220", false, None)]
        }
        Upgrade::Imap => {
            vec![("* OK", false, line("a1 CAPABILITY")), ("a1 OK", true, line("a2 STARTTLS")), ("a2 OK", false, None)]
        }
        Upgrade::Pop3 => vec![("+OK", false, line("STLS")), ("+OK", false, None)],
        Upgrade::Ftp => vec![("220", false, line("AUTH TLS")), ("234", false, None)],
        Upgrade::Sieve => vec![("OK", true, line("STARTTLS")), ("OK", false, None)],
        // 200 and 201 are both a welcome (RFC 3977, section 5.1).
        Upgrade::Nntp => vec![("20", false, line("STARTTLS")), ("382", false, None)],
        Upgrade::Xmpp | Upgrade::Ldap | Upgrade::Postgres | Upgrade::Mysql => vec![],
    }
}

pub(super) fn next(upgrade: Upgrade, step: &mut usize, own: &str, came: &mut Vec<u8>) -> Result<Next, Refusal> {
    let style = style(upgrade);
    let Some((length, last)) = answer(style, *step, came)? else { return Ok(Next::Wait) };
    let answer: Vec<u8> = came.drain(..length).collect();
    let script = script(upgrade, own);
    let Some((expected, offers, say)) = script.get(*step) else { return Ok(Next::Secure) };
    let last = &answer[last..];
    if !starts_with(last, expected) {
        return Err(if is_refusal(style, last) { Refusal::Refused(shown(last)) } else { strange(last) });
    }
    if *offers && !offers_tls(&answer) {
        return Err(Refusal::NotOffered);
    }
    *step += 1;
    Ok(say.as_ref().map_or(Next::Secure, |say| Next::Send(say.clone().into_bytes())))
}

fn starts_with(line: &[u8], start: &str) -> bool {
    line.len() >= start.len() && line[..start.len()].eq_ignore_ascii_case(start.as_bytes())
}

/// A whole answer: its length, and where its last line begins.
fn answer(style: Style, step: usize, came: &[u8]) -> Result<Option<(usize, usize)>, Refusal> {
    let mut at = 0;
    while let Some(length) = memchr::memchr(b'\n', &came[at..]) {
        let line = &came[at..at + length];
        let is_last = match style {
            Style::Codes => is_last_of_codes(line, came)?,
            Style::Signs => true,
            // The greeting is a line without a tag.
            Style::Tagged => step == 0 || !line.starts_with(b"* "),
            Style::Words => ["OK", "NO", "BYE"].iter().any(|word| starts_with(line, word)),
        };
        if is_last {
            return Ok(Some((at + length + 1, at)));
        }
        at += length + 1;
    }
    // What will never be an answer is not waited for.
    let is_possible = match style {
        Style::Codes => came.iter().zip(0..3).all(|(byte, _)| byte.is_ascii_digit()),
        Style::Signs => came.first().is_none_or(|byte| b"+-".contains(byte)),
        Style::Tagged if step == 0 => came.first().is_none_or(|byte| *byte == b'*'),
        Style::Tagged | Style::Words => true,
    };
    if is_possible || came.len() < 16 { Ok(None) } else { Err(strange(came)) }
}

/// Whether a line is the last of an answer: the code of the first line, and no dash.
fn is_last_of_codes(line: &[u8], came: &[u8]) -> Result<bool, Refusal> {
    let Some(code) = came.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit)) else {
        return Err(strange(came));
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(line.starts_with(code) && line.get(3).is_none_or(|byte| *byte == b' '))
}

fn is_refusal(style: Style, line: &[u8]) -> bool {
    match style {
        Style::Codes => line.first().is_some_and(|byte| b"45".contains(byte)),
        Style::Signs => starts_with(line, "-ERR"),
        Style::Tagged => {
            let word = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            ["NO", "BAD", "BYE", "PREAUTH"].iter().any(|other| starts_with(word, other))
        }
        Style::Words => true,
    }
}

/// Whether one of the words of an answer is the name of the command.
fn offers_tls(answer: &[u8]) -> bool {
    answer
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .any(|word| word.eq_ignore_ascii_case(b"STARTTLS"))
}
