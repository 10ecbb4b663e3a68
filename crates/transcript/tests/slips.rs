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
