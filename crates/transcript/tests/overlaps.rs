//! `raw` and `hex` messages with holes of which one begins like another: a listener is told before it waits for ever, or takes
//! the one for the other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::{Carrier, Input, Moment, Output, PlayOptions, Scratch, Script, Side, Transcript};

fn prepare(text: &str, side: Side) -> Result<Script, String> {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
    Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).map_err(|refused| refused.to_string())
}

/// What a server is told of these ways, in a word.
fn told(text: &str) -> &'static str {
    match prepare(text, Side::Server) {
        Err(refused) if refused.contains("where this message ends cannot be told") => "refused",
        Err(refused) => panic!("{text}{refused}"),
        Ok(script) => {
            let all: Vec<&str> = script.warnings().iter().map(|warning| warning.message.as_str()).collect();
            match all.as_slice() {
                [] => "apart",
                [one] if one.contains("never reached") => "hidden",
                [one] if one.contains("may take what begins") => "taken",
                [one] if one.contains("is not heard by itself") => "waits",
                other => panic!("{text}{other:?}"),
            }
        }
    }
}

fn either(first: &str, second: &str) -> String {
    format!("either\n  C {first}\n  S: one\nor\n  C {second}\n  S: two\nend\n")
}

#[test]
fn of_two_messages_with_holes_it_is_told_where_one_may_end_in_the_other() {
    for (first, second, so, swapped) in [
        ("raw: a", "raw: a{x=1};", "hidden", "refused"),
        ("raw: a", "raw: a{x};", "hidden", "refused"),
        ("raw: ab", "raw: a{x=1};", "taken", "refused"),
        ("raw: GET all", "raw: GET {x=1};", "taken", "refused"),
        ("raw: a{x=b}c", "raw: a{y=b}cd", "hidden", "refused"),
        ("raw: a{x=q}b", "raw: a1{y=2}c", "refused", "refused"),
        ("raw: {x:2 bytes=zz};", "raw: {y=1};;", "refused", "refused"),
        ("hex: 01", "hex: 01 {n:1 bytes=02} ff", "hidden", "refused"),
        ("hex: 01 02", "hex: 01 {n:u8=5} {x:n bytes=0102030405}", "taken", "refused"),
        ("hex: {n:u8=1} 02", "hex: 01 02 {m:varint=3}", "hidden", "refused"),
        ("raw: quit", "raw: {n:int=5};", "apart", "waits"),
        // Both are whole at the same byte, or differ before that.
        ("raw: quit;", "raw: {x=1};", "apart", "apart"),
        ("raw: a{x=1};", "raw: b{y=1};", "apart", "apart"),
        ("raw: GET {x=1};", "raw: PUT {y=1};", "apart", "apart"),
        ("raw: GET {x=1};", "raw: P", "apart", "apart"),
        ("hex: 01 {n:1 bytes=02}", "hex: 02 {m:2 bytes=0203}", "apart", "apart"),
        ("raw: {x:2 bytes=ab}", "raw: {y:2 bytes=cd}", "apart", "apart"),
    ] {
        assert_eq!(told(&either(first, second)), so, "{first} / {second}");
        assert_eq!(told(&either(second, first)), swapped, "{second} / {first}");
        if swapped == "refused" && so != "refused" {
            // The fix that is named is taken: a pause tells the two apart.
            let text = format!("gap 100ms\n{}", either(second, first));
            assert_eq!(told(&text), "apart", "{text}");
        }
    }
}

/// Each may end in the other: no pause tells them apart.
#[test]
fn of_two_messages_of_which_each_may_end_in_the_other_a_pause_does_not_help() {
    let [one, other] = ["raw: a{x=q}b", "raw: a1{y=2}c"];
    for (first, second) in [(one, other), (other, one)] {
        assert_eq!(told(&format!("gap 100ms\n{}", either(first, second))), "taken");
    }
}

