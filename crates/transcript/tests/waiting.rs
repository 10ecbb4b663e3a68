//! A play that waits: how long, for what, what it holds meanwhile, and where it stands.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use transcript::{
    Carrier, Ending, Fault, Input, Moment, Next, Output, Play, PlayOptions, Scratch, Script, Side, Transcript,
};

fn script(text: &str, side: Side, carrier: Carrier) -> Script {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
    let mut options = PlayOptions::new(side, carrier);
    options.longest_line = 1 << 20;
    options.wait = Some(Duration::from_secs(5));
    Script::prepare(&transcript, &options).unwrap_or_else(|refused| panic!("{refused}"))
}

/// A play with what came and was not consumed.
struct Waiting {
    play: Play,
    scratch: Scratch,
    output: Output,
    held: Vec<u8>,
}

impl Waiting {
    fn new(script: &Script) -> Self {
        Self { play: script.play(), scratch: Scratch::new(), output: Output::default(), held: vec![] }
    }

    fn hear(&mut self, script: &Script, bytes: &[u8], seconds: u64) -> Next {
        self.held.extend_from_slice(bytes);
        let now = Moment::default().after(Duration::from_secs(seconds));
        let datagram = script.carrier() == Carrier::Datagram && !bytes.is_empty();
        let input = Input { bytes: &self.held, datagram, ended: false, now };
        let step = self.play.step(script, input, &mut self.scratch, &mut self.output);
        self.held.drain(..step.consumed);
        step.next
    }
}

/// Sends so many bytes every four seconds, and waits as long after the last of them; how it ended.
fn slowly(text: &str, piece: usize, pieces: u64) -> Option<Ending> {
    let script = script(text, Side::Server, Carrier::Stream);
    let mut play = Waiting::new(&script);
    for number in 0..=pieces {
        let bytes = if number == 0 { vec![] } else { vec![b'x'; piece] };
        if let Next::End(ending) = play.hear(&script, &bytes, 4 * number) {
            return Some(ending);
        }
    }
    None
}

#[test]
fn what_is_no_line_may_take_long_wherever_it_is_awaited_and_a_line_may_not() {
    let long = "x".repeat(300_000);
    let raw = format!("C raw: {long}\n");
    let choice = format!("either\n  C raw: {long}\nor\n  C raw: y\nend\n");
    let order = format!("in any order\n  C raw: {long}\n  C raw: yy\nend\n");
    for text in [&raw, &choice, &order] {
        assert!(slowly(text, 65_536, 4).is_none(), "{}", &text[..40]);
        // It comes, but too slowly.
        let ending = slowly(text, 20_000, 4);
        assert!(matches!(&ending, Some(Ending::Failed(verdict)) if verdict.fault.kind().name() == "nothing_came"));
    }
    let line = format!("C: {long}\n");
    let choice = format!("either\n  C: {long}\nor\n  C: y\nend\n");
    let order = format!("in any order\n  C: {long}\n  C: yy\nend\n");
    for text in [&line, &choice, &order] {
        let Some(Ending::Failed(verdict)) = slowly(text, 65_536, 4) else { panic!("{}", &text[..40]) };
        assert_eq!(verdict.fault, Fault::NothingCame { waited: Duration::from_secs(5) }, "{}", &text[..40]);
        assert!(verdict.headline().starts_with("no whole line came"), "{}", verdict.headline());
    }
    let Some(Ending::Failed(verdict)) = slowly(&raw, 20_000, 4) else { panic!("no end") };
    assert!(verdict.headline().starts_with("not all of the bytes came"), "{}", verdict.headline());
    assert!(verdict.render("").contains("wait for as many bytes as they have"), "{}", verdict.headline());
}

