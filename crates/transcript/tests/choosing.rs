//! `choose`: the value of a name decides how a conversation goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::rehearse::rehearse;
use transcript::{Carrier, Ending, Fault, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript};

fn parse(text: &str) -> Transcript {
    Transcript::parse("test.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"))
}

fn prepare(text: &str, side: Side) -> Script {
    Script::prepare(&parse(text), &PlayOptions::new(side, Carrier::Stream))
        .unwrap_or_else(|refused| panic!("{refused}"))
}

fn refusal(text: &str) -> String {
    Transcript::parse("test.talk", text.as_bytes(), &[]).expect_err(text).to_string()
}

#[track_caller]
fn from_server(text: &str) -> String {
    let [client, server] = [Side::Client, Side::Server].map(|side| prepare(text, side));
    let mut all = Vec::new();
    for most in [usize::MAX, 1] {
        let rehearsal = rehearse(&client, &server, |waiting| waiting.min(most));
        for ending in [&rehearsal.client, &rehearsal.server] {
            if let Ending::Failed(verdict) = ending {
                panic!("{text}\n{}", verdict.render(""));
            }
        }
        assert!(rehearsal.finished, "{text}");
        all.push(String::from_utf8(rehearsal.from_server).unwrap());
    }
    assert_eq!(all[0], all[1]);
    all.remove(0)
}

/// What a server answers.
fn answer(script: &Script, asked: &[u8]) -> (Next, String) {
    let (mut scratch, mut output) = (Scratch::new(), Output::default());
    let input = Input { bytes: asked, datagram: false, ended: false, now: Moment::default() };
    let next = script.play().step(script, input, &mut scratch, &mut output).next;
    (next, String::from_utf8(output.bytes).unwrap())
}

const STORE: &str = "repeat\n  C: GET {key=color|size|none}\n  choose {key}\n  is color\n    S: blue\n  is size\n    S: 5\n  else\n    \
                     S: nothing\n  end\nend\nC: QUIT\nS closes\n";

#[test]
fn the_value_decides_and_both_ends_agree() {
    assert_eq!(from_server(STORE), "blue\n5\nnothing\n");
    let server = prepare(STORE, Side::Server);
    assert_eq!(answer(&server, b"GET size\nGET color\nGET colors\nGET \n").1, "5\nblue\nnothing\nnothing\n");
}

#[test]
fn what_the_server_says_decides_too_and_so_does_what_is_set() {
    let text = "C: HELO\nS: {code:word=250|450} x\nchoose {code}\nis 250\n  C: MAIL\nis 450\n  C: QUIT\nend\nS: ok\n";
    assert_eq!(from_server(text), "250 x\nok\n");
    let text = "set kind = b\nC: a\nchoose {kind}\nis a\n  S: one\nis b\n  S: two\nend\n";
    assert_eq!(from_server(text), "two\n");
    let text = "C: {a=x}\nlet n = length {a}\nchoose {n}\nis 1\n  S: one\nelse\n  S: more\nend\n";
    assert_eq!(from_server(text), "one\n");
}

#[test]
fn a_value_is_exact_and_may_be_any_bytes() {
    let text = "C: {k}\nchoose {k}\nis \n  S: empty\nis a b\n  S: spaces\nis {0x20}\n  S: a space\nis {0xff}\n  S: a byte\nis A\n  \
                S: large\nelse\n  S: else\nend\n";
    let server = prepare(text, Side::Server);
    for (key, said) in [
        (&b""[..], "empty"),
        (b"a b", "spaces"),
        (b" ", "a space"),
        (b"\xff", "a byte"),
        (b"A", "large"),
        (b"a", "else"),
        (b"a b ", "else"),
    ] {
        assert_eq!(answer(&server, &[key, b"\n"].concat()).1, format!("{said}\n"), "{key:?}");
    }
}

#[test]
fn without_a_way_for_a_value_the_play_fails_and_says_so() {
    let text = "C: {key=a}\nchoose {key}\nis a\n  S: 1\nend\nS: end\n";
    assert_eq!(from_server(text), "1\nend\n");
    let (Next::End(Ending::Failed(verdict)), _) = answer(&prepare(text, Side::Server), b"other\n") else {
        panic!("it went on");
    };
    assert_eq!((verdict.fault, verdict.place.line), (Fault::NoSuchValue, 2));
    assert_eq!(verdict.headline(), "{key} is `other`, and no `is` has that value");
    // A name is shown as it is written, also where its value is known before.
    let text = "let choose_by = hex a\nC: x\nchoose {choose_by}\nis b\n  S: 1\nend\n";
    let (Next::End(Ending::Failed(verdict)), _) = answer(&prepare(text, Side::Server), b"x\n") else {
        panic!("it went on");
    };
    assert_eq!(verdict.headline(), "{choose_by} is `61`, and no `is` has that value");
}

