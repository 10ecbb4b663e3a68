//! Statements that are nearly right: each is refused where it is wrong, and with what to write instead.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::Transcript;

/// What is wrong with a text: line and column, what it is, and what to write.
fn told(text: &str) -> Vec<String> {
    let Err(why) = Transcript::parse("x", text.as_bytes(), &[]) else { return Vec::new() };
    let told = why.findings.iter().map(|finding| {
        format!("{}:{} {}; {}", finding.line, finding.column, finding.message, finding.help.clone().unwrap_or_default())
    });
    told.collect()
}

#[test]
fn a_path_stands_bare_behind_its_colon() {
    for (path, wrong) in [
        ("\"a.bin\"", "1:9 a path stands there without quotes; write `C file: a.bin`"),
        ("'a b'", "1:9 a path stands there without quotes; write `C file: a b`"),
        ("'a'", "1:9 a path stands there without quotes; write `C file: a`"),
        ("a.bin # it", "1:9 a comment stands on a line of its own; write `C file: a.bin`, and the comment above it"),
        ("", "1:1 `file:` names a file; write `C file: body.bin`"),
    ] {
        let told = told(&format!("C file: {path}\nS: ok\n"));
        assert_eq!(told, [wrong], "{path}");
    }
    for elsewhere in ["/etc/passwd", "~/a", "../a", "a/../b", "a/..", "http://a/b", "a\0b"] {
        let told = told(&format!("C file: {elsewhere}\nS: ok\n"));
        assert_eq!(told.len(), 1, "{elsewhere}: {told:?}");
        assert!(told[0].contains("is not below the transcript's folder"), "{elsewhere}: {told:?}");
    }
    for path in ["a.bin", "a/b", "a..b", "...", "~a", "1://2", "'", "\"", "''", "\"a'", "a#b", "a' b'"] {
        assert_eq!(told(&format!("C file: {path}\nS: ok\n")), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn what_parts_or_ends_a_block_needs_one_that_is_open() {
    let no_or = "2:1 `or` stands outside an `either`; begin the choice with `either`";
    let no_end = "2:1 `end` closes nothing; every `end` closes a block above it, such as `repeat` or `either`";
    for (text, expected) in [
        ("C: a\nor\nS: b\n", &[no_or][..]),
        ("C: a\nend\nS: b\n", &[no_end]),
        ("repeat 2\nor\nC: b\nend\n", &[no_or]),
        // Words of other languages are told once, whether a block is open or not.
        (
            "C: a\nelse\nS: b\n",
            &[
                "2:1 `else` begins no statement; a choice is written `either`, `or`, `end`: each way begins with a line of the same side",
            ],
        ),
        ("C: a\ndone\nS: b\n", &["2:1 `done` begins no statement; a block is closed by `end`"]),
        // In a block that is told already, and behind a head with a line, both may belong to it.
        (
            "if x\nC: a\nor\nC: b\nend\n",
            &[
                "1:1 `if` begins no statement; what the other side says decides: write the ways as `either`, `or` and `end`, each with a line of that side first",
            ],
        ),
        (
            "either C: a\nor\nC: b\nend\n",
            &[
                "1:8 nothing follows `either` on its line; put `C: a` on a line below `either`, and `end` below its last line",
            ],
        ),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
    for text in ["either\nC: a\nor\nC: b\nend\n", "repeat 2\neither\nC: a\nor\nC: b\nend\nend\n"] {
        assert_eq!(told(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn connections_have_numbers_from_2_to_9() {
    for (who, wrong) in [
        ("C1", "the first connection has no number: write `C`"),
        ("S1", "the first connection has no number: write `S`"),
        ("C0", "a second connection is `C2`, and a play has at most 9 of them"),
        ("S10", "a second connection is `S2`, and a play has at most 9 of them"),
        ("C02", "a second connection is `C2`, and a play has at most 9 of them"),
    ] {
        let told = told(&format!("C: a\n{who}: b\n"));
        assert_eq!(told, [format!("2:1 `{who}:` begins no statement; {wrong}")], "{who}");
    }
    for who in ["C2", "C9"] {
        assert_eq!(told(&format!("C: a\n{who} connects\n{who}: b\n")), Vec::<String>::new(), "{who}");
    }
}

#[test]
fn an_act_that_is_nearly_one_is_told_with_what_to_write() {
    for (act, wrong) in [
        ("C waits", "2:1 `C waits` is not a statement; write `C waits 50ms`"),
        ("C clsoes", "2:1 `C clsoes` is not a statement; did you mean `C closes`?"),
        ("S connects", "2:1 a server does not know where to connect to"),
        ("C connects to 80", "2:15 `80` is not the name of a port; write `C connects to {port}`"),
        ("C connects {port}", "2:12 `{port}` says nothing about a connection; write `C connects`, or"),
        ("C frobnicates", "2:1 `C frobnicates` is not a statement; a line said is `C: text`; an act is `C closes`"),
        ("not", "2:1 `not` stands before a line that must not come; write `not S: text` or `not C: text`"),
        ("not S closes", "2:1 `not` stands before a line that must not come; write `not S: text`: what must not come"),
    ] {
        let told = told(&format!("C: a\n{act}\n"));
        assert!(told.first().is_some_and(|first| first.starts_with(wrong)), "{act}: {told:?}");
    }
}
