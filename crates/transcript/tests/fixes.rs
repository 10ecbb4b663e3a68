//! What is told of a line that is no statement is told once, and what it says to write is right when it is written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod told;

use told::told;
use transcript::Transcript;

/// Each text has one mistake, told with this fix; with the fix in the place of what was written nothing is told.
fn all_are_mended(slips: &[(String, &str, &str)]) {
    let mut wrong = Vec::new();
    for (text, written, meant) in slips {
        let findings = match Transcript::parse("x", text.as_bytes(), &[]) {
            Ok(transcript) => transcript.warnings().to_vec(),
            Err(why) => why.findings,
        };
        let help = findings.first().and_then(|finding| finding.help.clone()).unwrap_or_default();
        if findings.len() != 1 || !help.contains(&format!("`{meant}`")) {
            let told: Vec<_> =
                findings.iter().map(|one| format!("{}: {}; {:?}", one.line, one.message, one.help)).collect();
            wrong.push(format!("{written}: no fix `{meant}`: {told:#?}"));
        }
        let fixed = text.replacen(written, meant, 1);
        assert_ne!(fixed, *text);
        match Transcript::parse("x", fixed.as_bytes(), &[]) {
            Ok(transcript) if transcript.warnings().is_empty() => {}
            Ok(transcript) => wrong.push(format!("{fixed}: {:?}", transcript.warnings())),
            Err(why) => wrong.push(format!("{fixed}: {why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_head_with_the_marks_of_other_languages_is_read_with_its_rounds() {
    let looped = |head: &str| format!("C: a\n{head}\n  C: x\n  S: y\nend\nC: z\n");
    let flat = |head: &str| format!("C: a\n{head}\nC: x\nS: y\nend\nC: z\n");
    let chosen = |head: &str| format!("C: a\n{head}\n  S: x\nor\n  S: y\nend\nC: z\n");
    all_are_mended(&[
        (looped("repeat (3):"), "repeat (3):", "repeat 3"),
        (looped("repeat (3) {"), "repeat (3) {", "repeat 3"),
        (looped("repeat (3);"), "repeat (3);", "repeat 3"),
        (flat("repeat (3):"), "repeat (3):", "repeat 3"),
        (looped("repeat(3):"), "repeat(3):", "repeat 3"),
        (looped("repeat [3]:"), "repeat [3]:", "repeat 3"),
        (looped("repeat <3>;"), "repeat <3>;", "repeat 3"),
        (looped("repeat {3}:"), "repeat {3}:", "repeat 3"),
        (looped("repeat {3} {"), "repeat {3} {", "repeat 3"),
        (looped("repeat {n}:"), "repeat {n}:", "repeat 3"),
        (looped("repeat {n} {"), "repeat {n} {", "repeat 3"),
        (looped("repeat $n"), "repeat $n", "repeat 3"),
        (looped("repeat three:"), "repeat three:", "repeat 3"),
        (looped("repeat=3"), "repeat=3", "repeat 3"),
        (looped("repeat = 3"), "repeat = 3", "repeat 3"),
        (looped("repeat: 3"), "repeat: 3", "repeat 3"),
        (looped("repeat: (3)"), "repeat: (3)", "repeat 3"),
        (looped("repeat = three"), "repeat = three", "repeat 3"),
        (looped("repeat:"), "repeat:", "repeat"),
        (looped("repeat="), "repeat=", "repeat"),
        (chosen("either="), "either=", "either"),
        (chosen("either ="), "either =", "either"),
        (chosen("either:"), "either:", "either"),
    ]);
}

#[test]
fn a_setting_with_a_sign_or_a_set_before_it_is_that_setting() {
    let top = |line: &str| format!("{line}\nC: a\nS: b\n");
    let named = |line: &str| format!("set n = 1\n{line}\nC: a\nS: {{n}}{{x}}\n");
    all_are_mended(&[
        (top("at: tcp://h:1"), "at: tcp://h:1", "at tcp://h:1"),
        (top("at = h:1"), "at = h:1", "at h:1"),
        (top("at:h:1"), "at:h:1", "at h:1"),
        (top("at::1:80"), "at::1:80", "at ::1:80"),
        (top("at: ::1:80"), "at: ::1:80", "at ::1:80"),
        (top("at = ::1:80"), "at = ::1:80", "at ::1:80"),
        (top("at:::1:80"), "at:::1:80", "at ::1:80"),
        (top("at: :7000"), "at: :7000", "at :7000"),
        (top("at::7000"), "at::7000", "at :7000"),
        (top("at = :7000"), "at = :7000", "at :7000"),
        (top("at:"), "at:", "at tcp://127.0.0.1:9999"),
        (top("at udp h:1"), "at udp h:1", "at udp://h:1"),
        (top("at TCP h 1"), "at TCP h 1", "at tcp://h:1"),
        (top("at h 1"), "at h 1", "at h:1"),
        (top("at unix /x"), "at unix /x", "at unix:/x"),
        (top("gap:"), "gap:", "gap 100ms"),
        (top("timeout: 20"), "timeout: 20", "timeout 20s"),
        (top("timeout = 5s;"), "timeout = 5s;", "timeout 5s"),
        (top("gap: 100ms ;"), "gap: 100ms ;", "gap 100ms"),
        (top("eol = crlf;"), "eol = crlf;", "eol crlf"),
        (top("ignore: case;"), "ignore: case;", "ignore case"),
        (top("timeout = 20 seconds"), "timeout = 20 seconds", "timeout 20s"),
        (top("ignore:"), "ignore:", "ignore case"),
        (top("set timeout 20"), "set timeout 20", "timeout 20s"),
        (top("set timeout -1"), "set timeout -1", "timeout 20s"),
        (top("set timeout = 20"), "set timeout = 20", "timeout 20s"),
        (top("set timeout = 1.5s"), "set timeout = 1.5s", "timeout 1500ms"),
        (top("set gap = 100"), "set gap = 100", "gap 100ms"),
        (top("set gap 100ms"), "set gap 100ms", "gap 100ms"),
        (top("set eol = crlf"), "set eol = crlf", "eol crlf"),
        (top("set eol CRLF"), "set eol CRLF", "eol crlf"),
        (top("set eol = dos"), "set eol = dos", "eol crlf"),
        (top("set at = tcp://h:1"), "set at = tcp://h:1", "at tcp://h:1"),
        (top("set ignore case"), "set ignore case", "ignore case"),
        (named("set = 5"), "set = 5", "set name = 5"),
        (named("set: x = 5"), "set: x = 5", "set x = 5"),
        (named("set: x 5"), "set: x 5", "set x = 5"),
        (named("let = md5 a"), "let = md5 a", "let name = md5 a"),
        (named("set x := 1"), "set x := 1", "set x = 1"),
        (named("set x: = 1"), "set x: = 1", "set x = 1"),
        (named("let = 5"), "let = 5", "set name = 5"),
        (named("let x := 5"), "let x := 5", "set x = 5"),
        (named("set = sha1 a"), "set = sha1 a", "let name = sha1 a"),
        (named("set x := sha1 a"), "set x := sha1 a", "let x = sha1 a"),
        (named("set x := length {n}"), "set x := length {n}", "let x = length {n}"),
        (named("set x := sum {n} 1"), "set x := sum {n} 1", "let x = sum {n} 1"),
        // Words of a language as well.
        (named("set x := length of it"), "set x := length of it", "set x = length of it"),
        (named("set x := hex"), "set x := hex", "set x = hex"),
        (named("let x := md5 a"), "let x := md5 a", "let x = md5 a"),
        (named("set n += 1"), "set n += 1", "let n = sum {n} 1"),
        (named("n += 1"), "n += 1", "let n = sum {n} 1"),
        (named("n -= 2"), "n -= 2", "let n = difference {n} 2"),
        (named("n++"), "n++", "let n = sum {n} 1"),
    ]);
    for line in ["at :7000", "at ::1:80", "at [::1]:80", "at unix:/a b"] {
        assert_eq!(told(&top(line)), Vec::<String>::new(), "{line}");
    }
    // A name may well be called so.
    for text in ["set timeout = 20\nC: a\nS: {timeout}\n", "set at = 5\nC: a {at}\nS: b\n"] {
        assert_eq!(Transcript::parse("x", text.as_bytes(), &[]).unwrap().warnings(), [], "{text}");
    }
}

#[test]
fn a_side_in_the_arrows_of_other_tools_is_the_one_that_speaks() {
    let said = |line: &str| format!("C: a\n{line}\nC: b\n");
    let cases = [
        ("S>C: hello", "S: hello"),
        ("S > C: hello", "S: hello"),
        ("S->>C: hello", "S: hello"),
        ("S-->>C: hello", "S: hello"),
        ("S->>+C: hello", "S: hello"),
        ("S->+C: hello", "S: hello"),
        ("S-->>-C: hello", "S: hello"),
        ("S-)C: hello", "S: hello"),
        ("C<S: hello", "S: hello"),
        ("server>client: hello", "S: hello"),
        ("S==>C: hello", "S: hello"),
        ("S,C: hello", "S: hello"),
        ("client & server: hello", "S: hello"),
        ("C and S: hello", "S: hello"),
        ("S.raw: hello", "S raw: hello"),
        ("Sraw: hello", "S raw: hello"),
        ("S(raw): hello", "S raw: hello"),
        ("S (raw): hello", "S raw: hello"),
        ("S-hex: 0a", "S hex: 0a"),
        ("server_hex: 0a", "S hex: 0a"),
        ("S:raw: hello", "S raw: hello"),
        ("S raw hex: 0a", "S hex: 0a"),
        ("S hex raw: 0a", "S hex: 0a"),
        ("S raw text: hello", "S raw: hello"),
    ];
    all_are_mended(&cases.map(|(line, meant)| (said(line), line, meant)));
}

#[test]
fn a_pattern_of_another_language_is_mended_with_its_default() {
    let asked = |line: &str| format!("C: {line}\nS: ok\n");
    let cases = [
        ("{n:8=abcdefgh}", "{n:8 bytes=abcdefgh}"),
        ("{n:8=25}", "{n:u8=25}"),
        ("{n:16}", "{n:16 bytes}"),
        ("{n:4=abcd}", "{n:4 bytes=abcd}"),
        ("{n:bytes[8]=abcdefgh}", "{n:8 bytes=abcdefgh}"),
        ("{n:[8]byte=abcdefgh}", "{n:8 bytes=abcdefgh}"),
        ("{n:bytes 8}", "{n:8 bytes}"),
        ("{n:bytes(8)}", "{n:8 bytes}"),
        ("{n:bytes{8}}", "{n:8 bytes}"),
        ("{n:8 chars}", "{n:8 bytes}"),
        ("{n:hex{2,4}}", "{n:/[0-9a-fA-F]{2,4}/}"),
        ("{n:hex(2, 4)=abc}", "{n:/[0-9a-fA-F]{2,4}/=abc}"),
        ("{n:bytes{1,3}}", "{n:/.{1,3}/}"),
        ("{n:chars(1,20)=abc}", "{n:/.{1,20}/=abc}"),
        ("{n:digits{2,}=12}", "{n:/[0-9]{2,}/=12}"),
        ("{n:digits{,3}=12}", "{n:/[0-9]{0,3}/=12}"),
        ("{n:char[8]}", "{n:8 bytes}"),
        ("{n:int(5)}", "{n:int=5}"),
        ("{n:int|5}", "{n:int=5}"),
        ("{n:int:5|7}", "{n:int=5}"),
        ("{n:u8:5}", "{n:u8=5}"),
        ("{n:int|word}", "{n:/-?[0-9]+|[^ \\t]+/}"),
        ("{n:int|word=5}", "{n:/-?[0-9]+|[^ \\t]+/=5}"),
        ("{n:!int}", "{n}"),
        ("{n:!int=a}", "{n=a}"),
        ("{n:not word}", "{n}"),
        ("{n:~\\d+}", "{n:/\\d+/}"),
        ("{n:~\\d+=5}", "{n:/\\d+/=5}"),
        ("{n:~/\\d+/=5}", "{n:/\\d+/=5}"),
        ("{n:~int}", "{n:int}"),
        ("{n:regex:[a-z]+=ann}", "{n:/[a-z]+/=ann}"),
        ("{n:int16=5}", "{n:u16=5}"),
        ("{n:i8=5}", "{n:u8=5}"),
        ("{n:[A-Z]+=ANN}", "{n:/[A-Z]+/=ANN}"),
        ("{n:[A-Z]{3}=ANN}", "{n:/[A-Z]{3}/=ANN}"),
        ("{n:[A-Z]+=A|B}", "{n:/[A-Z]+/=A|B}"),
        ("{n:integer=5}", "{n:int=5}"),
        ("{n:string=a}", "{n=a}"),
        ("{n:ipv4=127.0.0.1}", "{n:/[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+/=127.0.0.1}"),
        ("{n:bool}", "{n:/true|false/}"),
        // A default that does not fit is not written.
        ("{n:integer=x}", "{n:int}"),
        ("{n:i8=-1}", "{n:u8}"),
        ("{n:4 digits=12}", "{n:/[0-9]{4}/}"),
    ];
    // Outside a loop the first of several defaults is said, which is a warning of its own.
    all_are_mended(
        &cases
            .map(|(line, meant)| (asked(line), line, meant))
            .into_iter()
            .filter(|(text, ..)| !text.contains('|') || text.contains("|word"))
            .collect::<Vec<_>>(),
    );
    let counted = "C: {len:int=2}\nC raw: {n:{len} bytes=ab}\nS: ok\n".to_owned();
    all_are_mended(&[(counted, "{n:{len} bytes=ab}", "{n:len bytes=ab}")]);
    let told = told(&asked("{n:[A-Z]+=A|B}"));
    assert!(told.len() == 1 && told[0].contains("write `{n:/[A-Z]+/=A|B}`"), "{told:?}");
}

#[test]
fn a_line_of_a_protocol_without_its_side_is_told_to_have_one() {
    let said = |line: &str| format!("C: a\nS: b\n{line}\n");
    for line in [
        "EHLO x",
        "USER ann",
        "NOOP",
        "POST /x HTTP/1.1",
        "GET / HTTP/1.1",
        "get / http/1.0",
        "CONNECT x:443 HTTP/1.1",
        "HTTP/1.1 200 OK",
        "HEAD / HTTP/1.0",
        "LIST",
        "AUTH PLAIN",
        "JOIN #a",
        "PING",
        "+OK ready",
        "-ERR no",
        "M-SEARCH * HTTP/1.1",
        "SET key = value",
        "STARTTLS now",
        "QUIT",
    ] {
        all_are_mended(&[(said(line), line, &format!("C: {line}"))]);
    }
    for (line, words) in [
        ("a1 LOGIN", "if it belongs to the line above, it needs a `C:` or `S:`"),
        (": hello", "a line is said by the client, `C:`, or by the server, `S:`"),
        ("b: hello", "a line is said by the client, `C:`, or by the server, `S:`"),
        ("and", "leave `and` out"),
        ("test \"x\"", "leave `test` and its `end` out"),
        ("alt", "`either`"),
        ("--> hello", "who speaks stands first"),
        ("---> hello", "who speaks stands first"),
        ("==> hello", "who speaks stands first"),
        (">>> hello", "who speaks stands first"),
        ("~> hello", "who speaks stands first"),
        ("local: a", "a line is said by the client, `C:`, or by the server, `S:`"),
        ("Date: a", "a line is said by the client, `C:`, or by the server, `S:`"),
        ("def login:", "a transcript runs no program and has no functions"),
        ("tiemout 5s", "did you mean `timeout`?"),
        ("sett x", "did you mean `set`?"),
        ("ro", "did you mean `or`?"),
        ("END", "did you mean `end`?"),
    ] {
        let told = told(&said(line));
        assert_eq!(told.len(), 1, "{line}: {told:?}");
        assert!(told[0].contains(words), "{line}: {told:?}");
    }
}

#[test]
fn a_choice_by_a_name_is_a_choose_in_every_language() {
    let chosen =
        |head: &str, way: &str, last: &str| format!("C: {{k=a}}\n{head}\n{way}\n  S: x\n{last}\n  S: y\nend\nC: z\n");
    let with = |head: &'static str| (chosen(head, "is a", "else"), head, "choose {k}");
    let way = |last: &'static str, meant: &'static str| (chosen("choose {k}", "is a", last), last, meant);
    all_are_mended(&[
        with("switch {k}"),
        with("switch ({k}) {"),
        with("match {k}:"),
        with("Choose {k}"),
        with("choose({k})"),
        with("CHOOSE {k}"),
        with("choose {k}:"),
        with("if $k"),
        (chosen("choose {k}", "is a", "elif {k} == b"), "elif {k} == b", "is b"),
        way("else if b", "is b"),
        way("else is c", "is c"),
        way("else c", "is c"),
        way("else if {k} == \"b\":", "is b"),
        way("else:", "else"),
    ]);
    let text = "C: {k=a}\nif {k} == a\n  S: x\nelse\n  S: y\nend\nC: z\n";
    assert_eq!(told(text), ["2:1 `if` begins no statement; write `choose {k}`, and below it `is a`"]);
    let fixed = text.replace("if {k} == a", "choose {k}\nis a");
    assert_eq!(Transcript::parse("x", fixed.as_bytes(), &[]).unwrap().warnings(), []);
    let inline = chosen("choose {k}", "is a", "else S: d");
    assert_eq!(told(&inline), ["5:6 nothing follows `else` on its line; put `S: d` on a line below `else`"]);
    assert_eq!(
        told("C: a\nis b\nS: x\n"),
        [
            "2:1 `is` stands outside a `choose`; begin the choice with `choose {key}`, with a name that has a value by then"
        ]
    );
    let open = "C: {k=a}\nchoose {k}\nis a\n  maybe\n  S: x\nis b\n  S: y\nend\nend\n";
    assert!(
        told(open)[0].starts_with("6:1 `is` stands outside its `choose`; write `end` above it"),
        "{:?}",
        told(open)
    );
}

#[test]
fn the_block_of_the_next_statement_is_not_that_of_a_wrong_line() {
    let mut wrong = Vec::new();
    for line in ["EHLO x", "foo bar", "if you like", "begin", "frobnicate", "on x"] {
        for block in [
            "repeat 2\n  C: a\n  S: c\nend",
            "either\n  S: a\nor\n  S: c\nend",
            "maybe\n  C: a\n  C: c\nend",
            "repeat 2\nC: a\nS: c\nend",
        ] {
            let flat = format!("C: q\n{line}\n{block}\nC: b\n");
            let deeper: String = flat.lines().map(|line| format!("  {line}\n")).collect();
            for text in [flat, format!("repeat 2\n{deeper}end\n"), format!("{line}\n\n# why\n{block}\nC: b\n")] {
                let told = told(&text);
                if told.len() != 1 {
                    wrong.push(format!("{text}{told:#?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_act_of_a_connection_is_answered_with_one_that_there_is() {
    for (act, help) in [
        ("S2 connect", "did you mean `C2 connects`, or `S2 connects to {port}` with a port that the client says?"),
        ("S3 opens", "did you mean `C3 connects`, or `S3 connects to {port}` with a port that the client says?"),
        ("C2 dials", "did you mean `C2 connects`?"),
        ("C opens", "the first connection is open from the start; a second one is `C2 connects`"),
        ("C dials", "the first connection is open from the start; a second one is `C2 connects`"),
        ("S opens", "the first connection is open from the start; a second one is `C2 connects`"),
    ] {
        let told = told(&format!("C: a\n{act}\nC: b\n"));
        assert_eq!(told, [format!("2:1 `{act}` is not a statement; {help}")]);
    }
    for (act, used) in [("C2 connects", 2), ("C3 connects", 3)] {
        let text = format!("C: a\n{act}\nC{used}: x\nS{used}: y\n");
        assert_eq!(told(&text), Vec::<String>::new(), "{text}");
    }
    // Behind its end the first one is opened again.
    for (act, fixed) in [("C opens", "C connects"), ("S opens", "C connects"), ("C connect", "C connects")] {
        let text = format!("C: a\nS: b\nS closes\nC waits 1s\n{act}\nC: c\nS: d\n");
        assert_eq!(told(&text), [format!("5:1 `{act}` is not a statement; did you mean `{fixed}`?")]);
        assert_eq!(told(&text.replace(act, fixed)), Vec::<String>::new(), "{act}");
    }
}

#[test]
fn one_mistake_is_told_once() {
    let mut texts = Vec::new();
    for head in [
        "function x",
        "macro x",
        "test x",
        "begin",
        "try",
        "group",
        "section a",
        "block",
        "once",
        "every 5s",
        "handler",
        "on x:",
        "on S: PING",
        "opt",
        "par",
        "datagram",
        "at once",
        "eihter",
        "frobnicate",
    ] {
        texts.push(format!("C: a\n{head}\n  S: x\nend\nC: b\n"));
        texts.push(format!("repeat 2\n  C: a\n  {head}\n    S: x\n  end\n  C: b\nend\n"));
        // Without an `end` nothing is left open, unless a block was surely meant.
        if !matches!(head, "at once" | "eihter") {
            texts.push(format!("C: a\n{head}\n  S: x\nC: b\n"));
        }
    }
    for (head, flat) in [("optional S: x", ""), ("when C: x", ""), ("opt S: x", "end\n")] {
        texts.push(format!("C: a\n{head}\n{flat}C: b\n"));
    }
    for text in [
        "C: a\nmaybe\n  S: x\nor\n  S: y\nend\nC: b\n",
        "C: a\nin any order\n  S: x\nor\n  S: y\nend\nC: b\n",
        "C: a\nin any order\n  or\n  S: y\nend\nC: b\n",
        "C: a\nrepeat\nend\nC: b\n",
        "C: a\nmaybe\nend\nC: b\n",
        "C: a\nnot\nS: b\n",
        "C: a\nor else\nS: b\n",
        "C: a\nin\nS: b\n",
        "C: a\nchoose\nS: b\n",
        "C: a\nC2 connect\nC2: x\nS2: y\n",
        "C: a\nC2 opens\nC2: x\nS2: y\n",
        "C: a\nC2 connects to port\nC2: x\nS2: y\n",
        "C: a\nS2 connects\nC2: x\nS2: y\n",
        "C: a\nif x\n  S: x\nelse\n  S: y\nend\nC: b\n",
        "C: a\nif x\nS: x\nelse\nS: y\nend\nC: b\n",
    ] {
        texts.push(text.to_owned());
    }
    let wrong: Vec<_> =
        texts.iter().filter(|text| told(text).len() != 1).map(|text| format!("{text}{:#?}", told(text))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
