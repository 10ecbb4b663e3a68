//! Heads of blocks, `not` and `include`, written in another way: `at anytime`, `in-any-order`, `repeat (3)`, `not: S: x`,
//! `maybe S: x`, `include "x.talk"`.

use super::meant::Instead::{Block, BlockIfClosed, Inline, Nothing, Statement};
use super::meant::{Instead, Meant, clip, is_message};
use super::nearest::nearest;

/// What was meant by a line that is not yet one of these statements, but nearly.
pub(super) fn head(text: &str) -> Option<Meant<'_>> {
    not(text).or_else(|| include(text)).or_else(|| rounds(text)).or_else(|| line_behind(text)).or_else(|| phrase(text))
}

fn says<'a>(part: &'a str, message: String, help: String, instead: Instead) -> Option<Meant<'a>> {
    Some(Meant { part, message, help, instead })
}

fn repaired<'a>(part: &'a str, message: String, statement: String) -> Option<Meant<'a>> {
    says(part, message, format!("write `{}`", clip(&statement)), Statement(statement))
}

/// `not: S: x`, `S not: x`, `!S: x`, `never S: x`, and `not` alone above a block.
fn not(text: &str) -> Option<Meant<'_>> {
    const WORDS: [&str; 8] = ["not", "no", "never", "without", "forbid", "deny", "unless", "reject"];
    let word = &text[..text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())];
    let lower = word.to_ascii_lowercase();
    let behind = |after: &'_ str| after.trim_start_matches([':', ' ', '\t']).to_owned();
    let line = if let Some(after) = text.strip_prefix(['!', '¬']) {
        behind(after)
    } else if WORDS.contains(&lower.as_str()) {
        if text.trim_end() == "not" {
            let help = "write `not S: text` or `not C: text`, on one line, for each that must not come".to_owned();
            return says(word, "`not` stands before a line that must not come".to_owned(), help, BlockIfClosed);
        }
        behind(&text[word.len()..])
    } else if matches!(word, "C" | "S") {
        // `S not: x`, `S !: x`.
        let after = text[1..].trim_start();
        let denial = WORDS.iter().copied().chain(["!"]).find(|denial| {
            let rest = after.to_ascii_lowercase();
            rest.strip_prefix(denial).is_some_and(|rest| rest.starts_with(':'))
        })?;
        format!("{word}: {}", behind(&after[denial.len()..]))
    } else {
        return None;
    };
    let statement = format!("not {line}");
    (is_message(&line) && statement != text)
        .then(|| repaired(text, "a line that must not come stands behind `not` and a space".to_owned(), statement))
        .flatten()
        // A missing space behind the colon is told by itself.
        .filter(|_| !text.starts_with("not ") || !is_message(text[4..].trim_start()))
}

/// `include: x`, `include "x"`, `Include x`, `include a.talk b.talk`.
fn include(text: &str) -> Option<Meant<'_>> {
    let word = &text[..text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len())];
    if !word.eq_ignore_ascii_case("include") {
        return None;
    }
    let path =
        text[word.len()..].trim_start_matches([' ', '\t', ':', '=', '(']).trim_end_matches([' ', '\t', ';', ')']);
    let marks = ['"', '\'', '<', '>', '`', '“', '”'];
    let bare = if path.starts_with(marks) { path.trim_matches(marks) } else { path };
    let bare = bare.strip_prefix("file://").or_else(|| bare.strip_prefix("./")).unwrap_or(bare);
    let files: Vec<&str> = bare.split([' ', ',']).filter(|file| !file.is_empty()).collect();
    if files.len() > 1 && files.iter().all(|file| file.ends_with(".talk")) {
        let help = files.iter().map(|file| format!("`include {file}`")).collect::<Vec<_>>().join(" and ");
        return says(path, "one `include` names one file".to_owned(), format!("write {help}, a line each"), Nothing);
    }
    let statement = format!("include {bare}");
    let is_written_well = word == "include" && path == bare && text[word.len()..].trim_start() == path;
    (!is_written_well && !bare.is_empty())
        .then(|| repaired(text, "behind `include` and a space stands a path, without quotes".to_owned(), statement))
        .flatten()
}