#[test]
fn ways_nest_and_may_hold_any_block() {
    let text = "repeat 4\n  C: {a=x|y|x|z} {b=1|1|2|1}\n  choose {a}\n  is x\n    choose {b}\n    is 1\n      S: x1\n    else\n      \
                S: x-\n    end\n  is y\n    repeat 2\n      S: y\n    end\n  else\n    in any order\n      S: p\n      S: q\n    end\n  \
                end\nend\n";
    assert_eq!(from_server(text), "x1\ny\ny\nx-\np\nq\n");
    // A name that every way gives has a value behind them.
    from_server("C: {a=x}\nchoose {a}\nis x\n  S: {b=1}\nelse\n  S: {b=2}\nend\nC: {b}\n");
    // Under `at any time`, and behind what may be left out.
    from_server(
        "at any time\n  S: PING {t=1}\n  choose {t}\n  is 1\n    C: one\n  else\n    C: more\n  end\nend\nC: a\nS: b\n",
    );
}

#[test]
fn what_is_wrong_is_told() {
    for (text, why) in [
        ("C: {a=x}\nchoose\nis x\n  S: 1\nend\n", "`choose` names no value"),
        ("C: {a=x}\nchoose a\nis x\n  S: 1\nend\n", "`a` is not a name"),
        ("C: a\nchoose {b}\nis x\n  S: 1\nend\n", "{b} has no value yet"),
        ("C: {a=x}\nchoose {a}\nend\n", "`choose` has no `is`"),
        ("C: {a=x}\nchoose {a}\n  S: 1\nis x\n  S: 2\nend\n", "this stands above the first `is`"),
        ("C: {a=x}\nchoose {a}\nis x\n  S: 1\nis x\n  S: 2\nend\n", "this value stands at line 3 already"),
        ("C: {a=x}\nchoose {a}\nelse\n  S: 1\nis x\n  S: 2\nend\n", "`else` is the last way"),
        ("C: {a=x}\nchoose {a}\nis {a}\n  S: 1\nend\n", "`is` has a value that is known, and no hole"),
        ("C: {a=x}\nrepeat\n  choose {a}\n  is x\n    C: 1\n  end\nend\nC: y\n", "`choose` cannot begin a way"),
        ("C: {a=x}\nchoose {a}\nis x\n  S: {b=1}\nelse\n  S: 2\nend\nC: {b}\n", "on one path"),
        ("C: {a=x}\nchoose {a}\nis x\n  S: 1\n", "`choose {a}` is never closed"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(why), "{text}\n{refused}");
    }
}

#[test]
fn a_way_that_no_value_leads_to_is_told_and_can_be_played() {
    let text = "C: {key=a}\nchoose {key}\nis a\n  S: 1\nis b\n  S: 2\nend\n";
    let [client, server] = [Side::Client, Side::Server].map(|side| prepare(text, side));
    assert_eq!(rehearse(&client, &server, |all| all).unplayed, [5]);
    let [client, server] = [Side::Client, Side::Server].map(|side| {
        let mut options = PlayOptions::new(side, Carrier::Stream);
        options.branches = vec![5];
        Script::prepare(&parse(text), &options).unwrap()
    });
    let rehearsal = rehearse(&client, &server, |all| all);
    assert_eq!((rehearsal.from_client, rehearsal.from_server), (b"b\n".to_vec(), b"2\n".to_vec()));
}

#[test]
fn many_ways_cost_no_more_than_few() {
    let ways: String = (0..20_000).map(|n| format!("is key{n}\n  S: {n}\n")).collect();
    let text = format!("repeat\n  C: {{key=key1}}\n  choose {{key}}\n{ways}  end\nend\nC: end\nS closes\n");
    let server = prepare(&text, Side::Server);
    let asked: String = (0..20_000).rev().map(|n| format!("key{n}\n")).collect();
    let (_, said) = answer(&server, asked.as_bytes());
    assert!(said.starts_with("19999\n19998\n"), "{}", &said[..20]);
}

