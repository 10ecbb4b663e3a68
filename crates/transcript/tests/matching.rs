//! What a line is, piece by piece: text, values and holes, where each of them ends, and at which byte a line differs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::{Carrier, Ending, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript};

/// What a server answers to this line, or at which byte it differs.
fn heard(text: &str, carrier: Carrier, bytes: &[u8]) -> Result<String, usize> {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
    let script = Script::prepare(&transcript, &PlayOptions::new(Side::Server, carrier))
        .unwrap_or_else(|refused| panic!("{text}{refused}"));
    let (mut scratch, mut output) = (Scratch::new(), Output::default());
    let datagram = carrier == Carrier::Datagram;
    let input = Input { bytes, datagram, ended: false, now: Moment::default() };
    match script.play().step(&script, input, &mut scratch, &mut output).next {
        Next::End(Ending::Failed(verdict)) => Err(verdict.byte.unwrap()),
        Next::End(_) => Ok(String::from_utf8(output.bytes).unwrap()),
        next => panic!("{text}{next:?}"),
    }
}

/// A line, what a server answers, what it hears, and what it says then or at which byte it differs.
type Row = (&'static str, &'static str, &'static str, Result<&'static str, usize>);

const ROWS: &[Row] = &[
    // The text behind the last hole is at the end of the line, and no hole before it reaches into it.
    ("{a}", "{a}", "x y", Ok("x y")),
    ("<{a}>", "{a}", "<x>y>", Ok("x>y")),
    ("{a}-{b}-end", "{a}|{b}", "x-y-end", Ok("x|y")),
    ("{a}-{b}-end", "{a}|{b}", "x--end", Ok("x|")),
    ("{a}-{b}-end", "{a}|{b}", "x-y-z-end", Ok("x|y-z")),
    ("{a}-{b}-end", "{a}|{b}", "--end", Ok("|")),
    ("{a}-{b}-end", "{a}|{b}", "x-end", Err(1)),
    ("{a}-{b}-end", "{a}|{b}", "x-y-enD", Err(7)),
    ("{a:int}{b}5", "{a}|{b}", "125", Ok("12|")),
    ("{a:int}{b}5", "{a}|{b}", "12x5", Ok("12|x")),
    ("{a:int}{b}", "{a}|{b}", "125", Ok("125|")),
    ("{a:int}{b}55", "{a}|{b}", "1555", Ok("15|")),
    ("{a:/[a-z]+/}{b:int} ok", "{a}|{b}", "abc7 ok", Ok("abc|7")),
    ("{a:/[a-z]+/}{b:/.*/}ok", "{a}|{b}", "abcok", Ok("abc|")),
    // Text and values behind the last hole.
    ("{a}={b}={a}.", "{a}|{b}", "x=y=x.", Ok("x|y")),
    ("{a}={b}={a}.", "{a}|{b}", "x=y=z.", Err(5)),
    ("{a:2 bytes}{b}.", "{a}|{b}", "xyz.", Ok("xy|z")),
    ("{a:2 bytes}{b}.", "{a}|{b}", "xy.", Ok("xy|")),
    ("{a:2 bytes}.", "{a}", "xy.", Ok("xy")),
    // Text between two holes is where it first stands.
    ("{a}, {b}, {c}", "{a}|{b}|{c}", "1, 2, 3, 4", Ok("1|2|3, 4")),
    ("{a}::{b}", "{a}|{b}", ":::", Ok("|:")),
    ("{a}::{b}", "{a}|{b}", "x:y", Err(1)),
    ("no hole", "ok", "no hole", Ok("ok")),
    ("no hole", "ok", "no hale", Err(5)),
    ("no hole", "ok", "no", Err(3)),
    ("no hole", "ok", "no holes", Err(8)),
    ("<{a}>", "{a}", "<x", Err(2)),
    ("<{a}>", "{a}", "x>", Err(1)),
    ("{a:word} {b}", "{a}|{b}", " x", Err(1)),
];

#[test]
fn each_hole_of_a_line_gets_what_is_between_the_texts_around_it() {
    for (line, answer, bytes, right) in ROWS {
        let right = right.map(str::to_owned);
        // Alone, at a choice, and among lines in any order.
        for text in [
            format!("C: {line}\nS: {answer}\n"),
            format!("either\n  C: {line}\n  S: {answer}\nor\n  C closes\nend\n"),
            format!("repeat\n  C: {line}\n  S: {answer}\n  S closes\nend\n"),
        ] {
            let found = heard(&text, Carrier::Stream, format!("{bytes}\n").as_bytes());
            assert_eq!(found.map(|said| said.trim_end_matches('\n').to_owned()), right, "{text}{bytes}");
        }
        // A whole datagram is the same, in a text line and in bytes.
        for form in ["", " raw"] {
            let text = format!("C{form}: {line}\nS: {answer}\n");
            // Of two holes side by side the first says how long it is, where it is no line.
            if form.is_empty() || !line.contains("}{") || line.contains("bytes") {
                assert_eq!(heard(&text, Carrier::Datagram, bytes.as_bytes()), right, "{text}{bytes}");
            }
        }
    }
}
