//! Lines that name the side that speaks in another way than `C:` or `S:`, and what stands behind a side that is no statement.

use super::duration::nearest_duration;
use super::meant::Instead::{Nothing, Statement};
use super::meant::{Meant, clip, is_message};
use super::nearest::nearest;

/// `S> hello`, `Server: hello`, `s: hello`, `C->S: hello`, `[S] hello`, `S : hello`, `- S: hello`, `S closes` in other letters.
pub(super) fn side_mark(text: &str) -> Option<Meant<'_>> {
    if let Some((mark, from, said)) = arrow(text) {
        let why = "it begins with the side that speaks";
        return marked_as_pages_do(mark.trim_end(), why, format!("{from}: {}", said.trim_start()));
    }
    both_sides(text).or_else(|| joined_form(text)).or_else(|| before_mark(text)).or_else(|| {
        let word = side_word(text);
        let side = side_of(word)?;
        let behind = text[word.len()..].trim_start();
        match mark_of_side(behind) {
            "" => unmarked_side(text, word, side, behind),
            sign => other_mark(text, word, side, sign),
        }
    })
}

/// A mark as pages about protocols have them.
fn marked_as_pages_do<'a>(mark: &'a str, why: &str, repaired: String) -> Option<Meant<'a>> {
    let message = format!("`{mark}` is not how a line begins: {why}");
    let help = format!("write `{}`; `sockeye import` makes a transcript of a page with such marks", clip(&repaired));
    Some(Meant { part: mark, message, help, instead: Statement(repaired) })
}

/// `C,S: a`, `client & server: a`: a line of both.
fn both_sides(text: &str) -> Option<Meant<'_>> {
    let (head, said) = text.split_once(':')?;
    let sides: Vec<char> = head
        .replace(" and ", "&")
        .split([',', '&', '/', '+', '|'])
        .map(|word| side_of(word.trim()))
        .collect::<Option<_>>()?;
    (sides.len() == 2).then(|| {
        let said = clip(said.trim());
        Meant {
            part: head,
            message: format!("`{head}:` is not how a line begins: one side says it"),
            help: format!("write `C: {said}` if the client says it, `S: {said}` if the server does"),
            instead: Nothing,
        }
    })
}

/// `C.raw: x`, `Craw: x`, `C(hex): 0a`, `client_file: p`: a side and its form in one word.
fn joined_form(text: &str) -> Option<Meant<'_>> {
    let (head, said) = text.split_once(':')?;
    let lower = head.to_ascii_lowercase();
    let (side, form) = [("client", 'C'), ("server", 'S'), ("c", 'C'), ("s", 'S')].iter().find_map(|(word, side)| {
        let rest = lower.strip_prefix(word)?;
        let form = rest.trim_matches([' ', '.', '-', '_', '/', '(', ')', '[', ']', '<', '>', '+', ',']);
        // Behind a space alone it stands well, or is told elsewhere.
        let is_joined = !rest.starts_with(' ') || rest.trim() != form;
        (is_joined && matches!(form, "raw" | "hex" | "file")).then_some((*side, form))
    })?;
    let message = format!("`{head}:` is not how a line begins: a space stands between the side and its form");
    rewritten(head, message, format!("{side} {form}: {}", said.trim_start()))
}

/// What stands before a good mark: bullets, numbers, quotes.
fn before_mark(text: &str) -> Option<Meant<'_>> {
    let start = text.trim_start_matches(|c: char| !c.is_ascii_alphabetic() && !"#{}<>".contains(c) || c == '>');
    let before = &text[..text.len() - start.len()];
    if before.is_empty() || before.starts_with('#') || !is_message(start) {
        return None;
    }
    let quotes = ['"', '\'', '`', '“', '”', '‘', '’', '«', '»'];
    let bare = if before.ends_with(quotes) { start.trim_end_matches(quotes) } else { start };
    rewritten(before.trim_end(), format!("`{}` does not belong before a line", before.trim()), bare.to_owned())
}

/// The word at the beginning, with the brackets around it.
fn side_word(text: &str) -> &str {
    let end = text
        .find(|c: char| {
            !c.is_ascii_alphabetic() && !"[]()<".contains(c) || c == '>' || c == '<' && !text.starts_with('<')
        })
        .unwrap_or(text.len());
    let end = if text[end..].starts_with('>') && text.starts_with('<') { end + 1 } else { end };
    &text[..end]
}

