//! Statements that are nearly right: each is refused where it is wrong, and with what to write instead.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod told;

use told::told;
use transcript::Transcript;

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
    for elsewhere in ["/etc/passwd", "~/a", "../a", "a/../../b", "a/..", "http://a/b", "a\0b"] {
        let told = told(&format!("C file: {elsewhere}\nS: ok\n"));
        assert_eq!(told.len(), 1, "{elsewhere}: {told:?}");
        assert!(told[0].contains("is not below the transcript's folder"), "{elsewhere}: {told:?}");
    }
    for path in ["a.bin", "a/b", "a/../b", "./a", "a..b", "...", "~a", "1://2", "'", "\"", "''", "\"a'", "a#b", "a' b'"]
    {
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
    // Also below what may be left out and takes it first.
    for (above, at) in [("maybe\n  S: {_}\nend\n", 3), ("maybe\n  S: bye\nend\n", 3), ("maybe\n  S: b{_}\nend\n", 3)] {
        let text = format!("C: a\n{above}not S: bye\nS: bye\n");
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap();
        let last = transcript.warnings().iter().filter(|warning| warning.line == 6);
        let told: Vec<&str> = last.map(|warning| warning.message.as_str()).collect();
        let first = format!("this line is never reached: line {at} takes it first");
        assert_eq!(told, [&first, "this line is never reached: line 5 forbids whatever it takes"], "{text}");
    }
    // What is narrower leaves something to the line below it.
    for forbidden in ["b", "ERR{_}", "{_:int}"] {
        let text = format!("C: a\nnot S: {forbidden}\nS: {{_}}\n");
        assert_eq!(Transcript::parse("x", text.as_bytes(), &[]).unwrap().warnings(), [], "{text}");
    }
}

/// Each text has one warning, which names `meant` first; with that in place of `written` nothing is told any more.
fn each_is_mended(slips: &[(String, &str, &str)]) {
    for (text, written, meant) in slips {
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(transcript.warnings().len(), 1, "{text}: {:?}", transcript.warnings());
        let (message, fixed) = fix(text);
        assert_eq!(fixed, *meant, "{text}: {message}");
        let text = text.replacen(written, &fixed, 1);
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(transcript.warnings(), [], "{text}");
    }
}

/// Nothing is told of any of these texts.
fn none_is_told(texts: &[&str]) {
    for text in texts {
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(transcript.warnings(), [], "{text}");
    }
}

#[test]
fn a_pattern_where_a_default_or_a_name_stands_is_told_with_the_hole_that_was_meant() {
    let answered = |hole: &str| format!("C: hi\nS: {hole}\n");
    let holes = [
        ("{n=/[0-9]+/}", "{n:/[0-9]+/=25}"),
        ("{n=/[a|b]/}", "{n:/[a|b]/=a}"),
        ("{n=/^(yes|no)$/}", "{n:/^(yes|no)$/}"),
        ("{n=int}", "{n:int=25}"),
        ("{code=u16}", "{code:u16=25}"),
        ("{n=hex}", "{n:hex=25}"),
        ("{n=4 hex}", "{n:4 hex=25}"),
        ("{n=int:5}", "{n:int=5}"),
        ("{n=u16:5}", "{n:u16=5}"),
        ("{x=\\d+}", "{x:/\\d+/=25}"),
        ("{x=.*}", "{x:/.*/=25}"),
        ("{x=[a-z]+}", "{x:/[a-z]+/=abc}"),
        ("{int=5}", "{_:int=5}"),
        ("{int=5|7}", "{_:int=5|7}"),
        ("{u16=5}", "{_:u16=5}"),
        ("{varint}", "{_:varint}"),
        ("{/[0-9]+/=25}", "{_:/[0-9]+/=25}"),
        ("{/[0-9]+/=abc}", "{_:/[0-9]+/}"),
        ("{:int=5}", "{_:int=5}"),
        ("{:int=x}", "{_:int}"),
        ("{:/[a-z=]+/=x}", "{_:/[a-z=]+/=x}"),
        ("{:u16}", "{_:u16}"),
        ("{4 bytes=abcd}", "{_:4 bytes=abcd}"),
        ("{.*=x}", "{_=x}"),
        ("{5:int}", "{_:int=5}"),
        ("{U+00e9}", "{0xc3a9}"),
        ("{U+1F600}", "{0xf09f9880}"),
    ];
    let slips: Vec<_> = holes.into_iter().map(|(written, meant)| (answered(written), written, meant)).collect();
    each_is_mended(&slips);
    for text in [
        "{path=/a/b}",
        "{path=/a/}",
        "{path=/c++/}",
        "{path=/a*/}",
        "{p=*}",
        "{p=[ab]*}",
        "{type=int}",
        "{column_type=int}",
        "{format=hex}",
        "{n=integer}",
        "{n=int|5}",
        "{n=word:}",
        "{id=hex:ff}",
        "{word=fish}",
        "{hex=ff}",
        "{int=five}",
        "{=}",
        "{/a=b}",
        "{a/=b}",
        "{5:frob}",
        "{x:int}",
        "{U+110000}",
    ] {
        none_is_told(&[&answered(text)]);
    }
    none_is_told(&["C: {u16=5}\nS: {u16}\n", "C: {int=5}\nS: {int}\n"]);
}

