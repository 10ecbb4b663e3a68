//! `together` where messages keep their bounds: what stands in it is one datagram, no more and no less.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::rehearse::rehearse;
use transcript::{
    Carrier, Ending, Fault, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript, Verdict,
};

fn prepare(text: &str, side: Side, carrier: Carrier) -> Script {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
    Script::prepare(&transcript, &PlayOptions::new(side, carrier)).unwrap_or_else(|refused| panic!("{text}{refused}"))
}

/// How a play goes that hears these datagrams: what it says, and how it ends; `None` while it waits.
fn hears(text: &str, side: Side, carrier: Carrier, heard: &[&str]) -> (String, Option<Ending>) {
    let script = prepare(text, side, carrier);
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    // A client speaks before anything came.
    let nothing = std::iter::once(None).filter(|_| side == Side::Client);
    for bytes in nothing.chain(heard.iter().map(Some)) {
        let mut input = Input {
            bytes: bytes.map_or(b"", |bytes| bytes.as_bytes()),
            datagram: bytes.is_some(),
            ended: false,
            now: Moment::default(),
        };
        loop {
            let step = play.step(&script, input, &mut scratch, &mut output);
            input.datagram &= step.left;
            input.bytes = &input.bytes[step.consumed..];
            match step.next {
                Next::End(ending) => return (String::from_utf8(output.bytes).unwrap(), Some(ending)),
                Next::Hear { .. } => break,
                _ => {}
            }
        }
    }
    (String::from_utf8(output.bytes).unwrap(), None)
}

fn failure(text: &str, side: Side, heard: &[&str]) -> Verdict {
    let (said, ending) = hears(text, side, Carrier::Datagram, heard);
    let Some(Ending::Failed(verdict)) = ending else { panic!("{text}{heard:?} is as written: {said:?}") };
    let (_, ending) = hears(text, side, Carrier::Packet, heard);
    let Some(Ending::Failed(packet)) = ending else { panic!("{text}{heard:?}: as packets it is as written") };
    assert_eq!((packet.fault, packet.place.line), (verdict.fault, verdict.place.line));
    *verdict
}

#[track_caller]
fn goes(text: &str, side: Side, heard: &[&str], said: &str) {
    let (all, ending) = hears(text, side, Carrier::Datagram, heard);
    if let Some(Ending::Failed(verdict)) = &ending {
        panic!("{text}{heard:?}\n{}", verdict.render(""));
    }
    assert_eq!(all, said, "{text}{heard:?}");
}