/// Signs that part a side from what it says, here or elsewhere.
fn mark_of_side(behind: &str) -> &str {
    let said = behind.trim_start_matches([':', '>', '<', '-', '=', ';', '|', '»', '→', '←', '.', ',']);
    &behind[..behind.len() - said.len()]
}

/// `S> hello`, `Server: hello`, `s: hello`, `S : hello`.
fn other_mark<'a>(text: &'a str, word: &str, side: char, sign: &str) -> Option<Meant<'a>> {
    let gap = text.len() - word.len() - text[word.len()..].trim_start().len();
    if (word == "C" || word == "S") && sign == ":" && gap == 0 {
        return None;
    }
    let (marked, said) = text.split_at(word.len() + gap + sign.len());
    let message = if sign == ":" && gap == 0 && word.len() == 1 {
        format!("the sides are written large: `{side}:`")
    } else {
        format!("`{marked}` is not how a line begins: the sides are `C:` and `S:`")
    };
    rewritten(marked, message, format!("{side}: {}", said.trim_start()))
}

/// `[S] hello`, `server closes`, `c waits 1s`, `client raw: x`: a side with no sign behind it.
fn unmarked_side<'a>(text: &'a str, word: &'a str, side: char, behind: &'a str) -> Option<Meant<'a>> {
    let has_gap = text.len() > word.len() + behind.len();
    if (word == "C" || word == "S") && has_gap {
        return form_or_act(text, side, behind);
    }
    if word.ends_with([']', ')', '>']) && has_gap {
        return marked_as_pages_do(word, "the sides are `C:` and `S:`", format!("{side}: {behind}"));
    }
    let verb = behind.split([' ', '\t', ':']).next().unwrap_or_default();
    if is_verb_of_saying(&verb.to_ascii_lowercase()) && behind.len() > verb.len() {
        let said = behind[verb.len()..].trim_start_matches([':', ' ', '\t']);
        let message = format!("`{word} {verb}` is not how a line begins: the sides are `C:` and `S:`");
        return rewritten(text[..text.len() - said.len()].trim_end(), message, format!("{side}: {said}"));
    }
    let known = ["closes", "stops sending", "resets", "waits", "raw:", "hex:", "file:"];
    if known.iter().any(|act| behind.to_ascii_lowercase().starts_with(act)) {
        let repaired = format!("{side} {}", behind.to_ascii_lowercase().split(':').next()?);
        let repaired = behind.split_once(':').map_or(repaired.clone(), |(_, said)| format!("{repaired}:{said}"));
        return rewritten(word, format!("the sides are `C` and `S`, and not `{word}`"), repaired);
    }
    None
}

/// `C->S: x` and its like: the whole mark, who speaks, and what is said.
fn arrow(text: &str) -> Option<(&str, char, &str)> {
    let first = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let from = side_of(&text[..first])?;
    let behind = text[first..].trim_start();
    // The longest first. Mermaid has a + or - behind its arrows.
    let arrows = [
        "-->>", "->>", "-->", "->", "--)", "-)", "==>", "=>", "→", "⟶", "⇒", ">>", ">", "<<--", "<<-", "<--", "<-",
        "<==", "<=", "←", "⟵", "⇐", "<<", "<",
    ];
    let (arrow, left) = arrows.iter().find_map(|arrow| Some((*arrow, behind.strip_prefix(arrow)?.trim_start())))?;
    let left = left.strip_prefix(['+', '-']).unwrap_or(left);
    let second = left.find(|c: char| !c.is_ascii_alphabetic())?;
    let to = side_of(&left[..second])?;
    // Some pages have a space in place of the colon.
    let behind = &left[second..];
    let is_clear = !matches!(arrow, ">" | "<");
    let spaced = || behind.strip_prefix([' ', '\t']).filter(|_| is_clear);
    let said = behind.trim_start().strip_prefix(':').or_else(spaced)?;
    let mark = &text[..text.len() - said.len()];
    let back = arrow.starts_with(['<', '←', '⟵', '⇐']);
    Some((mark, if back { to } else { from }, said))
}

/// A line that is written in another way than it should be, and how it is.
pub(super) fn rewritten(part: &str, message: String, repaired: String) -> Option<Meant<'_>> {
    let help = format!("write `{}`", clip(&repaired));
    Some(Meant { part, message, help, instead: Statement(repaired) })
}