#[test]
fn of_many_defaults_that_are_patterns_no_more_are_compiled_than_a_person_reads() {
    let text: String = (0..300).map(|i| format!("C: a{i}\nS: {{n{i}=/b{i}[0-9]+/}}\n")).collect();
    let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap();
    assert_eq!(transcript.warnings().len(), 200);
}

#[test]
fn what_is_nearly_a_hole_is_told_with_the_hole() {
    let known = |text: &str| format!("set n = 5\nset m = 6\nset body = x\nC: {{n}} {{m}} {{body}}\nS: {text}\n");
    let holes = [
        ("{k int=5}", "{k:int=5}"),
        ("{int k=5}", "{k:int=5}"),
        ("{k u16 = 5}", "{k:u16=5}"),
        ("{k;int}", "{k:int}"),
        ("{k;int=5}", "{k:int=5}"),
        ("{name?=x}", "{name=x}"),
        ("{\"name\"=x}", "{name=x}"),
        ("{'name'=\"Ann\"}", "{name=Ann}"),
        ("{n, m}", "{n}, {m}"),
        ("{n,m}", "{n}, {m}"),
        ("{n*}", "{n}"),
        ("@n@", "{n}"),
        ("{name=(Ann|Bob)}", "{name=Ann|Bob}"),
        ("{name=[Ann|Bob]}", "{name=Ann|Bob}"),
    ];
    let slips: Vec<_> = holes.into_iter().map(|(written, meant)| (known(written), written, meant)).collect();
    // Outside a loop several defaults are a warning of their own only where they are said.
    each_is_mended(&slips);
    for (written, line) in [
        ("{n+1}", "let made = sum {n} 1"),
        ("{n + m}", "let made = sum {n} {m}"),
        ("{length body}", "let made = length {body}"),
    ] {
        let (message, meant) = fix(&known(written));
        assert_eq!(meant, line, "{message}");
        let text = known(written).replacen(written, "{made}", 1).replacen("S: ", &format!("{line}\nS: "), 1);
        none_is_told(&[&text]);
    }
    for text in [
        "{k int}",
        "{int k}",
        "{k frob=5}",
        "{k int=x}",
        "{k;frob}",
        "{a, b}",
        "{a*}",
        "{a+1}",
        "{n+}",
        "{length a}",
        "{\"a\":1}",
        "{\"a\"=>1}",
        "@a@",
        "a@n",
        "{k->5}",
        "{na me}",
        "{...} x",
        "{name=(a)|(b)}",
        "{name=[a]|[b]}",
        "{name=(a|b}",
    ] {
        none_is_told(&[&known(text)]);
    }
}

