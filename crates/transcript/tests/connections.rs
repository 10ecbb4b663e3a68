//! Plays of several connections: one after the other, two at once, and to ports that one side tells the other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use transcript::rehearse::rehearse;
use transcript::{
    Carrier, Ending, Fault, FaultKind, Input, Moment, Next, Output, Play, PlayOptions, Scratch, Script, Side,
    Transcript,
};

fn parse(text: &str) -> Transcript {
    Transcript::parse("test.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"))
}

fn prepare(text: &str, side: Side) -> Script {
    Script::prepare(&parse(text), &PlayOptions::new(side, Carrier::Stream))
        .unwrap_or_else(|refused| panic!("{refused}"))
}

fn refusal(text: &str) -> String {
    let parsed = Transcript::parse("test.talk", text.as_bytes(), &[]);
    let refused = parsed.and_then(|transcript| {
        let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream));
        prepare(Side::Server).and_then(|_| prepare(Side::Client))
    });
    refused.expect_err(text).to_string()
}

/// What both ends say to each other, however the bytes are cut.
#[track_caller]
fn said(text: &str) -> (String, String) {
    let [client, server] = [Side::Client, Side::Server].map(|side| prepare(text, side));
    let mut all = Vec::new();
    for most in [usize::MAX, 1, 3] {
        let rehearsal = rehearse(&client, &server, |waiting| waiting.min(most));
        assert!(rehearsal.finished, "{text}");
        for ending in [&rehearsal.client, &rehearsal.server] {
            if let Ending::Failed(verdict) = ending {
                panic!("{text}\n{}", verdict.render(""));
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        all.push((text(rehearsal.from_client), text(rehearsal.from_server)));
    }
    all.dedup();
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

const GREYLIST: &str = "S: 220 hi\nC: HELO {me=client}\nS: 450 {id=abc}\nS closes\nC waits 300s\nC connects\nS: 220 hi\nC: HELO {me}\n\
                        S: 250 {id}\nC: QUIT\nS closes\n";

#[test]
fn the_play_goes_on_in_the_next_connection_and_keeps_its_values() {
    assert_eq!(
        said(GREYLIST),
        ("HELO client\nHELO client\nQUIT\n".into(), "220 hi\n450 abc\n220 hi\n250 abc\n".into())
    );
}

#[test]
fn every_way_to_end_a_connection_may_stand_before_the_next() {
    let one = ["S: b\nC closes", "S: b\nS closes", "S: b\nC resets", "S resets", "C stops sending\nS: rest\nS closes"];
    for end in one {
        let text = format!("C: a\n{end}\nC connects\nC: c\n{end}\nC connects\nS: bye\n");
        let (client, server) = said(&text);
        assert!(client == "a\nc\n" && server.ends_with("bye\n"), "{text}: {server}");
    }
}

#[test]
fn a_loop_may_open_and_close_a_connection_in_each_round() {
    let text = "S: hi\nS closes\nrepeat 3\n  C connects\n  C: {n=1|2|3}\n  S: {n}\n  S closes\nend\n";
    assert_eq!(said(text), ("1\n2\n3\n".into(), "hi\n1\n2\n3\n".into()));
    let text = "repeat\n  C: {n=1|2}\n  S: {n}\n  C closes\n  C connects\nend\nC: end\nS closes\n";
    assert_eq!(said(text), ("1\n2\nend\n".into(), "1\n2\n".into()));
    // A branch that ends the play ends it.
    let text =
        "repeat\n  either\n    C: next\n    S closes\n    C connects\n  or\n    C: end\n    S closes\n  end\nend\n";
    let transcript = Transcript::parse("test.talk", text.as_bytes(), &[]).unwrap();
    let options = PlayOptions::new(Side::Client, Carrier::Stream);
    assert!(Script::prepare(&transcript, &options).unwrap().spans());
}

#[test]
fn two_connections_at_once_have_their_values_in_common() {
    let text = "C: IDLE\nS: + go on\nC2 connects\nS2: OK {id=7}\nC2: APPEND\nS2: done\nS: {id} EXISTS\nC: DONE\nC2: BYE\nS2 closes\n\
                S: OK\nC: LOGOUT\nS closes\n";
    let (client, server) = said(text);
    assert_eq!(client, "IDLE\nAPPEND\nDONE\nBYE\nLOGOUT\n");
    assert_eq!(server, "+ go on\nOK 7\ndone\n7 EXISTS\nOK\n");
    // What is open when the play ends is closed with it, and one that was closed may be opened again.
    said("C2 connects\nC9 connects\nC9: nine\nS2: two\nC2 closes\nC2 connects\nC: one\nS2: two again\n");
    // Blocks go over one connection each.
    said("C2 connects\nrepeat\n  C2: {n=a|b}\n  S: {n}\n  S2: ok\nend\nC2: end\nS: bye\nS closes\n");
    said("C2 connects\nin any order\n  S2: a\n  S2: b\nend\ntogether\n  C: x\n  C: y\nend\nmaybe\n  S: z\nend\nS: w\n");
    said("C2 connects\neither\n  C2: a\n  S: to a\nor\n  C2: b\n  S2: to b\nend\nC: end\n");
}

#[test]
fn a_port_that_one_side_says_is_where_the_other_connects_to() {
    let passive =
        "C: EPSV\nS: 229 (|||{port}|)\nC2 connects to {port}\nC: RETR\nS: 150\nS2: hello\nS2 closes\nS: 226\n";
    assert_eq!(said(passive).1, "229 (|||50001|)\n150\nhello\n226\n");
    let written = "C: PASV\nS: 227 (127,0,0,1,{port:p1,p2})\nC2 connects to {port}\nS2: hello\nS2 closes\nS: 226\n";
    assert_eq!(said(written).1, "227 (127,0,0,1,195,81)\nhello\n226\n");
    let active = "C: PORT 127,0,0,1,{port:p1,p2}\nS: 200\nS2 connects to {port}\nS2: hello\nS2 closes\nS: 226\n";
    assert_eq!(said(active), ("PORT 127,0,0,1,195,81\n".into(), "200\nhello\n226\n".into()));
    // Each transfer has a port of its own.
    said("repeat 3\n  C: PASV\n  S: 227 {port}\n  C2 connects to {port}\n  C2: data\n  C2 closes\n  S: 226\nend\n");
}

#[test]
fn what_is_wrong_with_connections_is_told_before_anything_is_played() {
    for (text, why) in [
        ("C connects\nC: a\n", "test.talk:1:1\n 1 | C connects"),
        ("C: a\nC connects\nC: b\n", "the first connection is open already"),
        ("C2: a\n", "connection 2 is not open here"),
        ("C2 connects\nC2 closes\nC2: a\n", "connection 2 is not open here"),
        ("C2 connects\nC: a\nC2 connects\n", "connection 2 is open already"),
        ("C: a\nS closes\nS connects\nC: b\n", "a server does not know where to connect to"),
        ("C: a\nS closes\nC connects to there\nC: b\n", "`there` is not the name of a port"),
        ("C: a\nS closes\nC connects later\nC: b\n", "`later` says nothing about a connection"),
        ("C: a\nS closes\nC connects to {port}\nC: b\n", "{port} has no value yet"),
        ("C: {port=7}\nC2 connects to {port}\nC2: b\n", "is not said by it"),
        ("S: {port=7}\nC2 connects to {port}\nC2: b\n", "has no default"),
        ("set port = 7\nC: a\nC2 connects to {port}\nC2: b\n", "the server must listen at port {port}"),
        ("repeat\n  C connects\n  C: a\nend\n", "the first connection is open already"),
        (
            "C: a\nS closes\nrepeat\n  C connects\n  C: a\n  S closes\nend\nC connects\nC: b\n",
            "`connects` cannot begin a way",
        ),
        (
            "C2 connects\nrepeat 2\n  C: a\n  C2 closes\nend\n",
            "a round ends with other connections than it begins with",
        ),
        (
            "C2 connects\neither\n  C: a\n  C2 closes\nor\n  C: b\nend\nC: c\n",
            "some ways from here leave a connection open",
        ),
        ("C2 connects\neither\n  C: a\nor\n  C2: b\nend\n", "over different connections"),
        ("C2 connects\nrepeat\n  C: a\nend\nC2: b\n", "over different connections"),
        ("C2 connects\nin any order\n  S: a\n  S2: b\nend\n", "lines of one side only"),
        (
            "C2 connects\nat any time\n  S2: PING\n  C2: PONG\nend\nC: x\nS: y\n",
            "`at any time` is about one connection",
        ),
        ("C1: a\n", "the first connection has no number: write `C`"),
        ("S10: a\n", "a play has at most 9 of them"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(why), "{text}\n{refused}");
    }
    let over_datagrams = PlayOptions::new(Side::Client, Carrier::Datagram);
    let refused =
        Script::prepare(&parse("C: a\nS closes\nC connects\nC: b\n"), &over_datagrams).unwrap_err().to_string();
    assert!(refused.contains("`connects` has no meaning over datagrams"), "{refused}");
}

#[test]
fn what_stands_behind_an_end_is_a_warning_only_where_nothing_comes_next() {
    let warnings =
        |text: &str| parse(text).warnings().iter().map(|warning| warning.message.clone()).collect::<Vec<_>>();
    assert_eq!(warnings(GREYLIST), Vec::<String>::new());
    assert_eq!(warnings("C2 connects\nC2: a\nC2 closes\nC: b\nS closes\n"), Vec::<String>::new());
    assert_eq!(warnings("C: a\nC closes\nC waits 50ms\n"), ["nothing is played behind `C closes`"]);
    assert_eq!(warnings("C: a\nC closes\nset x = y\nC: {x}\n"), ["nothing is played behind `C closes`"]);
}

fn step(play: &mut Play, script: &Script, bytes: &[u8], ended: bool, now: Moment) -> (Next, Vec<u8>) {
    let (mut scratch, mut output) = (Scratch::new(), Output::default());
    let input = Input { bytes, datagram: false, ended, now };
    let next = play.step(script, input, &mut scratch, &mut output).next;
    (next, output.bytes)
}

#[test]
fn who_waits_for_a_connection_does_so_for_its_time_and_the_pauses_and_then_tells_the_line() {
    let script = prepare(GREYLIST, Side::Server).waiting(Duration::from_secs(5));
    let (mut play, start) = (script.play(), Moment::default());
    assert!(matches!(step(&mut play, &script, b"", false, start), (Next::Hear { .. }, _)));
    let (next, said) = step(&mut play, &script, b"HELO x\n", false, start);
    assert!(matches!(next, Next::End(Ending::GoesOn { by_reset: false })), "{next:?}");
    assert_eq!((said, play.connection()), (b"450 abc\n".to_vec(), None));
    let (next, _) = step(&mut play, &script, b"", false, start);
    let late = start.after(Duration::from_secs(305));
    assert!(matches!(next, Next::Accept { connection: 1, has_port: false, until: Some(at) } if at == late), "{next:?}");
    let mut again = play.clone();
    let Ending::Failed(verdict) = play.not_connected(&script, Duration::from_secs(305), &mut Scratch::new()) else {
        panic!("it did not fail");
    };
    assert_eq!((verdict.fault.kind(), verdict.place.line), (FaultKind::NothingCame, 6));
    let account = verdict.render("");
    assert!(account.contains("the client opened no connection within 305 s: `C connects`"), "{account}");
    // What came over the first one is not heard over the second.
    assert_eq!(step(&mut again, &script, b"", false, late).1, b"220 hi\n");
    assert_eq!(again.connection(), Some(1));
    let (next, _) = step(&mut again, &script, b"HELO y\n", false, late);
    assert!(matches!(next, Next::End(Ending::Failed(_))), "{next:?}");
}

#[test]
fn what_is_no_port_is_not_connected_to() {
    let script = prepare("S: {port}\nC2 connects to {port}\nS2: x\n", Side::Client);
    for (line, port) in [("65536\n", None), ("0\n", None), ("x\n", None), ("21\n", Some(21))] {
        let mut play = script.play();
        let (next, _) = step(&mut play, &script, line.as_bytes(), false, Moment::default());
        match (next, port) {
            (Next::Connect { connection: 2, port: to }, port) if port.is_some() => assert_eq!(to, port),
            (Next::End(Ending::Failed(verdict)), None) => {
                assert_eq!((verdict.fault, verdict.place.line), (Fault::NotAPort, 2));
                assert!(verdict.headline().contains("which is no port"), "{}", verdict.headline());
            }
            (next, _) => panic!("{line}: {next:?}"),
        }
    }
}

#[test]
fn a_script_tells_whether_it_has_several_connections() {
    for (text, spans) in [
        ("C: a\nS: b\nS closes\n", false),
        ("repeat 2\n  C: C2 connects\n  S: b\nend\n", false),
        ("C: a\nS closes\nC connects\nC: b\n", true),
        ("C2 connects\nC2: a\nS: b\n", true),
    ] {
        for side in [Side::Client, Side::Server] {
            assert_eq!(prepare(text, side).spans(), spans, "{text}");
        }
    }
}

#[test]
fn a_connection_that_is_opened_behind_a_counted_loop_is_part_of_the_play() {
    for (text, client) in [
        ("C: a\nS closes\nrepeat 2\n  C connects\n  C: b\n  S closes\nend\nC connects\nC: c\n", "a\nb\nb\nc\n"),
        ("repeat 1\n  C: a\n  C closes\nend\nC connects\nC: c\n", "a\nc\n"),
        ("repeat 1\n  C: a\n  S resets\nend\nset x = c\nC connects\nC: {x}\n", "a\nc\n"),
    ] {
        assert_eq!(said(text).0, client, "{text}");
    }
}

#[test]
fn help_names_the_words_that_open_and_end_the_connection_in_question() {
    for (text, help) in [
        ("C2: a\n", "write `C2 connects` above this line"),
        ("C2 connects\nC closes\nS: a\n", "write `C connects` above this line"),
        ("C2 connects\nS3: a\n", "write `C3 connects` above this line"),
        ("C: a\nC connects\nC: b\n", "end it before: `C closes`"),
        ("C2 connects\nC: a\nC2 connects\n", "end it before: `C2 closes`"),
        ("C2 connects\nC2: a\nS2 connects to {port}\n", "end it before: `S2 closes`"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(help), "{text}\n{refused}");
    }
}