/// Something else behind a side than `:`, a form and its colon, or an act.
fn form_or_act<'a>(text: &'a str, side: char, behind: &'a str) -> Option<Meant<'a>> {
    let word = behind.split([' ', '\t', ':']).next()?;
    let rest = behind[word.len()..].trim_start();
    let lower = word.to_ascii_lowercase();
    match lower.as_str() {
        "raw" | "hex" | "file" => {
            // `C raw hex: 0a`, `C raw text: x`: of two forms the narrower one is meant.
            let second = rest.split_once(':').map(|(second, said)| (second.trim().to_ascii_lowercase(), said));
            if let Some((second, said)) = second
                && matches!(second.as_str(), "raw" | "hex" | "file" | "text" | "line" | "bytes")
            {
                let form = match (lower.as_str(), second.as_str()) {
                    ("file", _) | (_, "file") => "file",
                    ("hex", _) | (_, "hex") => "hex",
                    _ => "raw",
                };
                let mark = &text[..text.len() - said.len()];
                let message = format!("`{mark}` is not how a line begins: a line has one form");
                return rewritten(mark, message, format!("{side} {form}: {}", said.trim_start()));
            }
            let said = rest.strip_prefix(':').unwrap_or(rest).trim_start();
            rewritten(
                &text[..text.len() - rest.len()],
                format!("`{side} {lower}` and its colon stand close together, in small letters"),
                format!("{side} {lower}: {said}"),
            )
        }
        lower if is_verb_of_saying(lower) && !rest.is_empty() => says_something(text, side, word, rest),
        lower => match rest.strip_prefix(':') {
            Some(said) => other_form(side, word, lower, said.trim_start()),
            None => other_act(text, side, behind, lower, rest),
        },
    }
}

fn is_verb_of_saying(word: &str) -> bool {
    matches!(word, "says" | "sends" | "say" | "send" | "said" | "sent" | "writes" | "replies" | "answers")
}

/// `S says: hello`, `C sends a reset`.
fn says_something<'a>(text: &'a str, side: char, word: &str, rest: &'a str) -> Option<Meant<'a>> {
    let said = rest.strip_prefix(':').unwrap_or(rest).trim_start();
    // What is sent below the lines.
    let act = match said.trim_end_matches(['.', '!']).to_ascii_lowercase().as_str() {
        "rst" | "a reset" | "a rst" => Some("resets"),
        "fin" | "a fin" | "eof" | "end of file" => Some("closes"),
        _ => None,
    };
    if let Some(act) = act.filter(|_| !rest.starts_with(':')) {
        return rewritten(text, format!("`{text}` is not a statement"), format!("{side} {act}"));
    }
    let message = format!("`{side} {word}` is not how a line begins: the sides are `C:` and `S:`");
    rewritten(text[..text.len() - said.len()].trim_end(), message, format!("{side}: {said}"))
}

/// `S json: {}`, `C bytes: 01 02`: a form that there is not.
fn other_form<'a>(side: char, word: &'a str, lower: &str, said: &str) -> Option<Meant<'a>> {
    let is_plain =
        matches!(lower, "text" | "line" | "json" | "xml" | "html" | "string" | "str" | "plain" | "utf8" | "ascii");
    let (form, what) = match nearest(lower, ["raw", "hex", "file"]).filter(|_| !is_plain) {
        Some(near) => (near, String::new()),
        None => match lower {
            "bin" | "binary" | "bytes" | "byte" | "data" => ("hex", " and bytes as pairs of hex digits".to_owned()),
            "base64" | "b64" => ("raw", format!(" and a hole, with `let packed = unbase64 {}` above", clip(said))),
            _ => ("", format!(", or `{side} raw:`, `{side} hex:`, `{side} file:`")),
        },
    };
    let mark = if form.is_empty() { format!("{side}:") } else { format!("{side} {form}:") };
    Some(Meant {
        part: word,
        message: format!("`{side} {word}:` is not how a line begins"),
        help: format!("write `{mark}`{what}"),
        instead: if form == "hex" { Nothing } else { Statement(format!("{mark} {said}")) },
    })
}