#[test]
fn an_end_of_the_side_that_does_not_lead_the_loop_above_is_told_before_it_is_played() {
    let told = |text: &str| {
        let transcript = parse(text);
        let found = transcript.warnings().iter().find(|one| one.message.contains("both wait"));
        found.map(|one| one.line.to_string())
    };
    for (text, line) in [
        ("repeat\n  C: {x=a|b}\n  S: hi\nend\nS closes\n", "5"),
        ("repeat\n  C: {x=a|b}\n  S: hi\nend\nS resets\n", "5"),
        ("repeat\n  C: {x=a|b}\n  S: hi\nend\nS waits 1s\nS closes\n", "6"),
        ("repeat\n  C: {x=a|b}\n  S: hi\nend\nS stops sending\nC: x\nC closes\n", "5"),
        ("repeat\n  S: {x=a|b}\n  C: hi\nend\nC closes\n", "5"),
        ("repeat\n  either\n    C: a\n  or\n    C: b\n  end\n  S: hi\nend\nS closes\n", "9"),
        ("repeat\n  C raw: {x=a|b}.\n  S raw: hi\nend\nS closes\n", "5"),
    ] {
        assert_eq!(told(text).as_deref(), Some(line), "{text}");
        let [client, server] = [Side::Client, Side::Server].map(|side| prepare(text, side));
        assert!(!rehearse(&client, &server, |all| all).is_success(), "{text}");
    }
    for text in [
        "repeat\n  C: {x=a|b}\n  S: hi\nend\nC closes\n",
        "repeat\n  C: {x=a|b}\n  S: hi\nend\nC: quit\nS closes\n",
        "repeat 2\n  C: {x=a|b}\n  S: hi\nend\nS closes\n",
        "repeat\n  S: {x=a|b}\n  C: hi\nend\nS closes\n",
        "repeat\n  either\n    C: a\n    S: hi\n  or\n    C: z\n    C closes\n  end\nend\nS closes\n",
        "repeat\n  C: {x=a|b}\n  S: hi\nend\n",
    ] {
        assert_eq!(told(text), None, "{text}");
    }
}

#[test]
fn too_many_ways_are_told_as_what_they_are() {
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    for (text, message, help) in [
        (many(1000, &|n| format!("not S: x{n}\n")), "the `not` lines up to here are too many", "with an expression"),
        (many(500, &|n| format!("maybe\n  S: x{n}\nend\n")), "too many ways together", "may be left out"),
        (many(500, &|n| format!("either\n  S: x{n}\nor\nend\n")), "too many ways together", "may be left out"),
        (many(500, &|n| format!("repeat\n  S: x{n}\nend\n")), "too many ways together", "at a loop without a number"),
        (
            format!("either\n{}end\n", many(2500, &|n| format!("{}  S: x{n}\n", if n > 0 { "or\n" } else { "" }))),
            "more than 2000 ways",
            "`choose` by its value",
        ),
    ] {
        let text = format!("C: a\n{text}S: b\n");
        let refused = Transcript::parse("test.talk", text.as_bytes(), &[]).unwrap_err();
        let finding = &refused.findings[0];
        assert!(finding.message.contains(message), "{}", finding.message);
        assert!(finding.help.as_ref().unwrap().contains(help), "{message}: {:?}", finding.help);
    }
}

#[test]
fn a_choice_has_two_thousand_ways_and_not_one_more() {
    let ways = |count: usize| {
        let each: Vec<String> = (0..count).map(|n| format!("  C: {n:04}\n")).collect();
        format!("either\n{}end\nS: ok\n", each.join("or\n"))
    };
    let server = prepare(&ways(2000), Side::Server);
    assert_eq!(answer(&server, b"0000\n").1, "ok\n");
    assert_eq!(answer(&server, b"1999\n").1, "ok\n");
    assert!(matches!(answer(&server, b"2000\n").0, Next::End(Ending::Failed(_))));
    assert!(refusal(&ways(2001)).contains("this choice has more than 2000 ways"));
}