/// `repeat (3)`, `repeat {n}`, `repeat x 3`, `3 times`.
fn rounds(text: &str) -> Option<Meant<'_>> {
    let words: Vec<&str> = text.trim_end_matches([':', '{', ' ', '\t']).split_ascii_whitespace().collect();
    if let [count, times] = words[..]
        && count.bytes().all(|byte| byte.is_ascii_digit())
        && times.eq_ignore_ascii_case("times")
    {
        let help = format!("write `repeat {count}`, and `end` where the block ends");
        return says(text, format!("`{text}` is not a statement"), help, Block);
    }
    let rest = text.strip_prefix("repeat")?.trim_start();
    // The marks that other languages put around a head go first: what stands between them are the rounds.
    let inside = rest.trim_end_matches(|c: char| ":;.,{".contains(c) || c.is_whitespace());
    let block_end = if rest[inside.len()..].contains('{') { ", and `end` where the block ends" } else { "" };
    let counted = inside.trim_start_matches([':', '=', ' ', '\t']);
    let bare = counted.trim_matches(['(', ')', '[', ']', '<', '>', '"', '\'', '{', '}', '$', ' ']);
    if bare == inside || bare.is_empty() {
        return None;
    }
    let is_number = bare.bytes().all(|byte| byte.is_ascii_digit());
    // `repeat: 3`, `repeat=3`, `repeat = three`. A line behind the colon is told as one.
    let has_sign = counted.len() < inside.len() && bare == counted && !is_message(counted);
    if is_number || has_sign {
        let statement = format!("repeat {bare}");
        let help = format!("write `{}`{block_end}", clip(&statement));
        return says(rest, format!("`{rest}` is not a number of rounds"), help, Statement(statement));
    }
    let is_name = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let help = "write the number, `repeat 3`; or `repeat`, which goes on until the line below its `end` comes";
    (is_name && counted.starts_with(['{', '$']))
        .then(|| says(counted, "a loop is not counted by a value".to_owned(), help.to_owned(), Block))
        .flatten()
}

/// `maybe S: x`, `either C: a`, `repeat S: x`, `at any time S: x`: the first line behind the head.
fn line_behind(text: &str) -> Option<Meant<'_>> {
    let (head, line) =
        ["either", "or", "maybe", "together", "repeat", "in any order", "at any time"].iter().find_map(|head| {
            let line = text.strip_prefix(head)?.trim_start_matches(':').strip_prefix([' ', '\t'])?.trim_start();
            is_message(line).then_some((*head, line))
        })?;
    let end = if head == "or" { "" } else { ", and `end` below its last line" };
    let help = format!("put `{}` on a line below `{head}`{end}", clip(line));
    says(line, format!("nothing follows `{head}` on its line"), help, Inline)
}

/// `at anytime`, `in-any-order`, `one of`.
fn phrase(text: &str) -> Option<Meant<'_>> {
    let bare = text.trim_end_matches(|c: char| ":;.,{(".contains(c) || c.is_whitespace());
    let plain = bare.to_ascii_lowercase().replace(['-', '_'], " ");
    let words: Vec<&str> = plain.split_ascii_whitespace().collect();
    let statement = match words[..] {
        ["at", "any" | "all" | "every", "time" | "times" | "point" | "moment" | "moments"]
        | ["at", "anytime"]
        | ["any", "time" | "times"]
        | ["anytime"]
        | ["at", "whatever", "time"] => "at any time",
        ["in", "any" | "every" | "whatever" | "random" | "arbitrary", "order" | "orders" | "sequence"]
        | ["in", "anyorder"]
        | ["any", "order"] => "in any order",
        ["may", "be"] | ["may"] => "maybe",
        ["at", "once"] | ["all", "at", "once"] | ["at", "the", "same", "time"] => "together",
        ["one" | "any" | "either" | "some", "of"] | ["one", "of", "these" | "them"] | ["choose", "one"] => {
            let help = "a choice is written `either`, `or` and `end`: each way begins with a line of the same side";
            return says(bare, format!("`{bare}` begins no statement"), help.to_owned(), Block);
        }
        ["all" | "each" | "both", "of"] | ["both"] | ["all"] | ["all", "of", "these" | "them"] => {
            let help = "what one side says in an order that is not known stands between `in any order` and `end`";
            return says(bare, format!("`{bare}` begins no statement"), help.to_owned(), Block);
        }
        // `at any tim`, `in ayn order`.
        _ if words.len() > 1 && plain.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b' ') => {
            const AT: [&str; 4] = ["at any time", "at every time", "at any moment", "at all times"];
            const IN: [&str; 4] = ["in any order", "in every order", "in random order", "in no order"];
            let near = nearest(&plain, AT.into_iter().chain(IN))?;
            if AT.contains(&near) { AT[0] } else { IN[0] }
        }
        _ => return None,
    };
    // What is written well but for a mark behind it is told so elsewhere.
    let is_well = bare.split_ascii_whitespace().eq(statement.split(' '));
    (!is_well).then(|| repaired(bare, format!("`{bare}` begins no statement"), statement.to_owned())).flatten()
}