/// `S closed`, `C hangs up`, `S sleeps 1s`: an act by another word.
fn other_act<'a>(text: &'a str, side: char, behind: &str, lower: &str, rest: &str) -> Option<Meant<'a>> {
    if matches!(lower, "starttls" | "tls" | "starts" | "upgrades")
        && (lower.ends_with("tls") || rest.to_ascii_lowercase().ends_with("tls"))
    {
        return rewritten(text, "TLS begins for both sides at once".to_owned(), "starttls".to_owned());
    }
    if matches!(lower, "stoptls" | "stops" | "ends" | "leaves")
        && (lower.ends_with("tls") || rest.to_ascii_lowercase().ends_with("tls"))
    {
        return rewritten(text, "TLS ends for both sides at once".to_owned(), "stoptls".to_owned());
    }
    let act = act_of(lower, rest)?;
    let repaired = if act == "waits" {
        // What is no duration is told so.
        if lower == "waits" && behind.starts_with("waits ") {
            return None;
        }
        format!("{side} waits {}", nearest_duration(rest).unwrap_or_else(|| "50ms".to_owned()))
    } else if behind == act {
        return None;
    } else {
        format!("{side} {act}")
    };
    rewritten(text, format!("`{text}` is not a statement"), repaired)
}

/// The act that a word stands for.
fn act_of(lower: &str, rest: &str) -> Option<&'static str> {
    // A comment behind an act is told as one.
    let has_words = rest.starts_with(|c: char| c.is_alphabetic());
    Some(match lower {
        "close" | "closed" | "closing" | "disconnect" | "disconnects" | "hangs" | "quits" | "exits" | "ends"
        | "fin" | "eof" | "leaves" | "hangup" | "goes" | "terminates" | "drops" => "closes",
        "is" if matches!(rest.trim_end_matches(['.', '!']), "closing" | "closed" | "done" | "gone" | "leaving") => {
            "closes"
        }
        "half" if rest.starts_with("clos") => "stops sending",
        "closes" if has_words => "closes",
        "reset" | "rst" | "aborts" | "abort" | "crashes" | "kills" => "resets",
        "resets" if has_words => "resets",
        "wait" | "waits" | "sleep" | "sleeps" | "delay" | "delays" | "pause" | "pauses" => "waits",
        "stop" | "stops" | "shutdown" | "shuts" | "half-closes" | "half-close" | "halfcloses" | "finishes" => {
            "stops sending"
        }
        _ => return None,
    })
}