#[test]
fn a_set_that_computes_nothing_is_told_with_the_let() {
    let given = |line: &str| format!("set n = 1\nset body = x\n{line}\nC: {{r}} {{n}} {{body}}\nS: ok\n");
    let lines = [
        ("set r = {n} + 1", "let r = sum {n} 1"),
        ("set r = n + 1", "let r = sum {n} 1"),
        ("set r = {n} - 1", "let r = difference {n} 1"),
        ("set r = 10 - {n}", "let r = difference 10 {n}"),
        ("set r = length body", "let r = length {body}"),
        ("set r = hex body", "let r = hex {body}"),
        ("set r = base64 hello", "let r = base64 hello"),
        ("set r = sum 1 2", "let r = sum 1 2"),
        ("set r = sum n 2", "let r = sum {n} 2"),
        ("set r = len(body)", "let r = length {body}"),
        ("set r = md5({body})", "let r = md5 {body}"),
        ("set r = sha256(\"hello\")", "let r = sha256 hello"),
        ("set r = $(date)", "let r = time RFC3339"),
        ("set r = $(date +%s)", "let r = time unix"),
        ("set r = `uuidgen`", "let r = random uuid"),
        ("set r = random()", "let r = random 16 hex"),
        ("set r = $RANDOM", "let r = random 5 digits"),
        ("set r = \"a b\"", "set r = a b"),
        ("set r = 'abc'", "set r = abc"),
        ("set r = \"\"", "set r ="),
        ("set r = \" \"", "set r = {0x20}"),
        ("set r = \"  \"", "set r = {0x20}{0x20}"),
        ("set r = \"   \"", "set r = {0x20} {0x20}"),
        ("set r = \"  a\"", "set r = {0x20} a"),
        ("set r = 'a  '", "set r = a {0x20}"),
    ];
    let slips: Vec<_> = lines.into_iter().map(|(written, meant)| (given(written), written, meant)).collect();
    each_is_mended(&slips);
    each_is_mended(&[(
        "set n = 1\nrepeat 2\n  C: {n}\n  S: ok\n  set n = {n} + 1\nend\n".to_owned(),
        "set n = {n} + 1",
        "let n = sum {n} 1",
    )]);
    for line in [
        "set r = {n} + {body}",
        "set r = {n} and 1",
        "set r = 5 * 2",
        "set r = 2 + 2",
        "set r = a + 1",
        "set r = +1",
        "set r = n-1",
        "set r = {n}+1",
        "set r = random",
        "set r = length",
        "set r = length of it",
        "set r = hex editor",
        "set r = sum total",
        "set r = unhex zz",
        "set r = base64 is used",
        "set r = len(x)",
        "set r = f(body)",
        "set r = $(ls)",
        "set r = \"a\" \"b\"",
        "set r = it's",
        "set r = \"",
    ] {
        none_is_told(&[&given(line)]);
    }
    // In a field, beside quotes and in a body they are a protocol's.
    none_is_told(&[
        "set tag = \"a1\"\nC: GET\nS: ETag: {tag}\n",
        "set user = \"ann\"\nC: LOGIN {user} \"secret\"\n",
        "set text = \"x\"\nC: {\"a\": {text}}\n",
        "set text = \"x\"\nset all = [{text}]\nC: {all}\n",
        "set text = \"x\"\nC: a\nS raw: {text}\n",
    ]);
}

#[test]
fn a_stage_direction_a_key_and_a_class_in_text_are_told_with_what_says_them() {
    let said = |line: &str| format!("C: a\n{line}\n");
    let lines = [
        ("S: (closes)", "S closes"),
        ("S: <close>", "S closes"),
        ("S: closes connection.", "S closes"),
        ("S: [connection closed]", "S closes"),
        ("S: (resets)", "S resets"),
        ("C: ^C", "C raw: {0x03}"),
        ("C: ^D", "C raw: {0x04}"),
        ("S: 250 (\\d+) ok", "S: 250 {_:int} ok"),
        ("S: 250 \\d+", "S: 250 {_:int}"),
        ("S: hello (\\w+) there", "S: hello {_:/\\w+/} there"),
        ("S: id ([0-9]+)", "S: id {_:int}"),
        ("S: {file body.txt}", "S file: body.txt"),
    ];
    let slips: Vec<_> = lines.into_iter().map(|(written, meant)| (said(written), written, meant)).collect();
    each_is_mended(&slips);
    none_is_told(&[
        "C: \\d+ users\nS: ok\n",
        "C: grep '\\d+' x\nS: ok\n",
        "C: s/ (\\d+) /x/\nS: ok\n",
        "C: a (.*) b\nS: ok\n",
        "C: a\nS: ^C\n",
        "C: a^C\nS: ^D\n",
        "C: a\nS: (closing)\n",
        "C: a\nS: <closed/>\n",
        "C: a\nS: <close>\nS: </close>\n",
        "C: a\nS: close\n",
        "C: a\nS: closed\n",
        "C: a\nS: {file it}\n",
    ]);
    let text = "C: a\nS: world^M^J\n";
    let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap();
    assert_eq!(transcript.warnings().len(), 1);
    assert_eq!((transcript.warnings()[0].column, transcript.warnings()[0].width), (9, 4));
}

#[test]
fn a_mark_of_direction_is_told_but_for_text_from_right_to_left() {
    for mark in ["\u{200e}", "\u{202a}", "\u{202e}", "\u{2066}", "\u{2069}", "\u{2062}"] {
        let told = Transcript::parse("x", format!("C: a\nS: b{mark}c\n").as_bytes(), &[]).unwrap();
        assert_eq!(told.warnings().len(), 1, "{mark:?}");
        let fixed = fix(&format!("C: a\nS: b{mark}c\n")).1;
        none_is_told(&[&format!("C: a\nS: b{fixed}c\n")]);
    }
    none_is_told(&["C: a\nS: \u{200f}\u{5e9}\u{5dc}\u{202c}\n", "C: a\nS: \u{645}\u{200c}\u{200e}x\n"]);
}