#[cfg(test)]
mod tests {
    use crate::Transcript;

    /// The one mistake that the text has, and what to write instead.
    fn told(text: &str) -> String {
        let why = Transcript::parse("x", text.as_bytes(), &[]).expect_err(text);
        let told: Vec<String> = why
            .findings
            .iter()
            .map(|finding| {
                format!("{}: {}; {}", finding.line, finding.message, finding.help.clone().unwrap_or_default())
            })
            .collect();
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        told.concat()
    }

    #[test]
    fn a_head_written_in_another_way_is_one_mistake_with_its_fix() {
        for (head, words) in [
            ("at any times", "write `at any time`"),
            ("at anytime", "write `at any time`"),
            ("at all times", "write `at any time`"),
            ("At Any Time", "write `at any time`"),
            ("any time", "write `at any time`"),
            ("any-time:", "write `at any time`"),
        ] {
            let text = format!("{head}\n  S: PING\n  C: PONG\nend\nC: a\nS: b\n");
            assert!(told(&text).contains(words), "{head}: {}", told(&text));
        }
        for (head, words) in [
            ("in-any-order", "write `in any order`"),
            ("In Any Order", "write `in any order`"),
            ("in any orders", "write `in any order`"),
            ("in_any_order:", "write `in any order`"),
            ("in random order", "write `in any order`"),
            ("may be", "write `maybe`"),
            ("one of", "`either`, `or` and `end`"),
            ("Any of:", "`either`, `or` and `end`"),
            ("all of", "between `in any order` and `end`"),
            ("both", "between `in any order` and `end`"),
            ("3 times", "write `repeat 3`"),
            ("repeat (3)", "write `repeat 3`"),
            ("repeat [3]", "write `repeat 3`"),
            ("repeat \"3\"", "write `repeat 3`"),
            ("repeat {n}", "a loop is not counted by a value"),
            ("repeat {3}", "write `repeat 3`"),
        ] {
            let text = format!("C: a\n{head}\n  S: x\n  S: y\nend\nS: b\n");
            assert!(told(&text).contains(words), "{head}: {}", told(&text));
        }
    }

    #[test]
    fn a_line_behind_a_head_is_one_mistake_with_and_without_an_end() {
        for text in [
            "C: a\nmaybe S: x\nS: b\n",
            "C: a\nmaybe S: x\nend\nS: b\n",
            "C: a\nmaybe: S: x\nS: b\n",
            "C: a\nrepeat S: x\nend\nS: b\n",
            "C: a\nrepeat 2\n  maybe S: x\n  end\n  S: c\nend\nS: b\n",
            "C: a\nin any order S: x\n  S: y\nend\nS: b\n",
            "at any time S: PING\n  C: PONG\nend\nC: a\nS: b\n",
        ] {
            let told = told(text);
            assert!(told.contains("on its line; put `S: ") && told.contains("on a line below"), "{text}: {told}");
        }
        let why = Transcript::parse("x", b"either C: a\nor C: b\nend\n", &[]).unwrap_err();
        let told: Vec<&str> = why.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(told, ["nothing follows `either` on its line", "nothing follows `or` on its line"]);
    }

    #[test]
    fn what_must_not_come_is_understood_however_it_is_written() {
        for line in [
            "not: S: x",
            "not : S: x",
            "S not: x",
            "S never: x",
            "!S: x",
            "! S: x",
            "Not S: x",
            "NOT S: x",
            "no S: x",
            "never S: x",
        ] {
            let told = told(&format!("C: a\n{line}\nS: y\n"));
            assert!(told.contains("write `not S: x`"), "{line}: {told}");
        }
        assert!(told("C: a\nnot\n  S: x\nend\nS: y\n").contains("on one line, for each"));
        assert!(told("C: a\nnot S:x\nS: y\n").contains("a space must follow the colon"));
    }