/// The side that a word names.
pub(super) fn side_of(word: &str) -> Option<char> {
    match word.trim_matches(['[', ']', '(', ')', '<', '>', '"', '*']).to_ascii_lowercase().as_str() {
        "s" | "server" | "srv" | "svr" | "response" | "resp" => Some('S'),
        "c" | "client" | "cli" | "clt" | "request" | "req" => Some('C'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the line is read as instead, if that is a line.
    fn read_as(text: &str) -> Option<String> {
        side_mark(text)?.statement()
    }

    #[test]
    fn what_stands_before_a_good_mark_is_left_out() {
        for (text, line) in [
            ("- S: hello", "S: hello"),
            ("* C: hello", "C: hello"),
            ("1. S: hello", "S: hello"),
            ("12) C raw: hello", "C raw: hello"),
            ("> S: hello", "S: hello"),
            (">> S hex: 0a", "S hex: 0a"),
            ("\"S: hello\"", "S: hello"),
            ("\u{201c}S: hello\u{201d}", "S: hello"),
            ("'S: it's'", "S: it's"),
            // Only quotes that opened are closed.
            ("- S: \"hello\"", "S: \"hello\""),
        ] {
            assert_eq!(read_as(text).as_deref(), Some(line), "{text}");
        }
        for text in ["S: hello", "# S: hello", "1. hello", "{S: a}", "", "- "] {
            assert!(before_mark(text).is_none(), "{text}");
        }
        let meant = before_mark("- S: hello").expect("a bullet stands there");
        assert_eq!((meant.part, meant.message.as_str()), ("-", "`-` does not belong before a line"));
    }

    #[test]
    fn a_form_that_there_is_not_is_answered_with_the_one_that_does_it() {
        let line = Some("S: x");
        for (words, help, instead) in [
            (
                &["text", "line", "json", "xml", "html", "string", "str", "plain", "utf8", "ascii"][..],
                "`S:`, or `S raw:`, `S hex:`, `S file:`",
                line,
            ),
            (&["frob", "says-so"], "`S:`, or `S raw:`, `S hex:`, `S file:`", line),
            (&["bin", "binary", "bytes", "byte", "data"], "`S hex:` and bytes as pairs of hex digits", None),
            // What was mistyped may be no hex digits either.
            (&["hexx", "hx"], "`S hex:`", None),
            (&["rw", "raww"], "`S raw:`", Some("S raw: x")),
            (&["flie", "fil"], "`S file:`", Some("S file: x")),
            (&["base64", "b64"], "`S raw:` and a hole, with `let packed = unbase64 x` above", Some("S raw: x")),
        ] {
            for word in words {
                let text = format!("S {word}: x");
                let meant = side_mark(&text).expect(word);
                assert_eq!(meant.message, format!("`S {word}:` is not how a line begins"));
                assert_eq!(meant.help, format!("write {help}"), "{word}");
                assert_eq!(read_as(&text).as_deref(), instead, "{word}");
            }
        }
    }

    #[test]
    fn an_act_by_another_word_is_that_act() {
        let acts: &[(&[&str], &str)] = &[
            (
                &[
                    "close",
                    "closed",
                    "closing",
                    "disconnect",
                    "disconnects",
                    "hangs up",
                    "quits",
                    "exits",
                    "ends",
                    "fin",
                ],
                "closes",
            ),
            (
                &["eof", "leaves", "hangup", "goes", "terminates", "drops", "is closing.", "is gone!", "is done"],
                "closes",
            ),
            (&["closes now", "sends a FIN", "sends EOF."], "closes"),
            (
                &["reset", "rst", "aborts", "abort", "crashes", "kills", "resets now", "sends a reset", "sends RST"],
                "resets",
            ),
            (
                &["stop", "stops", "shutdown", "shuts", "half-closes", "half-close", "halfcloses", "half closes"],
                "stops sending",
            ),
            (&["finishes"], "stops sending"),
            (&["wait 1s", "sleep 1s", "sleeps 1s", "delay 1s", "delays 1s", "pause 1s", "pauses 1s"], "waits 1s"),
            (&["wait"], "waits 50ms"),
        ];
        for (written, act) in acts {
            for behind in *written {
                assert_eq!(read_as(&format!("S {behind}")), Some(format!("S {act}")), "{behind}");
            }
        }
        for (text, statement) in [
            ("S tls", "starttls"),
            ("C starttls", "starttls"),
            ("C starts TLS", "starttls"),
            ("S upgrades to tls", "starttls"),
            ("S stoptls", "stoptls"),
            ("S stops TLS", "stoptls"),
            ("C ends tls", "stoptls"),
            ("C leaves tls", "stoptls"),
        ] {
            assert_eq!(read_as(text).as_deref(), Some(statement), "{text}");
        }
        for text in ["S closes", "S resets", "C stops sending", "S waits 1s", "S waits x", "S is here", "S frobs"] {
            assert_eq!(read_as(text), None, "{text}");
        }
    }

    #[test]
    fn a_side_in_other_letters_words_brackets_or_arrows_is_that_side() {
        for (text, line) in [
            ("S> hello", "S: hello"),
            ("S : hello", "S: hello"),
            ("s: hello", "S: hello"),
            ("Server: hello", "S: hello"),
            ("client - hello", "C: hello"),
            ("Response: x", "S: x"),
            ("req: x", "C: x"),
            ("[S] hello", "S: hello"),
            ("(client) hello", "C: hello"),
            ("<C> hello", "C: hello"),
            ("<S>: hello", "S: hello"),
            ("C->S: hello", "C: hello"),
            ("S --> C: hello", "S: hello"),
            ("S <- C: hello", "C: hello"),
            ("client => server: hello", "C: hello"),
            ("C ← S: hello", "S: hello"),
            ("C<<S:hello", "S: hello"),
            ("C->S hello", "C: hello"),
            ("S -> C hello: you", "S: hello: you"),
            ("C->C: x", "C: x"),
            ("server closes", "S closes"),
            ("c waits 1s", "C waits 1s"),
            ("client raw: x", "C raw: x"),
            ("server says: hello", "S: hello"),
            ("S says hello", "S: hello"),
            ("C Raw: x", "C raw: x"),
            ("S HEX : 0a", "S hex: 0a"),
        ] {
            assert_eq!(read_as(text).as_deref(), Some(line), "{text}");
        }
        for text in ["S: hello", "A->B: x", "hello", "server", "client frob"] {
            assert_eq!(read_as(text), None, "{text}");
        }
    }
}