#[test]
fn what_did_not_come_whole_is_told_with_what_would_end_it() {
    for (text, heard, words) in [
        ("C: hi\nS: a\n", "h", "no line ending yet: use `raw:` for a prompt, or `gap`\n"),
        ("either\n  C: hi\nor\n  C: ho\nend\nS: a\n", "h", "no line ending yet: use `raw:` for a prompt, or `gap`\n"),
        ("eol crlf\nC: hi\nS: a\n", "hi", "no line ending yet: use `raw:` for a prompt\n"),
        ("eol lf\nC: hi\nS: a\n", "hi", "no line ending yet: use `raw:` for a prompt\n"),
        ("gap 10s\nC: hi\nS: a\n", "hi", "no pause as long as `gap`: it is to be shorter than the wait\n"),
        (
            "eol none\nC: b\nS: a\n",
            "b\r\n",
            "with `eol none` a line ends with a pause or with the stream: write `gap 100ms`",
        ),
        (
            "eol none\ngap 10s\nC: b\nS: a\n",
            "b\r\n",
            "no pause as long as `gap` yet: it is to be shorter than the wait\n",
        ),
        ("C raw: abc\nS: a\n", "ab", "wait for as many bytes as they have"),
        ("C hex: {n:u32=5}\nS: a\n", "ab", "wait for as many bytes as they have"),
        ("C raw: b{x=y}d\nS: a\n", "bcc", "waits for what stands behind its hole"),
        ("C hex: 62 {x=63} 64\nS: a\n", "bcc", "waits for what stands behind its hole"),
        ("C raw: b{x=y}\nC stops sending\nS: a\n", "bcc", "takes all up to the end of the stream"),
    ] {
        let script = script(text, Side::Server, Carrier::Stream);
        let mut play = Waiting::new(&script);
        play.hear(&script, b"", 0);
        play.hear(&script, heard.as_bytes(), 1);
        let ending = (2..=20).find_map(|second| match play.hear(&script, b"", second) {
            Next::End(ending) => Some(ending),
            _ => None,
        });
        let Some(Ending::Failed(verdict)) = ending else { panic!("{text}") };
        let account = verdict.render("");
        assert!(matches!(verdict.fault, Fault::NothingCame { .. }), "{account}");
        assert!(account.contains(words), "{account}");
        let is_line = text.contains("C:");
        assert_eq!(verdict.headline().starts_with("no whole line came"), is_line, "{account}");
    }
}

#[test]
fn a_play_says_what_memory_it_holds() {
    let keeps = "C: {a}\nS: {_=ok}\nC: {a=x}\nS: {b}\nC: {b}\n";
    let client = script(&keeps.replace("{a}", &format!("{{a={}}}", "v".repeat(3000))), Side::Client, Carrier::Stream);
    let mut play = Waiting::new(&client);
    assert_eq!((play.play.holds(), play.play.memory()), (0, 0));
    play.hear(&client, b"", 0);
    // What it said last, and the value that it says once more.
    let holds = play.play.holds();
    assert!((6000..6500).contains(&holds), "{holds}");
    assert_eq!(play.play.memory(), holds);
    let server = script("repeat\n  C: {a}\n  S: {a}\n  C: {b}\n  S: {a}\nend\n", Side::Server, Carrier::Stream);
    let mut play = Waiting::new(&server);
    play.hear(&server, &[&[b'v'; 3000][..], b"\n"].concat(), 0);
    assert!((3000..3500).contains(&play.play.holds()), "{}", play.play.holds());
    play.hear(&server, b"x\n", 0);
    assert_eq!(play.play.holds(), 0);
    let counts = script("repeat 3\n  C: a\n  C: b\nend\n", Side::Server, Carrier::Stream);
    assert!(Waiting::new(&counts).play.memory() >= 4);
}

#[test]
fn a_value_that_may_be_asked_for_at_any_time_is_kept_only_as_long_as_the_other_side_speaks() {
    let asked = "C: {x}\nat any time\n  C: again\n  S: {x}\nend\nC: go\n";
    for (behind, kept) in [
        ("S: a\nS waits 1s\nS: b\n", false),
        ("repeat 2\n  S: a\n  S waits 1s\nend\nS: b\n", false),
        ("S: a\nS waits 1s\nC: b\n", true),
        ("S: a\nS waits 1s\nS: {x}\n", true),
        ("S: a\nS waits 1s\nS: b\nC closes\n", true),
    ] {
        let server = script(&format!("{asked}{behind}"), Side::Server, Carrier::Stream);
        let mut play = Waiting::new(&server);
        play.hear(&server, &[&[b'v'; 3000][..], b"\n"].concat(), 0);
        assert!(play.play.holds() >= 3000, "{behind}");
        assert!(matches!(play.hear(&server, b"go\n", 0), Next::Pause { .. }), "{behind}");
        assert_eq!(play.play.holds() >= 3000, kept, "{behind}: {}", play.play.holds());
    }
}

