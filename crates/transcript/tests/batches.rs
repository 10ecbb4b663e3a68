//! Batches: many lines that come at once are answered in one go, and what is said, counted, kept and told is what it is
//! when they come one by one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::{
    Carrier, Ending, Exchange, Exchanges, Input, Moment, Next, Output, Play, PlayOptions, SAID_AHEAD, Scratch, Script,
    Side, Transcript, Watch,
};

fn options(text: &str, side: Side, change: impl FnOnce(&mut PlayOptions)) -> Script {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
    let mut options = PlayOptions::new(side, Carrier::Stream);
    change(&mut options);
    Script::prepare(&transcript, &options).unwrap_or_else(|refused| panic!("{refused}"))
}

fn script(text: &str, side: Side) -> Script {
    options(text, side, |_| {})
}

/// Everything that a play tells.
#[derive(Default, Debug, PartialEq, Eq)]
struct Told(Vec<(char, usize)>);

impl Watch for Told {
    fn said(&mut self, line: usize, _: Moment) {
        self.0.push(('<', line));
    }

    fn heard(&mut self, line: usize, _: Moment) {
        self.0.push(('>', line));
    }
}

/// One play under a watch.
struct Heard {
    play: Play,
    scratch: Scratch,
    output: Output,
    said: Vec<u8>,
    told: Told,
    held: Vec<u8>,
    steps: usize,
    ending: Option<String>,
}

impl Heard {
    fn new(script: &Script) -> Self {
        let mut heard = Self {
            play: script.play(),
            scratch: Scratch::new(),
            output: Output::default(),
            said: vec![],
            told: Told::default(),
            held: vec![],
            steps: 0,
            ending: None,
        };
        heard.hear(script, b"", false);
        heard
    }

    fn hear(&mut self, script: &Script, bytes: &[u8], ended: bool) {
        self.held.extend_from_slice(bytes);
        while self.ending.is_none() {
            self.steps += 1;
            let input = Input { bytes: &self.held, datagram: false, ended, now: Moment::default() };
            let step = self.play.step_watched(script, input, &mut self.scratch, &mut self.output, &mut self.told);
            self.held.drain(..step.consumed);
            assert!(self.output.bytes.len() < 2 * SAID_AHEAD, "a step says much at once");
            self.said.append(&mut self.output.bytes);
            match step.next {
                Next::Hear { .. } => break,
                Next::Flush => {}
                Next::End(Ending::Failed(verdict)) => self.ending = Some(verdict.render("")),
                Next::End(ending) => self.ending = Some(format!("{ending:?}")),
                next => panic!("{next:?}"),
            }
        }
    }
}

/// Plays what was heard at once, in halves and byte by byte: all is the same but the number of steps.
fn same_in_pieces(script: &Script, bytes: &[u8]) -> Heard {
    let mut whole = Heard::new(script);
    whole.hear(script, bytes, false);
    whole.hear(script, b"", true);
    for piece in [1, 2, 7, bytes.len().div_ceil(2).max(1)] {
        let mut pieces = Heard::new(script);
        bytes.chunks(piece).for_each(|piece| pieces.hear(script, piece, false));
        pieces.hear(script, b"", true);
        let text = |heard: &Heard| String::from_utf8_lossy(&heard.said).into_owned();
        assert_eq!(text(&pieces), text(&whole), "{piece}");
        assert_eq!((&pieces.ending, &pieces.told), (&whole.ending, &whole.told), "{piece}");
        assert!(pieces.steps >= whole.steps, "{piece}");
    }
    whole
}