    #[test]
    fn a_file_to_include_is_understood_however_it_is_written() {
        for line in [
            "include: x.talk",
            "include \"x.talk\"",
            "include 'x.talk'",
            "include <x.talk>",
            "include = x.talk",
            "Include x.talk",
            "include(\"x.talk\");",
        ] {
            let told = told(&format!("C: a\n{line}\nS: y\n"));
            assert!(told.contains("write `include x.talk`"), "{line}: {told}");
        }
        let told = told("C: a\ninclude x.talk, y.talk\nS: y\n");
        assert!(told.contains("`include x.talk` and `include y.talk`, a line each"), "{told}");
    }

    #[test]
    fn a_line_behind_a_head_goes_below_it_and_only_an_or_needs_no_end_of_its_own() {
        for head in ["either", "maybe", "together", "repeat", "in any order", "at any time"] {
            let line = format!("{head} S: x");
            let meant = super::line_behind(&line).expect(head);
            assert_eq!(meant.help, format!("put `S: x` on a line below `{head}`, and `end` below its last line"));
            assert_eq!(meant.part, "S: x");
        }
        let meant = super::line_behind("or:\tC raw: x").expect("it has a line");
        assert_eq!(meant.help, "put `C raw: x` on a line below `or`");
        for line in ["either", "either:", "either x", "orS: x", "or S", "repeat 3"] {
            assert!(super::line_behind(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_phrase_that_says_the_same_is_the_statement() {
        let phrases: &[(&[&str], &str)] = &[
            (
                &[
                    "at all times",
                    "at every moment",
                    "at any point",
                    "At Any Time",
                    "at anytime",
                    "any times",
                    "anytime",
                ],
                "at any time",
            ),
            (&["at whatever time", "at_any-time:", "any time {"], "at any time"),
            (
                &["in every order", "in whatever sequence", "in random order", "in arbitrary orders", "in anyorder"],
                "in any order",
            ),
            (&["any order", "In Any Order;"], "in any order"),
            (&["may be", "may", "May:"], "maybe"),
        ];
        for (lines, statement) in phrases {
            for line in *lines {
                assert_eq!(
                    super::phrase(line).and_then(super::Meant::statement).as_deref(),
                    Some(*statement),
                    "{line}"
                );
            }
        }
        for (lines, words) in [
            (
                &["one of", "any of", "either of", "some of:", "one of these", "one of them", "choose one"][..],
                "`either`",
            ),
            (&["all of", "each of", "both of", "both", "all:", "all of these", "all of them"], "`in any order`"),
        ] {
            for line in lines {
                let meant = super::phrase(line).expect(line);
                assert!(meant.help.contains(words) && matches!(meant.instead, super::Block), "{line}: {}", meant.help);
            }
        }
        for line in ["at any time", "in any order:", "at time", "in order", "one", "of", "any", "all these", ""] {
            assert!(super::phrase(line).is_none(), "{line}");
        }
    }

    #[test]
    fn rounds_are_counted_by_a_bare_number() {
        for (line, statement) in [
            ("repeat (3)", Some("repeat 3")),
            ("repeat [12]", Some("repeat 12")),
            ("repeat <3>", Some("repeat 3")),
            ("repeat '3'", Some("repeat 3")),
            ("repeat {3}", Some("repeat 3")),
            ("repeat 3", None),
            ("repeat 3 {", None),
            ("repeat {", None),
            ("repeat ()", None),
            ("repeat (a)", None),
            ("repeat {a b}", None),
        ] {
            assert_eq!(super::rounds(line).and_then(super::Meant::statement).as_deref(), statement, "{line}");
        }
        for line in ["3 times", "12 Times:", "3 times{", "3 times {", "3 times :"] {
            let meant = super::rounds(line).expect(line);
            assert!(meant.help.starts_with("write `repeat ") && matches!(meant.instead, super::Block), "{line}");
        }
        assert!(super::rounds("repeat {n_1}").is_some_and(|meant| meant.message == "a loop is not counted by a value"));
        for line in ["three times", "3 rounds", "3 times more", "repeat", "repeated (3)x"] {
            assert!(super::rounds(line).is_none(), "{line}");
        }
    }
}