#[test]
fn what_is_never_heard_or_never_ends_is_told_where_it_stands() {
    let warned = |text: &str| {
        let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}"));
        let told: Vec<String> = transcript
            .warnings()
            .iter()
            .map(|one| format!("{} {}; {}", one.line, one.message, one.help.clone().unwrap_or_default()))
            .collect();
        told
    };
    let ping = "at any time\n  S: PING\nend\n";
    let pong = "at any time\n  C: PING\n  S: PONG\nend\n";
    for (text, line, words) in [
        (format!("C: a\nS: b\n{ping}"), 3, "nothing of the server is awaited below it"),
        (format!("C: a\nS: b\n{ping}C: q\nset x = 1\n"), 3, "move it above the lines during which it may come"),
        (format!("C: a\nS: b\n{pong}S: c\n"), 3, "nothing of the client is awaited below it"),
        (format!("{ping}{ping}C: a\nS: b\n"), 5, "line 2 takes it first; both take the same"),
        (format!("{pong}{pong}C: a\nS: b\n"), 6, "line 2 takes it first; both take the same"),
        (
            format!("at any time\n  S: {{_}}\nend\n{ping}C: a\nS: b\n"),
            5,
            "line 2 takes it first; put the narrower line above the wider one",
        ),
        (
            "either\n  C: a\n  S: x\nor\n  C: a\n  S: y\nend\n".to_owned(),
            5,
            "both take the same: leave one of them out",
        ),
        ("C: a\nmaybe\n  S: w\nend\nS: w\n".to_owned(), 5, "line 3 takes it first"),
        ("C: a\nmaybe\n  S: w\nend\nC: b\nmaybe\n  S: w\n  S: v\nend\nS: ok\n".to_owned(), 7, "line 3 takes it first"),
        // Next to each other both are refused where the second is said.
        ("C: a\nmaybe\n  S: w\nend\nmaybe\n  S: w\nend\nS: ok\n".to_owned(), 6, "line 3 takes it first; both take"),
        ("C: a\nmaybe\n  S: {_}\nend\nC: b\nmaybe\n  S: w\nend\nS: ok\n".to_owned(), 7, "line 3 takes it first"),
        (
            "eol crlf\nC: GET / HTTP/1.1\nC: Host: x\n\nS: HTTP/1.1 200 OK\n".to_owned(),
            3,
            "this head has no end; write `C:` in place of the empty line",
        ),
        (
            "C: a\nS: HTTP/1.0 200 OK\nS: Content-Length: 0\n\n# more\nC: b\n".to_owned(),
            3,
            "write `S:` in place of the empty line",
        ),
        ("gap 3s\ntimeout 1s\nC: a\nS: b\n".to_owned(), 1, "write `gap 100ms`, or a longer `timeout`"),
        ("timeout 1s\ngap 1s\nC: a\nS: b\n".to_owned(), 2, "`timeout` is over before this"),
        ("timeout 5ms\n  gap 8ms\nC: a\nS: b\n".to_owned(), 2, "write a longer `timeout`"),
    ] {
        let told = warned(&text);
        assert!(
            told.iter().any(|told| told.starts_with(&format!("{line} ")) && told.contains(words)),
            "{text}: {told:?}"
        );
    }
    let silent = [
        ping.to_owned(),
        format!("{ping}{pong}"),
        format!("{ping}C: a\nS: b\n"),
        format!("C: a\n{ping}S closes\n"),
        format!("C: a\nS: b\n{ping}repeat 2\n  C: c\n  S: d\nend\n"),
        format!("{ping}{pong}C: a\nS: b\n"),
        format!("{ping}at any time\n  S: {{_}}\nend\nC: a\nS: b\n"),
        "C: a\nmaybe\n  S: w\nend\nC: b\nmaybe\n  S: w\nend\nS: ok\n".to_owned(),
        "C: a\nmaybe\n  S: w {_=1}\nend\nC: b\nmaybe\n  S: w {_=2}\nend\nS: ok\n".to_owned(),
        "eol crlf\nC: GET / HTTP/1.1\nC: Host: x\nC:\n\nS: HTTP/1.1 200 OK\nS: A: b\nS:\n".to_owned(),
        "C: GET / HTTP/1.1\n\nS: HTTP/1.1 200 OK\n".to_owned(),
        "C: GET / HTTP/1.1\nC: Host: x\nS: HTTP/1.1 200 OK\n".to_owned(),
        "C: hello\nC: Host: x\n\nS: ok\n".to_owned(),
        "gap 100ms\ntimeout 1s\nC: a\nS: b\n".to_owned(),
    ];
    for text in silent {
        assert_eq!(warned(&text), Vec::<String>::new(), "{text}");
    }
}