#[test]
fn a_client_that_is_answered_many_times_at_once_says_what_it_says_one_by_one() {
    for (text, heard, said) in [
        ("repeat 4\n  C: x\n  S: y\nend\nC: z\n", "y\ny\ny\ny\n", "x\nx\nx\nx\nz\n"),
        (
            "repeat 3\n  C: {n=Ann}\n  S: Hello, {n}!\nend\n",
            "Hello, Ann!\r\nHello, Ann!\nHello, Ann!\n",
            "Ann\nAnn\r\nAnn\n",
        ),
        ("repeat\n  C: {n=a|b|c}\n  S: <{n}>\nend\nC: exit\n", "<a>\n<b>\n<c>\n", "a\nb\nc\nexit\n"),
        (
            "repeat 5\n  C: {n=a|b}\n  S: {n}\nend\nS: {end}\nC: {end}\n",
            "a\nb\na\nb\na\nlast\n",
            "a\nb\na\nb\na\nlast\n",
        ),
        ("repeat 4\n  C: {n=a|b}\n  S: {n}.\nend\n", "a.\nb.\na.\nb.\n", "a\nb\na\nb\n"),
        ("repeat 4\n  C: {n=a|b}\n  S: .{n}\nend\n", ".a\n.b\n.a\n.b\n", "a\nb\na\nb\n"),
        ("repeat 3\n  C: {_=a|b}{n=1}\n  S: {n}{m:int}\n  C: {m}\nend\n", "15\n16\n17\n", "a1\n5\nb1\n6\na1\n7\n"),
        ("repeat 3\n  S: {q}\n  C: {q}?\nend\nC: end\n", "a\nb\nc\n", "a?\nb?\nc?\nend\n"),
        ("repeat\n  S: {q=1}\n  C: {q}{n=x|y}{n}\nend\n", "1\n2\n3\n", "1xx\n2yy\n3xx\n"),
        ("C: {n=k}\nrepeat 3\n  S: {q}\n  C: {n}{q}\nend\nS: {n}\n", "1\n2\n3\nk\n", "k\nk1\nk2\nk3\n"),
        (
            "repeat 3\n  C: go\n  either\n    S: a\n  or\n    S: b{_}\n  end\nend\nC: bye\n",
            "a\nbx\na\n",
            "go\ngo\ngo\nbye\n",
        ),
        ("repeat 2\n  repeat 2\n    C: x\n    S: y\n  end\n  C: z\nend\n", "y\ny\ny\ny\n", "x\nx\nz\nx\nx\nz\n"),
        (
            "ignore case\nrepeat 3\n  C: {n=Ann}\n  S: hello {n}\nend\n",
            "HELLO Ann\nhello Ann\nHello Ann\n",
            "Ann\nAnn\nAnn\n",
        ),
        ("eol crlf\nrepeat 3\n  C: x\n  S: y\nend\n", "y\r\ny\r\ny\r\n", "x\r\nx\r\nx\r\n"),
        ("eol lf\nrepeat 3\n  C: x\n  S: y\nend\n", "y\ny\ny\n", "x\nx\nx\n"),
    ] {
        for kept in [true, false] {
            let script = options(text, Side::Client, |options| options.keep_said = kept);
            let played = same_in_pieces(&script, heard.as_bytes());
            assert_eq!(String::from_utf8_lossy(&played.said), said, "{text}");
            assert!(!played.ending.as_ref().unwrap().contains("error"), "{text}: {:?}", played.ending);
        }
    }
}

#[test]
fn a_line_that_is_told_by_what_was_just_said_goes_its_own_way_in_a_batch_too() {
    let ways = |first: &str, second: &str| {
        format!(
            "repeat\n  C: {{n=a|b|c}}\n  either\n    S: {first}\n  or\n    S: {second}\n    C: other\n  end\nend\nC: end\n"
        )
    };
    for (first, second, heard, said) in [
        ("{n}", "{_}", "a\nb\nc\n", "a\nb\nc\nend\n"),
        ("{n}", "{_}", "a\na\nc\n", "a\nb\nother\nc\nend\n"),
        ("{n}", "{_}", "b\nb\nb\n", "a\nother\nb\nc\nother\nend\n"),
        ("<{n}>", "<{_}>", "<a>\n<b>\n<>\n", "a\nb\nc\nother\nend\n"),
        ("<{n}>", "<{_}", "<a>\n<b\n<c>\n", "a\nb\nother\nc\nend\n"),
        ("{n}{n}", "{_}", "aa\nbb\nbc\n", "a\nb\nc\nother\nend\n"),
    ] {
        let text = ways(first, second);
        let played = same_in_pieces(&script(&text, Side::Client), heard.as_bytes());
        assert_eq!(String::from_utf8_lossy(&played.said), said, "{text}{heard}");
    }
    let ignored = format!("ignore case\n{}", ways("x{n}", "{_}"));
    let played = same_in_pieces(&script(&ignored, Side::Client), b"Xa\nXB\nxc\n");
    assert_eq!(String::from_utf8_lossy(&played.said), "a\nb\nother\nc\nend\n");
}

