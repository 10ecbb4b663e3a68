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

/// The first thing that is told of a text, and what stands first between backticks in its help.
fn fix(text: &str) -> (String, String) {
    let finding = match Transcript::parse("x", text.as_bytes(), &[]) {
        Ok(transcript) => transcript.warnings().first().cloned(),
        Err(why) => {
            assert_eq!(why.findings.len(), 1, "{text}{why}");
            why.findings.first().cloned()
        }
    };
    let finding = finding.unwrap_or_else(|| panic!("nothing is told of\n{text}"));
    let help = finding.help.unwrap_or_default();
    let fix = help.split('`').nth(1).unwrap_or_else(|| panic!("no fix in {help}\n{text}")).to_owned();
    (finding.message, fix)
}

#[test]
fn what_a_slip_is_answered_with_says_what_was_meant_and_is_accepted() {
    let asked = |line: &str| format!("C: {line}\nS: ok\n");
    let looped = |head: &str| format!("C: a\n{head}\n  C: x\n  S: y\nend\nC: z\n");
    let chosen = |head: &str, way: &str| format!("C: {{k=a}}\n{head}\nis b\n  S: x\n{way}\n  S: y\nend\nC: z\n");
    let aside = |head: &str| format!("{head}\n  S: PING\n  C: PONG\nend\nC: a\nS: b\n");
    let in_order = |head: &str| format!("{head}\n  C: x\n  C: y\nend\nS: b\n");
    let valued = |line: &str| format!("set y = 1\n{line}\nC: a\nS: {{x}}\n");
    // Each text, what was written in it, and what it says with the fix in that place.
    let slips: &[(String, &str, &str)] = &[
        (asked("{n:?}"), "{n:?}", "{n}"),
        (asked("{n:??}"), "{n:??}", "{n}"),
        (asked("{n:**}"), "{n:**}", "{n}"),
        (asked("{n:+}"), "{n:+}", "{n}"),
        (asked("{n:r\"\\d+\"}"), "{n:r\"\\d+\"}", "{n:/\\d+/}"),
        (asked("{n:'[0-9]+'}"), "{n:'[0-9]+'}", "{n:/[0-9]+/}"),
        (asked("{x:/\\d+/i=5}"), "{x:/\\d+/i=5}", "{x:/(?i)\\d+/=5}"),
        (asked("{x:/a.b/gs}"), "{x:/a.b/gs}", "{x:/(?s)a.b/}"),
        (asked("{x:/\\d+/g=5}"), "{x:/\\d+/g=5}", "{x:/\\d+/=5}"),
        (asked("{x:/\\d+/ =5}"), "{x:/\\d+/ =5}", "{x:/\\d+/=5}"),
        (asked("{x:/\\d+/|5}"), "{x:/\\d+/|5}", "{x:/\\d+/=5}"),
        (asked("{x:/\\d+/:5}"), "{x:/\\d+/:5}", "{x:/\\d+/=5}"),
        (asked("{x:/a/b/=a/b}"), "{x:/a/b/=a/b}", "{x:/a\\x2fb/=a/b}"),
        (asked("{x:/a\\/b/}"), "{x:/a\\/b/}", "{x:/a\\x2fb/}"),
        (asked("{name='Ann'}"), "{name='Ann'}", "{name=Ann}"),
        (asked("{name=`Ann`}"), "{name=`Ann`}", "{name=Ann}"),
        (asked("{name=\u{201c}Ann\u{201d}}"), "{name=\u{201c}Ann\u{201d}}", "{name=Ann}"),
        (looped("repeat 1,000"), "repeat 1,000", "repeat 1000"),
        (looped("repeat 1'000"), "repeat 1'000", "repeat 1000"),
        (looped("repeat 1e3"), "repeat 1e3", "repeat 1000"),
        (looped("repeat twice"), "repeat twice", "repeat 2"),
        (looped("repeat 2-3"), "repeat 2-3", "repeat 3"),
        (aside("at any tim"), "at any tim", "at any time"),
        (aside("at nay time"), "at nay time", "at any time"),
        (aside("at anytme"), "at anytme", "at any time"),
        (in_order("in ayn order"), "in ayn order", "in any order"),
        (in_order("in any oder"), "in any oder", "in any order"),
        (chosen("choose {k=a}", "else"), "choose {k=a}", "choose {k}"),
        (chosen("choose {k:word}", "else"), "choose {k:word}", "choose {k}"),
        (chosen("choose: {k}", "else"), "choose: {k}", "choose {k}"),
        (chosen("choose {k}", "otherwise"), "otherwise", "else"),
        (chosen("choose {k}", "default:"), "default:", "else"),
        (chosen("choose {k}", "case a"), "case a", "is a"),
        (chosen("choose {k}", "when \"a\":"), "when \"a\":", "is a"),
        (valued("let x length {y}"), "let x length {y}", "let x = length {y}"),
        (valued("let x = length of {y}"), "let x = length of {y}", "let x = length {y}"),
        (valued("set x == 1"), "set x == 1", "set x = 1"),
        ("C: a\neither\n  S: b\nend\nC: c\nS: d\n".to_owned(), "either", "maybe"),
        ("C: a\neither or\n  S: b\nor\n  S: c\nend\n".to_owned(), "either or", "either"),
        ("C: a\neither\n  S: b\nor else\n  S: c\nend\n".to_owned(), "or else", "or"),
    ];
    for (text, written, meant) in slips {
        let (message, fixed) = fix(text);
        assert_eq!(fixed, *meant, "{written}: {message}");
        let text = text.replacen(written, &fixed, 1);
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(transcript.warnings(), [], "{text}");
    }
}

#[test]
fn a_line_that_a_not_forbids_as_a_whole_is_told_with_what_to_leave_out() {
    for (forbidden, awaited) in [("{_}", "b"), ("{x}", "{y}"), ("a{_}", "ab")] {
        let text = format!("C: a\nnot S: {forbidden}\nS: {awaited}\n");
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap();
        let warning = transcript.warnings().iter().find(|warning| warning.line == 3).expect(&text);
        assert_eq!(warning.message, "this line is never reached: line 2 forbids whatever it takes", "{text}");
        let help = warning.help.as_deref().unwrap();
        assert!(help.contains("leave line 2 out") && help.contains("`not S: {_:/ERR.*/}`"), "{help}");
        for fixed in [format!("C: a\nS: {awaited}\n"), "C: a\nnot S: {_:/ERR.*/}\nS: b\n".to_owned()] {
            let transcript = Transcript::parse("x", fixed.as_bytes(), &[]).unwrap();
            assert_eq!(transcript.warnings(), [], "{fixed}");
        }
    }
    // What is narrower leaves something to the line below it.
    for forbidden in ["b", "ERR{_}", "{_:int}"] {
        let text = format!("C: a\nnot S: {forbidden}\nS: {{_}}\n");
        assert_eq!(Transcript::parse("x", text.as_bytes(), &[]).unwrap().warnings(), [], "{text}");
    }
}