#[test]
fn a_play_that_stands_where_it_began_is_as_good_as_a_new_one() {
    for (text, carrier) in [
        ("repeat\n  C: a\n  S: b\n  C: c\n  S: d\nend\n", Carrier::Datagram),
        ("repeat\n  C: a\n  S: b\n  C: c\n  S: d\nend\n", Carrier::Stream),
    ] {
        let script = script(text, Side::Server, carrier);
        let mut play = Waiting::new(&script);
        assert!(play.play.is_fresh(&script));
        play.hear(&script, b"", 0);
        assert!(play.play.is_fresh(&script) && play.play.at_rest(&script) && play.play.may_end(&script));
        assert_eq!(play.play.line(&script), 2);
        play.hear(&script, b"a\n", 1);
        assert!(!play.play.is_fresh(&script) && !play.play.at_rest(&script) && !play.play.may_end(&script));
        assert_eq!(play.play.line(&script), 4);
        play.hear(&script, b"c\n", 2);
        assert!(play.play.is_fresh(&script) && play.play.may_end(&script));
        assert_eq!(play.output.bytes, b"b\nd\n");
    }
    let counted = script("repeat 2\n  C: a\n  S: b\nend\n", Side::Server, Carrier::Stream);
    let mut play = Waiting::new(&counted);
    play.hear(&counted, b"", 0);
    play.hear(&counted, b"a\n", 0);
    assert!(!play.play.is_fresh(&counted));
    let halves = script("repeat\n  C: a\n  S: b\nend\n", Side::Server, Carrier::Stream);
    let mut play = Waiting::new(&halves);
    play.hear(&halves, b"a", 0);
    assert!(!play.play.is_fresh(&halves) && !play.play.at_rest(&halves));
    let pauses = script("S waits 1s\nC: a\n", Side::Server, Carrier::Stream);
    let mut play = Waiting::new(&pauses);
    assert!(play.play.is_fresh(&pauses));
    assert!(matches!(play.hear(&pauses, b"", 0), Next::Pause { .. }));
    assert!(!play.play.is_fresh(&pauses));
}

#[test]
fn times_are_told_as_people_read_them() {
    for (nanos, told) in [
        (5_000_000_000, "5 s"),
        (100_000_000, "0.1 s"),
        (1_500_000, "0.002 s"),
        (1_999_600_000, "2 s"),
        (61_500_000_000, "61.5 s"),
        (60_000_000_000, "1 min"),
        (61_000_000_000, "61 s"),
        (300_000_000_000, "5 min"),
        (59_999_700_000, "1 min"),
    ] {
        assert_eq!(transcript::seconds(Duration::from_nanos(nanos)), told);
    }
}

#[test]
fn of_a_long_line_that_was_expected_only_its_beginning_is_told() {
    let client =
        script(&format!("S: {}{{x}}{}\n", "a".repeat(20_000), "b".repeat(20_000)), Side::Client, Carrier::Stream);
    let mut play = Waiting::new(&client);
    let Next::End(Ending::Failed(verdict)) = play.hear(&client, b"z\n", 0) else { panic!("it is as written") };
    let text = &verdict.expected[0].text;
    assert!((16_000..17_000).contains(&text.len()) && text.ends_with("a…"), "{}", text.len());
    let short = script("S: a{x}b\n", Side::Client, Carrier::Stream);
    let mut play = Waiting::new(&short);
    let Next::End(Ending::Failed(verdict)) = play.hear(&short, b"z\n", 0) else { panic!("it is as written") };
    assert_eq!(verdict.expected[0].text, "a{x}b");
}