#[test]
fn it_is_told_wherever_several_messages_may_come() {
    for (text, so) in [
        ("repeat\n  C raw: a{x=1};\n  S: one\nend\nC raw: a\nS: x\n", "hidden"),
        ("repeat\n  C raw: a\n  S: one\nend\nC raw: a{x=1};\nS: x\n", "refused"),
        ("repeat\n  C raw: b\n  S: one\nend\nC raw: a{x=1};\nS: x\n", "apart"),
        ("maybe\n  C raw: a\nend\nC raw: a{x=1};\nS: x\n", "hidden"),
        ("maybe\n  C raw: a{x=1};\nend\nC raw: a\nS: x\n", "refused"),
        ("maybe\n  C raw: b{x=1};\nend\nC raw: a\nS: x\n", "apart"),
        ("not C raw: a\nC raw: a{x=1};\nS: x\n", "hidden"),
        ("not C raw: a{_=1};\nC raw: a\nS: x\n", "refused"),
        ("not C raw: b{_=1};\nC raw: a\nS: x\n", "apart"),
        ("in any order\n  C raw: a\n  C raw: a{x=1};\nend\nS: x\n", "taken"),
        ("in any order\n  C raw: a{x=1};\n  C raw: a\nend\nS: x\n", "refused"),
        ("in any order\n  C raw: a{x=1};\n  C raw: b\nend\nS: x\n", "apart"),
        ("at any time\n  C raw: a{x=1};\n  S: one\nend\nC raw: a\nS: x\n", "hidden"),
        ("at any time\n  C raw: a\n  S: one\nend\nC raw: a{x=1};\nS: x\n", "refused"),
        ("at any time\n  C raw: p{x=1};\n  S: one\nend\nC raw: a\nS: x\n", "apart"),
        (
            "at any time\n  C raw: p\n  S: p\nend\nat any time\n  C raw: p{x=1};\n  S: q\nend\nC raw: a\nS: x\n",
            "hidden",
        ),
        // What follows the shorter one tells, as the sum behind a packet of gdb does.
        (
            "either\n  C raw: k#6b\n  S: one\nor\n  C raw: {x=g}#\n  let n = sum8 {x}\n  C raw: {n:2 hex}\n  S: x\nend\n",
            "apart",
        ),
        ("either\n  C raw: k#6b\n  S: one\nor\n  C raw: {x=g}#\n  S: x\nend\n", "refused"),
        // Of what is not awaited at the same place nothing is told.
        ("C raw: a\nS: one\nC raw: a{x=1};\nS: x\n", "apart"),
    ] {
        assert_eq!(told(text), so, "{text}");
    }
}

#[test]
fn a_message_that_is_told_about_is_played_as_it_is_told() {
    let answer = |text: &str, heard: &[u8]| {
        let script = prepare(text, Side::Server).unwrap();
        let (mut scratch, mut output) = (Scratch::new(), Output::default());
        let input = Input { bytes: heard, datagram: false, ended: false, now: Moment::default() };
        script.play().step(&script, input, &mut scratch, &mut output);
        String::from_utf8(output.bytes).unwrap()
    };
    assert_eq!(answer(&either("raw: a", "raw: a{x=1};"), b"a1;"), "one\n");
    assert_eq!(answer(&either("raw: {n:int=5};", "raw: quit"), b"quit"), "");
    assert_eq!(answer(&either("raw: quit", "raw: {n:int=5};"), b"quit"), "one\n");
}

/// Many messages that begin alike are looked at in a moment.
#[test]
fn many_messages_that_begin_alike_are_looked_at_for_a_while_and_no_longer() {
    let ways: Vec<String> = (0..1500).map(|n| format!("  C raw: {{x{n}=1}}-{n};\n  S: {n}\n")).collect();
    let text = format!("gap 10ms\neither\n{}end\n", ways.join("or\n"));
    let began = std::time::Instant::now();
    prepare(&text, Side::Server).unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
}