#[test]
fn a_datagram_that_ends_before_its_block_does_is_told() {
    let server = "together\n  C: GET\n  C: HOST\nend\nS: ok\n";
    let verdict = failure(server, Side::Server, &["GET", "HOST"]);
    assert_eq!((verdict.fault, verdict.place.line), (Fault::Differs, 3));
    assert_eq!(verdict.headline(), "the client said something else");
    let account = verdict.render("");
    assert!(
        account.contains("expected  HOST\n") && account.contains("received  (the end of the datagram)\n"),
        "{account}"
    );
    let client = "C: hi\ntogether\n  S: one\n  S: two\nend\nC: bye\n";
    let any_order = "together\n  C: a\n  in any order\n    C: b\n    C: c\n  end\nend\nS: ok\n";
    let headers = "eol crlf\ntogether\n  C: GET\n  repeat\n    C: {_=a}: {_=b}\n  end\n  C:\nend\nS: ok\n";
    let ways = "together\n  C: a\n  either\n    C: b\n  or\n    C: c\n  end\n  C: d\nend\nS: ok\n";
    let left_out = "together\n  C: a\n  either\n    C: b\n  or\n  end\n  C: c\nend\nS: ok\n";
    let branch = "repeat\n  either\n    together\n      C: a\n      C: b\n      C: c\n    end\n    S: ok\n  or\n    C: x\n    S: x\n  end\nend\n";
    let any_time =
        "at any time\n  together\n    C: ping\n    C: {x=a}\n    C: c\n  end\n  S: {x}\nend\nC: hello\nS: ok\nC: x\n";
    for (text, side, heard, line) in [
        (server, Side::Server, &["GET\n", "HOST\n"][..], 3),
        (server, Side::Server, &["GET\r\n", "HOST\r\n"], 3),
        (server, Side::Server, &["GET", "other"], 3),
        (server, Side::Server, &["GET"], 3),
        (client, Side::Client, &["one", "two"], 4),
        ("together\n  C raw: ab\n  C raw: cd\nend\nS: ok\n", Side::Server, &["ab", "cd"], 3),
        ("together\n  C hex: 6162\n  C hex: {n:2 bytes=6364}\nend\nS: ok\n", Side::Server, &["ab", "cd"], 3),
        ("together\n  C: {n:int=2}\n  C raw: {_:n bytes=cd}\nend\nS: ok\n", Side::Server, &["2\n", "cd"], 3),
        ("together\n  C raw: ab\n  C: cd\nend\nS: ok\n", Side::Server, &["ab", "cd"], 3),
        ("repeat 2\n  together\n    C: a\n    C: b\n  end\n  S: ok\nend\n", Side::Server, &["a\nb", "a", "b"], 4),
        ("together\n  repeat 2\n    C: a\n  end\nend\nS: ok\n", Side::Server, &["a", "a"], 3),
        ("together\n  repeat 2\n    C raw: ab\n  end\nend\nS: ok\n", Side::Server, &["ab", "ab"], 3),
        (any_order, Side::Server, &["a\nc", "b"], 4),
        (headers, Side::Server, &["GET\r\nA: b\r\n", "\r\n"], 7),
        (headers, Side::Server, &["GET\r\n", "A: b\r\n\r\n"], 7),
        (ways, Side::Server, &["a", "b\nd"], 4),
        (ways, Side::Server, &["a\nc", "d"], 8),
        (left_out, Side::Server, &["a", "c"], 4),
        (left_out, Side::Server, &["a\nb", "c"], 7),
        (branch, Side::Server, &["x", "a\nb", "c"], 6),
        (any_time, Side::Server, &["ping\n1", "c"], 5),
    ] {
        let verdict = failure(text, side, heard);
        assert_eq!(
            (verdict.fault, verdict.place.line),
            (Fault::Differs, line),
            "{text}{heard:?}{}",
            verdict.render("")
        );
    }
}

#[test]
fn one_datagram_of_all_its_lines_is_as_written() {
    let raw_in_any_order: String = (0..10).map(|n| format!("    C raw: m{n};\n")).collect();
    let raw = format!("together\n  C: a\n  in any order\n{raw_in_any_order}  end\nend\nS: ok\n");
    for (text, heard, said) in [
        ("together\n  C: GET\n  C: HOST\nend\nS: ok\n", &["GET\nHOST"][..], "ok"),
        ("together\n  C: GET\n  C: HOST\nend\nS: ok\n", &["GET\nHOST\n"], "ok\n"),
        ("together\n  C raw: ab\n  C raw: cd\nend\nS: ok\n", &["abcd"], "ok"),
        // What is empty needs no more bytes.
        ("together\n  C: {n:int=0}\n  C raw: {_:n bytes=}\nend\nS: ok\n", &["0"], "ok"),
        ("together\n  C: a\n  in any order\n    C: b\n    C: c\n  end\nend\nS: ok\n", &["a\nc\nb"], "ok"),
        (&raw, &["a\nm3;m1;m2;m9;m8;m7;m6;m5;m4;m0;"], "ok\n"),
    ] {
        goes(text, Side::Server, heard, said);
    }
}