#[test]
fn a_value_is_said_again_in_the_answer_that_gives_it() {
    for (text, heard, said) in [
        ("repeat\n  C: x\n  S: {n=1} {n}\nend\n", "x\nx\n", "1 1\n1 1\n"),
        ("repeat\n  C: x\n  S: {n=1}\n  S: {m=2} {n} {m}\nend\n", "x\nx\n", "1\n2 1 2\n1\n2 1 2\n"),
        ("repeat\n  C: {q}\n  S: {n=1}{q}{m=2} {m}{q}{n}\nend\n", "x\ny\n", "1x2 2x1\n1y2 2y1\n"),
        ("C: {a}\nrepeat\n  C: {q}\n  S: {n=1}{a}{n}{q}\nend\n", "k\nx\ny\n", "1k1x\n1k1y\n"),
    ] {
        let played = same_in_pieces(&script(text, Side::Server), heard.as_bytes());
        assert_eq!(String::from_utf8_lossy(&played.said), said, "{text}");
    }
}

#[test]
fn a_batch_ends_at_the_line_that_differs_and_the_account_has_what_was_said_last() {
    for (text, heard, account) in [
        (
            "repeat 9\n  C: x{n=1}\n  S: y\nend\n",
            "y\ny\nz\n",
            ["sent      x1", "expected  y", "received  z", "t.talk:3:6"],
        ),
        (
            "repeat\n  C: {n=a|b|c}\n  S: <{n}>\nend\n",
            "<a>\n<c>\n",
            ["sent      b", "expected  <b>", "received  <c>", "t.talk:3:7"],
        ),
        (
            "eol crlf\nrepeat 9\n  C: x\n  C: xx\n  S: y\nend\n",
            "y\r\ny\r\nyy\r\n",
            ["sent      xx", "expected  y", "received  yy", "t.talk:5:7"],
        ),
        (
            "eol lf\nrepeat 9\n  C: x{0x0d}\n  S: y\nend\n",
            "y\ny\nyy\n",
            ["sent      x{0x0d}", "expected  y", "received  yy", "t.talk:4:7"],
        ),
    ] {
        let played = same_in_pieces(&script(text, Side::Client), heard.as_bytes());
        let ending = played.ending.unwrap();
        for words in account {
            assert!(ending.contains(words), "{text}: {ending}");
        }
    }
}

#[test]
fn a_loop_is_left_after_its_last_round_however_many_lines_come_at_once() {
    let text = "repeat 3\n  C: x\n  S: {_}\nend\nS closes\n";
    let script_of_three = script(text, Side::Client);
    let mut played = Heard::new(&script_of_three);
    played.hear(&script_of_three, b"1\n2\n3\n4\n5\n", false);
    assert_eq!(played.said, b"x\nx\nx\n");
    assert!(played.ending.unwrap().contains("said more than the transcript"));
    let server =
        same_in_pieces(&script("repeat 2\n  C: {q}\n  S: {q}\nend\nC: {r}\nS: end {r}\n", Side::Server), b"1\n2\n3\n");
    assert_eq!(server.said, b"1\n2\nend 3\n");
}

#[test]
fn a_step_says_no_more_than_its_bound_also_in_a_batch() {
    for (text, side, heard) in [
        ("repeat\n  C: {q}\n  S: {q} is what was asked, and this is a long answer\nend\n", Side::Server, "a\n"),
        ("repeat\n  S: {q=a}\n  C: {q} is what was asked, and this is a long answer\nend\n", Side::Client, "a\n"),
        ("repeat 100000\n  C: this is a long question, and it is asked often\n  S: a\nend\n", Side::Client, "a\n"),
    ] {
        let script = script(text, side);
        let mut play = Heard::new(&script);
        let before = play.steps;
        play.hear(&script, heard.repeat(10_000).as_bytes(), false);
        assert!(play.said.len() > 4 * SAID_AHEAD && play.steps - before > 4, "{} {}", play.said.len(), play.steps);
        assert_eq!(play.held, b"");
    }
}

/// Answers longer than what is put together in one piece, next to it and just at its end.
#[test]
fn long_values_are_said_whole_wherever_they_fall() {
    let script = script("repeat\n  C: {q}\n  S: <{q}>, {q} and {q}!\nend\n", Side::Server);
    for length in [0, 1, 15, 16, 17, 40, 1000, 5400, 5460, 5461, 5462, 16_384, 20_000] {
        let value = "v".repeat(length);
        let mut play = Heard::new(&script);
        play.hear(&script, format!("{value}\n{value}\nx\n").as_bytes(), false);
        let answer = format!("<{value}>, {value} and {value}!\n");
        assert_eq!(String::from_utf8_lossy(&play.said), format!("{answer}{answer}<x>, x and x!\n"), "{length}");
    }
}