#[test]
fn of_lines_in_any_order_a_wide_one_above_a_narrow_one_is_warned_of() {
    for (above, below, warned) in [
        ("{x}", "one", true),
        ("one", "{x}", false),
        ("GET {x}", "GET {y} now", true),
        ("GET {y} now", "GET {x}", false),
        ("GET {x}", "PUT {y}", false),
        // Each takes all that the other one takes.
        ("{x}", "{y}", false),
        ("one", "one", false),
        ("{x=a}", "{y=b}", false),
        // An example tells it where the patterns do not, and where there is none nothing is known.
        ("{x:word=a}", "{y:int=5}", true),
        ("{y:int=5}", "{x:word=a}", false),
        ("{x:word=a}", "{y:int}", false),
        ("{x:word}", "{y:int=5}", false),
        ("{x:word=a}", "{y:int=5} {z=1}", false),
    ] {
        let text = format!("in any order\n  C: {above}\n  C: {below}\nend\n");
        let transcript = parse(&text);
        let warning = transcript.warnings().iter().find(|warning| warning.message.contains("may take what line 3"));
        assert_eq!(warning.is_some(), warned, "{text}");
        assert!(warning.is_none_or(|warning| warning.line == 2), "{text}");
    }
}

#[test]
fn ways_begin_over_one_connection_wherever_they_go_on() {
    let ways = |first: &str, second: &str| format!("C2 connects\neither\n  {first}\nor\n  {second}\nend\n");
    for (first, second, told) in [
        ("C: a\n  C2: b", "C: c\n  C2: d", false),
        ("C2: a\n  C: b", "C2: c\n  S: d", false),
        ("C: a", "C2: b", true),
        ("C2: a", "C: b", true),
        ("C2: a", "C2: b\n  C: c", false),
    ] {
        let text = ways(first, second);
        let refused = Transcript::parse("test.talk", text.as_bytes(), &[]).err().map(|refused| refused.to_string());
        let words = "the ways from here begin over different connections";
        assert_eq!(refused.as_ref().is_some_and(|refused| refused.contains(words)), told, "{text}{refused:?}");
        assert_eq!(refused.is_some(), told, "{text}{refused:?}");
    }
}

/// What an `is` is warned of, and what is to be written instead; the text that is meant, too, is then taken without a word.
#[test]
fn a_value_that_says_something_else_than_it_seems_is_warned_of() {
    let warned = |value: &str| -> Option<(String, String)> {
        let text = format!("C: {{x=a}}\nset y = a\nchoose {{x}}\nis {value}\n  S: 1 {{y}}\nelse\n  S: 2\nend\n");
        let transcript = parse(&text);
        let mut all = transcript.warnings().iter();
        let found = all.next().map(|one| (one.message.clone(), one.help.clone().unwrap_or_default()));
        assert!(all.next().is_none(), "{value}: {:?}", transcript.warnings());
        assert!(
            found.is_none() || transcript.warnings()[0].line == 4 && transcript.warnings()[0].column == 4,
            "{value}"
        );
        found
    };
    for (value, words, fixes) in [
        ("\"a\"", "its quotes belong to the value", &["a", "{0x22}a\""][..]),
        ("'a'", "its quotes belong to the value", &["a", "{0x27}a'"]),
        ("a|b", "no list of them", &["a", "b", "a{0x7c}b"]),
        ("a | b|c", "no list of them", &["a", "b", "c", "a {0x7c} b{0x7c}c"]),
        ("a # first", "a comment stands on a line of its own", &["a", "a {0x23} first"]),
        ("a // first", "a comment stands on a line of its own", &["a", "a {0x2f}/ first"]),
        ("a:", "its `:` belongs to the value", &["a", "a{0x3a}"]),
        ("/a.*/", "it stands for no other value", &["{0x2f}a.*/"]),
        ("^a$", "it stands for no other value", &["{0x5e}a$"]),
        ("not a", "it stands for no other value", &["a", "{0x6e}ot a"]),
        ("= a", "its `=` belongs to the value", &["a", "{0x3d} a"]),
        ("== a", "its `=` belongs to the value", &["a", "{0x3d}= a"]),
        ("$y", "it is not the value of y", &["{0x24}y"]),
        ("b S: x", "what is said then stands on a line of its own", &["b", "b {0x53}: x"]),
        ("b: C raw: x", "what is said then stands on a line of its own", &["b", "b: {0x43} raw: x"]),
        ("b -> S: x", "what is said then stands on a line of its own", &["b", "b -> {0x53}: x"]),
        ("b then", "its `then` belongs to the value", &["b", "b {0x74}hen"]),
        ("a or b", "no list of them", &["a", "b", "a {0x6f}r b"]),
        ("1, 2,3", "no list of them", &["1", "2", "3", "1{0x2c} 2,3"]),
        ("200,404", "no list of them", &["200", "404", "200{0x2c}404"]),
        ("> 3", "it stands for no other value", &["{0x3e} 3"]),
        ("<=10", "it stands for no other value", &["{0x3c}=10"]),
        ("!= a", "it stands for no other value", &["{0x21}= a"]),
        ("A*", "it stands for no other value", &["A{0x2a}"]),
        ("^a", "it stands for no other value", &["{0x5e}a"]),
        ("<a>", "its `<` and `>` belong to the value", &["a", "{0x3c}a>"]),
        ("a ", "a space that cannot be seen", &["a", "a{0x20}"]),
        ("a\t ", "a space that cannot be seen", &["a", "a{0x0920}"]),
        (" ", "a space that cannot be seen", &["{0x20}"]),
    ] {
        let (message, help) = warned(value).unwrap_or_else(|| panic!("`is {value}` is not warned of"));
        assert!(message.contains(words), "{value}: {message}");
        for fix in fixes {
            assert!(help.contains(&format!("`is {fix}`")), "{value}: {fix}: {help}");
            // Of what is meant the value is the same, and nothing is told.
            let again = warned(fix).map(|(_, help)| help);
            assert!(again.is_none(), "{fix}: {again:?}");
        }
    }
    for value in ["", "a", "a b", "/static/", "/", "5|", "a#b", "12:30", "$5", "nothing", "a=b", "<", "\"", "é", "="] {
        assert_eq!(warned(value), None, "{value}");
    }
    for value in [
        "Hello, World",
        "to be or not",
        "now and then",
        "SELECT *",
        "*",
        "^",
        ">",
        "<b",
        "a, b c",
        "xS: y",
        "S: y",
        "or",
    ] {
        assert_eq!(warned(value), None, "{value}");
    }
}