/// What may be left out at the end of a block: the datagram's end tells that it was.
#[test]
fn what_may_be_left_out_at_the_end_of_a_datagram_is_left_out_with_its_end() {
    let next = "C: hi\ntogether\n  S: a\n  either\n    S: b\n  or\n  end\nend\nS: {c:/[a-z]/=c}\nC: {c}\n";
    goes(next, Side::Client, &["a\nb", "c"], "hic");
    goes(next, Side::Client, &["a", "c"], "hic");
    // A line of the next datagram is none of this one, even where it looks like one.
    goes(next, Side::Client, &["a", "b"], "hib");
    assert_eq!(failure(next, Side::Client, &["a", "b\nc"]).fault, Fault::Differs);
    assert_eq!(failure(next, Side::Client, &["a\nc"]).fault, Fault::Differs);
    let rounds = "C: hi\nrepeat\n  together\n    S: a\n    repeat\n      S: {x=b}\n    end\n  end\nend\n";
    goes(rounds, Side::Client, &["a\n1\n2", "a", "a\n3"], "hi");
    assert_eq!(failure(rounds, Side::Client, &["a\n1\n2", "3"]).place.line, 4);
    let last = "C: hi\ntogether\n  S: a\n  either\n    S: b\n  or\n  end\nend\n";
    for heard in ["a", "a\nb"] {
        let (_, ending) = hears(last, Side::Client, Carrier::Datagram, &[heard]);
        assert!(matches!(ending, Some(Ending::Done)), "{heard}: {ending:?}");
    }
    let raw = "C: hi\ntogether\n  S raw: a\n  either\n    S raw: b\n  or\n  end\nend\nS raw: {c:1 bytes=c}\nC: {c}\n";
    goes(raw, Side::Client, &["ab", "c"], "hic");
    goes(raw, Side::Client, &["a", "b"], "hib");
}

/// What comes at any time while a block of one datagram is awaited is no part of it.
#[test]
fn what_comes_at_any_time_before_a_datagram_of_several_lines_begins_none_of_it() {
    for form in ["C", "C raw", "C hex"] {
        let [ping, a, b] = match form {
            "C hex" => ["70696e67", "61", "62"],
            _ => ["ping", "a", "b"],
        };
        let text = format!(
            "at any time\n  {form}: {ping}\n  S: pong\nend\nC: x\nS: y\ntogether\n  {form}: {a}\n  {form}: {b}\nend\nS: ok\n"
        );
        let whole = if form == "C" { "a\nb" } else { "ab" };
        let (said, ending) = hears(&text, Side::Server, Carrier::Datagram, &["x", "ping", "ping", whole]);
        assert!(!matches!(ending, Some(Ending::Failed(_))), "{text}: {ending:?}");
        assert_eq!(said, "ypongpongok", "{text}");
        assert_eq!(failure(&text, Side::Server, &["x", "ping", "a", "b"]).place.line, 9);
    }
}

#[test]
fn both_ends_agree_where_a_block_of_a_datagram_ends() {
    for text in [
        "C: hi\ntogether\n  S: a\n  either\n    S: b\n  or\n  end\nend\nS: c\nC: d\n",
        "C: hi\nrepeat 3\n  together\n    S: a\n    repeat\n      S: x{_=1|2}\n    end\n  end\nend\nS: c\n",
        "C: hi\ntogether\n  S: a\n  repeat 2\n    S: b\n  end\nend\ntogether\n  S: a\n  S: b\nend\n",
        "C: hi\ntogether\n  S hex: 01\n  S hex: {n:u8=2}\n  S hex: {_:n bytes=0102}\nend\nC: d\n",
    ] {
        let ends = [Side::Client, Side::Server].map(|side| prepare(text, side, Carrier::Datagram));
        let played = rehearse(&ends[0], &ends[1], |all| all);
        for ending in [&played.client, &played.server] {
            if let Ending::Failed(verdict) = ending {
                panic!("{text}{}", verdict.render(""));
            }
        }
        assert!(played.finished, "{text}");
    }
}
