//! A line that is written anew from what came passes when it is played again, whatever came.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod random;

use random::Random;
use transcript::{
    Carrier, Ending, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript, Verdict, update,
};

/// Plays the client of a text against a server that says these bytes, and then no more.
fn play(text: &str, carrier: Carrier, came: &[u8]) -> Result<(), Box<Verdict>> {
    let transcript = Transcript::parse("t", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let script = Script::prepare(&transcript, &PlayOptions::new(Side::Client, carrier)).unwrap();
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let is_datagram = carrier == Carrier::Datagram;
    let (mut from, mut gave) = (0, false);
    for _ in 0..1000 {
        // The client has spoken before a datagram comes.
        let is_there = is_datagram && gave;
        let bytes = if is_datagram && !is_there { &[][..] } else { &came[from..] };
        let input = Input { bytes, datagram: is_there, ended: !is_datagram, now: Moment::default() };
        let step = play.step(&script, input, &mut scratch, &mut output);
        from += step.consumed;
        gave &= step.left || !is_there;
        output.clear();
        match step.next {
            Next::End(Ending::Failed(verdict)) => return Err(verdict),
            Next::End(_) => return Ok(()),
            Next::Hear { .. } => gave = true,
            _ => {}
        }
    }
    panic!("it goes on: {text}");
}

/// What is hard to write down.
const PIECES: [&[u8]; 30] = [
    b"{",
    b"}",
    b"\\",
    b" ",
    b"\t",
    b"#",
    b"a",
    b"name",
    b"x",
    b":",
    b"=",
    b"|",
    b"\xff",
    b"\x80",
    b"\x00",
    b"\x1b",
    b"\x7f",
    b"\r",
    b"0x",
    b"41",
    b"5",
    "\u{e9}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"S: ",
    b"/",
    b"\"",
    b"\x0b",
    b"$",
    b"-",
];

fn value(random: &mut Random, more: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..random.below(7) {
        if !more.is_empty() && random.below(6) == 0 {
            value.extend_from_slice(more);
        }
        value.extend_from_slice(PIECES[random.below(PIECES.len())]);
    }
    value
}

#[test]
fn what_is_written_anew_passes_against_the_same_peer() {
    let lines = [
        "S: old",
        "S: ",
        "S: { old }",
        "S: {{0x41}",
        "S: {0x41}}",
        "S: {{0x41}}",
        "S: {_=a} {0x61}old",
        "S: name={x:int=5}}",
        "S: {{x=a}",
        "S: {{_:word=b}=} old",
        "S: {name} old",
        "S: # {name}",
        "S raw: old",
        "S raw: {{0x41}{name}{0x41}}",
        "S hex: 6f 6c 64",
        "S hex: 7b{name}7d",
    ];
    let mut random = Random(13);
    let rounds = std::env::var("SOCKEYE_FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5_000);
    let (mut anew, mut kept) = (0, 0);
    for round in 0..rounds {
        let line = random.of(&lines);
        let carrier = if random.below(2) == 0 { Carrier::Stream } else { Carrier::Datagram };
        let eol = random.of(&["any", "lf", "crlf", "none"]);
        let is_text = line.starts_with("S:");
        let text = format!("eol {eol}\nC: {{name=name}}\n{line}\n");
        let more: &[u8] = if is_text && carrier == Carrier::Stream && eol != "none" { b"" } else { b"\n" };
        let mut came = value(&mut random, more);
        if is_text && matches!((eol, carrier), ("any" | "lf" | "crlf", Carrier::Stream) | ("lf" | "crlf", _)) {
            came.extend_from_slice(if eol == "crlf" { b"\r\n" } else { b"\n" });
        }
        let Err(verdict) = play(&text, carrier, &came) else {
            kept += 1;
            continue;
        };
        let Some(updated) = update(&text, &verdict) else { continue };
        anew += 1;
        let again = play(&updated.text, carrier, &came);
        assert!(
            again.is_ok(),
            "round {round}, {carrier:?}: {came:?}\n{text}becomes\n{}{}",
            updated.text,
            again.unwrap_err().render("")
        );
    }
    assert!(anew > rounds / 2 && kept < rounds / 4, "{anew} written anew, {kept} were as written");
}