/// What is a default of the name is meant as it is written; a number with its thousands apart is one.
#[test]
fn a_value_that_seems_to_be_several_and_is_one_is_not_warned_of() {
    for (default, value) in [
        ("a, b", "a, b"),
        ("a or b", "a or b"),
        ("1,2,3", "1,2,3"),
        ("not a", "not a"),
        ("a:", "a:"),
        ("x", "1,000"),
        ("x", "12,345,678"),
        ("x", "100,000"),
    ] {
        let text = format!("C: {{x={default}}}\nchoose {{x}}\nis {value}\n  S: 1\nelse\n  S: 2\nend\n");
        let told = parse(&text).warnings().to_vec();
        assert!(told.iter().all(|one| one.line != 3), "{text}{told:?}");
    }
    // Another default, another name's, or a space that nobody sees says nothing of this value.
    for (line, value) in [
        ("C: {x=a}", "a, b"),
        ("C: {x=a} {y=a, b}", "a, b"),
        ("C: {x=a}", "1,00"),
        ("C: {x=a}", "1, 000"),
        ("C: {x=a}", "200,404"),
        ("C: {x=a }.", "a "),
    ] {
        let text = format!("{line}\nchoose {{x}}\nis {value}\n  S: 1\nelse\n  S: 2\nend\n");
        assert!(parse(&text).warnings().iter().any(|one| one.line == 3), "{text}");
    }
}