#[test]
fn each_line_is_told_in_its_order_and_nothing_twice() {
    let text = "S: hi\nrepeat 2\n  C: x\n  C: xx\n  S: y\nend\nin any order\n  S: a\n  S: b\nend\nC raw: z\nS hex: 00\n\
                either\n  S: e\nor\n  S: f\nend\nS closes\n";
    let played = same_in_pieces(&script(text, Side::Client), b"hi\ny\ny\nb\na\n\0f\n");
    let told: String = played.told.0.iter().map(|(sign, line)| format!("{sign}{line} ")).collect();
    assert_eq!(told, ">1 <3 <4 >5 <3 <4 >5 >9 >8 <11 >12 >16 ");
    assert_eq!(played.ending.as_deref(), Some("Left"));
}

fn exchanges(script: &Script, pieces: &[(&[u8], u64)]) -> Vec<(usize, u64, usize, u64)> {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let (mut watch, mut found, mut held) = (Exchanges::default(), Vec::new(), Vec::new());
    let mut take = |watch: &mut Exchanges| {
        let told = |exchange: &Exchange| {
            (exchange.asked, exchange.asked_at.nanos(), exchange.answered, exchange.answered_at.nanos())
        };
        found.extend(watch.finished().iter().map(told));
        watch.clear();
        assert!(watch.finished().is_empty());
    };
    for (piece, at) in std::iter::once(&(&b""[..], 0)).chain(pieces) {
        held.extend_from_slice(piece);
        let input = Input { bytes: &held, datagram: false, ended: false, now: Moment::from_nanos(*at) };
        let step = play.step_watched(script, input, &mut scratch, &mut output, &mut watch);
        held.drain(..step.consumed);
        match step.next {
            Next::End(ending) if ending.is_success() => watch.end(),
            Next::End(_) => watch.abandon(),
            _ => {}
        }
        take(&mut watch);
    }
    watch.end();
    take(&mut watch);
    found
}

#[test]
fn an_exchange_is_from_the_last_of_what_we_say_to_the_last_of_what_they_answer() {
    let smtp = "S: 220 {_}\nC: EHLO {me=x}\nrepeat\n  S: 250-{_}\nend\nS: 250 {_}\nC: QUIT\nS: 221 {_}\n";
    let client = script(smtp, Side::Client);
    let heard: [(&[u8], u64); 5] =
        [(b"220 x\n", 10), (b"250-A\n250-B\n", 20), (b"250-C\n25", 30), (b"0 D\n", 40), (b"221 bye\n", 50)];
    // The greeting answers nothing.
    assert_eq!(exchanges(&client, &heard), [(2, 10, 6, 40), (7, 40, 8, 50)]);
    let at_once: [(&[u8], u64); 1] = [(b"220 x\n250-A\n250 B\n221 bye\n", 10)];
    assert_eq!(exchanges(&client, &at_once), [(2, 10, 6, 10), (7, 10, 8, 10)]);
    // Many of a batch, each for itself, and the last one is told though nothing is said behind it.
    let loops = script("repeat 4\n  C: x\n  C: xx\n  S: y\nend\n", Side::Client);
    let rounds: [(&[u8], u64); 2] = [(b"y\ny\n", 10), (b"y\ny\n", 20)];
    assert_eq!(exchanges(&loops, &rounds), [(2, 0, 4, 10), (2, 10, 4, 10), (2, 10, 4, 20), (2, 20, 4, 20)]);
    // A run that was not answered whole is none.
    assert_eq!(exchanges(&loops, &[(b"y\n", 10), (b"z\n", 20)]), [(2, 0, 4, 10)]);
    assert_eq!(exchanges(&loops, &[]), []);
}

#[test]
fn an_exchange_that_failed_is_no_part_of_the_next_play() {
    let mut watch = Exchanges::default();
    let at = Moment::from_nanos;
    watch.said(1, at(1));
    watch.heard(2, at(2));
    watch.abandon();
    watch.heard(2, at(3));
    watch.said(1, at(4));
    watch.end();
    watch.heard(2, at(5));
    watch.end();
    assert_eq!(watch.finished(), []);
    watch.said(1, at(6));
    watch.said(2, at(7));
    watch.heard(3, at(8));
    watch.heard(4, at(9));
    watch.end();
    watch.end();
    assert_eq!(watch.finished(), [Exchange { asked: 1, asked_at: at(7), answered: 4, answered_at: at(9) }]);
}