/// A value that no hole can give the name is told, with one that can be where that is plain.
#[test]
fn a_value_that_the_pattern_of_its_name_does_not_take_is_warned_of() {
    let text = |hole: &str, value: &str| {
        let kind = if hole.contains('u') || hole.contains("bytes") { "C raw: " } else { "C: " };
        format!("{kind}{hole}\nchoose {{x}}\nis {value}\n  S: 1\nelse\n  S: 2\nend\n")
    };
    for (hole, value, fix) in [
        ("{x:u8=5}", "01", "write `is 1`"),
        ("{x:u8=5}", "0x1f", "write `is 31`"),
        ("{x:u8=5}", "300", "fits into u8"),
        ("{x:u8=5}", "one", "fits into u8"),
        ("{x:hex=26}", "1a", "write `is 26`"),
        ("{x:int=5}", "0x01", "write `is 1`"),
        ("{x:int=5}", "one", "a whole number is decimal digits"),
        ("{x:int=5}", "bad", "a whole number is decimal digits: let one stand here"),
        ("{x:int=5}", "1f", "a whole number is decimal digits: let one stand here"),
        ("{x:int=5}", "0x1f", "write `is 31`"),
        ("{x:u16=5}", "bad", "fits into u16"),
        ("{x:/a|b/=a}", "c", "let a value stand here that the pattern takes"),
        ("{x:word=a}", "a b", "let a value stand here that the pattern takes"),
        ("{x:2 bytes=ab}", "abc", "let a value stand here that the pattern takes"),
    ] {
        let told = parse(&text(hole, value)).warnings().to_vec();
        let [one] = &told[..] else { panic!("{hole} {value}: {told:?}") };
        assert!(one.message.starts_with(&format!("{{x}} is never `{value}`")) && one.line == 3, "{one:?}");
        let help = one.help.clone().unwrap();
        assert!(help.contains(fix), "{hole} {value}: {help}");
        if let Some(fixed) = help.split("write `is ").nth(1).and_then(|rest| rest.split('`').next()) {
            assert!(parse(&text(hole, fixed)).warnings().is_empty(), "{hole} {fixed}");
        }
    }
    for (hole, value) in [
        ("{x:u8=5}", "255"),
        ("{x:u8=5}", "0"),
        ("{x:hex=26}", "26"),
        ("{x:int=5}", "-07"),
        ("{x:/a|b/=a}", "b"),
        ("{x=a}", "anything at all"),
    ] {
        assert!(parse(&text(hole, value)).warnings().is_empty(), "{hole} {value}");
    }
    for (hole, value) in [("{x:int=5}", ""), ("{x:word=a}", ""), ("{x:u8=5}", "")] {
        let told = parse(&text(hole, value)).warnings().to_vec();
        assert!(told.len() == 1 && told[0].message.starts_with("{x} is never empty: its hole takes"), "{told:?}");
    }
    // Another hole, or a line, may give the name other values.
    for given in
        ["either\n  C: n {x:int=5}\nor\n  C: w {x:word=w}\nend\n", "set x = one\nC: a\n", "let x = md5 one\nC: a\n"]
    {
        let text = format!("{given}choose {{x}}\nis one\n  S: 1\nelse\n  S: 2\nend\n");
        let told = parse(&text).warnings().to_vec();
        assert!(told.iter().all(|one| !one.message.contains("is never")), "{text}{told:?}");
    }
    assert!(
        Transcript::parse("t", text("{x:int=5}", "one").as_bytes(), &["x"])
            .unwrap()
            .warnings()
            .iter()
            .all(|one| { !one.message.contains("is never") })
    );
}

#[test]
fn a_slip_in_the_words_of_a_choose_is_one_mistake() {
    let ways = "is a\n  S: 1\nis b\n  S: 2\nelse\n  S: 3\nend\nC: q\n";
    for (text, why, fix) in [
        (format!("C: {{x=a}}\nchoose x\n{ways}"), "`x` is not a name", "`choose {x}`"),
        (format!("C: {{x=a}}\nchoose {{x}}:\n{ways}"), "`{x}:` is not a name", "`choose {x}`"),
        (format!("C: {{x=a}}\nchoose on {{x}}\n{ways}"), "`on {x}` is not a name", "`choose {x}`"),
        (format!("C: {{x=a}}\nchoose $x\n{ways}"), "`$x` is not a name", "`choose {x}`"),
        (format!("C: {{x=a}}\nchoose {{x}} # which\n{ways}"), "is not a name", "`choose {x}`"),
        (format!("C: {{x=a}}\nchoose: {{x}}:\n{ways}"), "is not a name", "`choose {x}`"),
        (format!("C: {{x=a}}\nchoose\n{ways}"), "`choose` names no value", "`choose {key}`"),
        ("C: {x=a}\nchoose {x}\nis: a\n  S: 1\nelse\n  S: 2\nend\n".to_owned(), "no `:` stands behind `is`", "`is a`"),
        (
            "C: {x=a}\nchoose {x}\nis a\n  S: 1\nelse:\n  S: 2\nend\n".to_owned(),
            "no `:` stands behind `else`",
            "`else`",
        ),
        ("C: {x=a}\nchoose {x}\nis a\n  S: 1\nor b\n  S: 2\nend\n".to_owned(), "`or` is of an `either`", "`is b`"),
        ("C: {x=a}\nchoose {x}\nis a\n  S: 1\nor a\n  S: 2\nend\n".to_owned(), "`or` is of an `either`", "`is a`"),
        ("C: {x=a}\nchoose {x}\nis a\n  S: 1\nor\n  S: 2\nelse\n  S: 3\nend\n".to_owned(), "`or` is of an", "`else`"),
    ] {
        let refused = Transcript::parse("t.talk", text.as_bytes(), &[]).expect_err(&text);
        let [finding] = &refused.findings[..] else { panic!("{text}{refused}") };
        assert!(finding.message.contains(why), "{text}{refused}");
        assert!(finding.help.as_ref().unwrap().contains(fix), "{text}{refused}");
    }
}
