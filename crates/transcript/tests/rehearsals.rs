//! Every transcript that is shipped, and many small ones, are played by two players against each other: whole, one byte
//! at a time, and in random pieces.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ending;

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use ending::assert_went_as_written;
use proptest::prelude::*;
use transcript::rehearse::{Rehearsal, rehearse};
use transcript::{Carrier, Ending, Fault, File, Files, PlayOptions, Script, Side, Transcript};

/// The folder of the shipped ones, which include each other.
#[derive(Debug)]
struct Shipped;

#[derive(Debug)]
struct Disk(std::fs::File);

impl Files for Shipped {
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Disk(std::fs::File::open(folder().join(path))?)))
    }
}

impl File for Disk {
    fn len(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../transcripts")
}

fn parse(name: &str, text: &str) -> Transcript {
    Transcript::parse_with(name, text.as_bytes(), &[], Some(&Shipped)).unwrap_or_else(|refused| panic!("{refused}"))
}

fn prepare(transcript: &Transcript, side: Side, carrier: Carrier) -> Script {
    Script::prepare(transcript, &PlayOptions::new(side, carrier)).unwrap_or_else(|refused| panic!("{refused}"))
}

/// Both ends of a text on a stream, so many bytes at a time.
fn play(text: &str, pieces: impl FnMut(usize) -> usize) -> Rehearsal {
    let transcript = parse("test.talk", text);
    let client = prepare(&transcript, Side::Client, Carrier::Stream);
    let server = prepare(&transcript, Side::Server, Carrier::Stream);
    rehearse(&client, &server, pieces)
}

/// What both said, when it went as written however the bytes were cut.
#[track_caller]
fn said(text: &str) -> (String, String) {
    let whole = play(text, |all| all);
    assert_went_as_written(&whole);
    let single = play(text, |_| 1);
    assert_went_as_written(&single);
    assert_eq!(whole.from_client, single.from_client);
    assert_eq!(whole.from_server, single.from_server);
    (String::from_utf8(whole.from_client).unwrap(), String::from_utf8(whole.from_server).unwrap())
}

fn shipped() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "talk"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    found.sort();
    assert!(found.len() >= 2);
    found
}

#[test]
fn every_shipped_transcript_passes_against_itself_over_every_carrier_it_can_be_played_on() {
    for (name, text) in shipped() {
        let transcript = parse(&name, &text);
        let mut played = 0;
        for carrier in [Carrier::Stream, Carrier::Datagram] {
            let script = |side| Script::prepare(&transcript, &PlayOptions::new(side, carrier));
            let (Ok(client), Ok(server)) = (script(Side::Client), script(Side::Server)) else { continue };
            played += 1;
            assert_went_as_written(&rehearse(&client, &server, |all| all));
            assert_went_as_written(&rehearse(&client, &server, |_| 1));
        }
        assert!(played > 0, "{name} can be played over nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_pieces_change_nothing(cuts in proptest::collection::vec(1..9_usize, 1..64)) {
        for (name, text) in shipped() {
            let transcript = parse(&name, &text);
            let script = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream));
            let (Ok(client), Ok(server)) = (script(Side::Client), script(Side::Server)) else { continue };
            let whole = rehearse(&client, &server, |all| all);
            let mut next = cuts.iter().cycle();
            let pieces = rehearse(&client, &server, |_| next.next().copied().unwrap_or(1));
            prop_assert!(pieces.is_success());
            prop_assert_eq!(whole.from_client, pieces.from_client);
            prop_assert_eq!(whole.from_server, pieces.from_server);
        }
    }

    #[test]
    fn a_server_survives_whatever_a_client_sends(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (name, text) in shipped() {
            let transcript = parse(&name, &text);
            let Ok(server) = Script::prepare(&transcript, &PlayOptions::new(Side::Server, Carrier::Stream)) else { continue };
            let mut ends = Vec::new();
            for size in [usize::MAX, 1, 7] {
                ends.push(feed(&server, &bytes, size));
            }
            prop_assert_eq!(&ends[0], &ends[1]);
            prop_assert_eq!(&ends[0], &ends[2]);
        }
    }

    #[test]
    fn the_parser_takes_any_text(text in "\\PC*", junk in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Transcript::parse("junk", text.as_bytes(), &[]);
        let _ = Transcript::parse("junk", &junk, &[]);
    }

    #[test]
    fn the_parser_takes_any_statements(lines in proptest::collection::vec(
        prop_oneof!["C: [a-c{}:=|]{0,8}", "S: \\{[a-c]{1}(=[ab]|:int|:word)?\\}", "S hex: [0-9a-f ]{0,6}", "(C|S) (closes|stops sending|resets|waits 1ms)",
            "repeat( [0-3])?", "either", "or", "end", "set [ab] = [xy]", "together", "gap 1ms", "eol (any|lf|none)"], 0..24)) {
        let text = lines.join("\n");
        if let Ok(transcript) = Transcript::parse("junk", text.as_bytes(), &[]) {
            for carrier in [Carrier::Stream, Carrier::Datagram] {
                let script = |side| Script::prepare(&transcript, &PlayOptions::new(side, carrier));
                if let (Ok(client), Ok(server)) = (script(Side::Client), script(Side::Server)) {
                    let _ = rehearse(&client, &server, |_| 1);
                }
            }
        }
    }
}

/// Everything a server says to these bytes, given in pieces, and whether it called the play a success.
fn feed(script: &Script, bytes: &[u8], size: usize) -> (Vec<u8>, bool) {
    use transcript::{Input, Moment, Next, Output, Scratch};
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let (mut buffer, mut said, mut come) = (Vec::new(), Vec::new(), 0);
    loop {
        let next = size.min(bytes.len() - come);
        buffer.extend_from_slice(&bytes[come..come + next]);
        come += next;
        let ended = come == bytes.len();
        let input = Input { bytes: &buffer, datagram: false, ended, now: Moment::default() };
        let step = play.step(script, input, &mut scratch, &mut output);
        buffer.drain(..step.consumed);
        said.append(&mut output.bytes);
        match step.next {
            Next::End(ending) => return (said, ending.is_success()),
            Next::Hear { .. } if ended => panic!("it waits for more than everything"),
            _ => {}
        }
    }
}

#[test]
fn defaults_are_said_in_turn_and_the_loop_is_left_after_the_longest_list() {
    let (client, server) =
        said("S: Welcome!\nrepeat\n  C: {name=Michael|Tracy|Sarah}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n");
    assert_eq!(client, "Michael\nTracy\nSarah\nexit\n");
    assert_eq!(server, "Welcome!\nHello, Michael!\nHello, Tracy!\nHello, Sarah!\n");
}

#[test]
fn shorter_lists_wrap_and_inner_loops_start_again() {
    let (client, _) = said("repeat\n  C: {a=1|2} {b=x|y|z}\n  repeat\n    C: - {c=p|q}\n  end\n  C: .\nend\nC: done\n");
    assert_eq!(client, "1 x\n- p\n- q\n.\n2 y\n- p\n- q\n.\n1 z\n- p\n- q\n.\ndone\n");
}

#[test]
fn an_either_in_a_loop_is_taken_branch_by_branch() {
    let (client, _) = said(
        "repeat\n  either\n    C: get {key=a|b}\n    S: value\n  or\n    C: put\n    S: ok\n  end\nend\nC: quit\n",
    );
    assert_eq!(client, "get a\nget b\nput\nquit\n");
}

#[test]
fn outside_a_loop_the_first_branch_that_can_be_said_is_taken() {
    let (client, _) = said("either\n  C: a {x=1}\nor\n  C: b\nend\nS: ok\n");
    assert_eq!(client, "a 1\n");
    let transcript = parse("t.talk", "either\n  C: a {x}\nor\n  C: b\nend\nS: ok\n");
    let client = prepare(&transcript, Side::Client, Carrier::Stream);
    let server = prepare(&transcript, Side::Server, Carrier::Stream);
    let played = rehearse(&client, &server, |all| all);
    assert_went_as_written(&played);
    assert_eq!(played.from_client, b"b\n");
}

#[test]
fn a_loop_goes_round_until_all_is_said_that_stands_directly_in_it() {
    for (body, rounds) in [
        ("C: a\nS: ok\n", "a\n"),
        ("C: {a=1|2|3} {b=x|y}\nS: ok\n", "1 x\n2 y\n3 x\n"),
        ("C: {a=1|2}\nS: ok\nC: {b=x|y|z}\nS: ok\n", "1\nx\n2\ny\n1\nz\n"),
        // What the other side says does not count.
        ("C: a\nS: {x=1|2|3}\n", "a\n"),
        ("C: {a=1|2}\nS: {x=1|2|3}\n", "1\n2\n"),
        ("together\n  C: {a=1|2}\n  C: b\nend\nS: ok\n", "1\nb\n2\nb\n"),
        ("in any order\n  C: b\n  C: {a=1|2}\nend\nS: ok\n", "b\n1\nb\n2\n"),
        // What may be left out is left out once.
        ("C: a\nmaybe\n  C: {m=1|2}\nend\nS: ok\n", "a\n1\na\n2\na\n"),
        ("C: a\nmaybe\n  S: {m:int=1|2|3}\nend\nS: ok\n", "a\n"),
        // Of ways of its own all are taken, and of those of the other side the longest decides.
        ("either\n  C: {a:int=1|2}\nor\n  C: b\nend\nS: ok\n", "1\n2\nb\n"),
        ("C: {c=p|q|r|s}\neither\n  C: {a:int=1|2}\nor\n  C: b\nend\nS: ok\n", "p\n1\nq\n2\nr\nb\ns\n1\n"),
        ("C: a\neither\n  S: 1\n  C: {x=p|q}\nor\n  S: 2\n  C: {y=p|q|r}\nend\n", "a\np\na\np\na\nq\n"),
        ("C: {k=1|2}\nchoose {k}\nis 1\n  C: {x=p|q|r}\nelse\n  C: y\nend\nS: ok\n", "1\np\n2\ny\n1\nq\n"),
        // A loop inside goes round on its own.
        ("C: a\nrepeat 2\n  C: {b=1|2|3}\nend\nS: ok\n", "a\n1\n2\n"),
        ("C: {a=x|y}\nS: ok\nrepeat\n  C: {b=1|2|3}\n  S: ok\nend\nC: .\n", "x\n1\n2\n3\n.\ny\n1\n2\n3\n.\n"),
    ] {
        let (client, _) = said(&format!("repeat\n{body}end\nC: z\n"));
        assert_eq!(client, format!("{rounds}z\n"), "{body}");
    }
}

#[test]
fn a_counted_loop_is_exact_even_where_a_choice_ends_its_round() {
    let (client, server) = said("repeat 3\n  C: again\n  repeat\n    C: item {n=1|2}\n  end\nend\nC: done\nS: bye\n");
    assert_eq!(client, format!("{}done\n", "again\nitem 1\nitem 2\n".repeat(3)));
    assert_eq!(server, "bye\n");
}

#[test]
fn a_captured_name_stands_for_its_value_from_then_on() {
    let (client, server) = said("C: hello {who=Ann}\nS: {greeting=Hi} {who}, {who}!\nC: {greeting} back\n");
    assert_eq!(client, "hello Ann\nHi back\n");
    assert_eq!(server, "Hi Ann, Ann!\n");
}

#[test]
fn a_set_name_is_a_value_and_never_captured() {
    let (client, server) =
        said("set user = mrose\nC: USER {user}\nS: +OK {user} {count:int=2}\nset user = {count}x\nC: {user}\n");
    assert_eq!(client, "USER mrose\n2x\n");
    assert_eq!(server, "+OK mrose 2\n");
}

#[test]
fn an_http_exchange_lets_unnamed_headers_through() {
    let (client, server) = said(
        "eol crlf\nset body = {\"ok\":true}\nC: GET /status HTTP/1.1\nrepeat\n  C: {_=Host: localhost}\nend\nC:\n\
         S: HTTP/1.1 200 {_=OK}\nrepeat\n  either\n    S: Content-Length: 11\n  or\n    S: {_=Content-Type: application/json}\n  end\nend\n\
         S:\nS raw: {body}\nS closes\n",
    );
    assert_eq!(client, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(server, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Type: application/json\r\n\r\n{\"ok\":true}");
}

#[test]
fn an_smtp_session_passes_against_itself() {
    let text = "eol crlf\nS: 220 {_=mail.example ready}\nC: EHLO {me=client.example}\nrepeat\n  S: 250-{_=PIPELINING}\nend\n\
        S: 250 {_=SIZE 1000000}\nC: MAIL FROM:<{from=ann@a.example}>\nS: 250 {_=OK}\nC: DATA\nS: 354 {_=go ahead}\nrepeat\n\
        \x20 C: {line=Hello Bob}\nend\nC: .\nS: 250 {_=queued}\nC: QUIT\nS: 221 {_=bye}\nS closes\n";
    let (client, _) = said(text);
    assert!(client.ends_with("DATA\r\nHello Bob\r\n.\r\nQUIT\r\n"), "{client}");
}

#[test]
fn hex_and_raw_messages_are_exact_bytes() {
    let rehearsal = play(
        "C hex: 10 10 0004 4d515454\nS hex: 20 02 {flag:1 bytes=00} 00\nC raw: ping {n:int=7};\nS raw: {n}\nC closes\n",
        |_| 1,
    );
    assert_went_as_written(&rehearsal);
    assert_eq!(rehearsal.from_client, b"\x10\x10\x00\x04MQTTping 7;");
    assert_eq!(rehearsal.from_server, b"\x20\x02\x00\x007");
}

#[test]
fn half_close_pause_and_reset_go_as_written() {
    said("C: question\nC stops sending\nS waits 50ms\nS: answer\nS closes\n");
    said("C: one\nC waits 2s\nC: two\nS: ok\nC resets\n");
}

#[test]
fn what_was_said_before_a_reset_is_read_first() {
    for (text, from_client, from_server) in [
        ("C: QUIT\nS: 221 bye\nS resets\n", "QUIT\n", "221 bye\n"),
        ("C: a\nC resets\n", "a\n", ""),
        ("S: a\nC: b\nC: c\nC resets\n", "b\nc\n", "a\n"),
        ("C: a\nS: b\nC waits 20ms\nS resets\n", "a\n", "b\n"),
        ("C: a\nS: b\nS resets\nC connects\nC: c\nC resets\n", "a\nc\n", "b\n"),
        ("repeat\n  C: a\n  S: b\nend\nC: c\nS: d\nS resets\n", "c\n", "d\n"),
        ("C: a\neither\n  S: b\n  S resets\nor\n  S closes\nend\n", "a\n", "b\n"),
        ("C: a\nS raw: no line\nS resets\n", "a\n", "no line"),
        ("C2 connects\nC2: b\nC2 resets\nC: a\nS: c\nS resets\n", "b\na\n", "c\n"),
    ] {
        let said = said(text);
        assert!(said.0.ends_with(from_client) && said.1.ends_with(from_server), "{text}: {said:?}");
    }
}

#[test]
fn a_reset_behind_less_than_was_awaited_is_told_as_one() {
    for (client, server) in [
        ("C: a\nS: b\nS: c\n", "C: a\nS: b\nS resets\n"),
        ("C: a\nS: bc\n", "C: a\nS raw: b\nS resets\n"),
        ("C: a\nS: b\nS closes\n", "C: a\nS: b\nS resets\n"),
        ("C: a\nS: b\nstarttls\n", "C: a\nS: b\nS resets\n"),
    ] {
        let [one, other] = [(client, Side::Client), (server, Side::Server)]
            .map(|(text, side)| prepare(&parse("test.talk", text), side, Carrier::Stream));
        for rehearsal in [rehearse(&one, &other, |all| all), rehearse(&one, &other, |_| 1)] {
            assert!(rehearsal.server.is_success() && rehearsal.finished, "{server}");
            let Ending::Failed(verdict) = &rehearsal.client else { panic!("{client}: {:?}", rehearsal.client) };
            assert_eq!(verdict.fault, Fault::Reset, "{client}");
        }
    }
}

#[test]
fn endings_follow_the_setting() {
    assert_eq!(said("eol crlf\nC: a\nS: b\n"), ("a\r\n".into(), "b\r\n".into()));
    assert_eq!(said("eol lf\nC: a{0x0d}\nS: b\n"), ("a\r\n".into(), "b\n".into()));
    assert_eq!(said("eol none\ngap 10ms\nC: a\nS: b\n"), ("a".into(), "b".into()));
}

#[test]
fn together_is_one_datagram_and_elsewhere_changes_nothing() {
    let text = "repeat\n  C: {x=1|2}\n  together\n    S: a {x}\n    S: b\n  end\nend\n";
    let transcript = parse("t.talk", text);
    let client = prepare(&transcript, Side::Client, Carrier::Datagram);
    let server = prepare(&transcript, Side::Server, Carrier::Datagram);
    let played = rehearse(&client, &server, |all| all);
    assert_went_as_written(&played);
    assert_eq!(played.from_server, b"a 1\nba 2\nb");
    said(text);
    let hex = "C: x\ntogether\n  S hex: 01 {_:2 bytes=0203}\n  S hex: 04\nend\nC: y\n";
    let other = "C: x\ntogether\n  S hex: 01 0203\n  S hex: 04 05\nend\nC: y\n";
    let prepared = |text: &str, side| prepare(&parse("t.talk", text), side, Carrier::Datagram);
    let played = rehearse(&prepared(hex, Side::Client), &prepared(hex, Side::Server), |all| all);
    assert_went_as_written(&played);
    let differs = rehearse(&prepared(hex, Side::Client), &prepared(other, Side::Server), |all| all);
    let transcript::Ending::Failed(verdict) = differs.client else { panic!("a byte too many is told") };
    assert_eq!(verdict.headline(), "the server said more than the transcript");
}

#[test]
fn a_choice_may_have_a_thousand_ways_and_not_any_number() {
    let branches = |count: usize| {
        let each: Vec<String> = (0..count).map(|n| format!("  C: command {n}\n  S: ok {n}\n")).collect();
        format!("repeat\neither\n{}end\nend\n", each.join("or\n"))
    };
    let rehearsal = play(&branches(1000), |all| all);
    assert_went_as_written(&rehearsal);
    assert!(rehearsal.from_server.ends_with(b"ok 999\n"));
    let Err(refused) = Transcript::parse("t.talk", branches(3000).as_bytes(), &[]) else { panic!("it is refused") };
    assert_eq!(refused.findings[0].message, "this choice has more than 2000 ways");
    let loops: String = (0..3000).map(|n| format!("repeat\nC: {n}\nend\n")).collect();
    assert!(Transcript::parse("t.talk", loops.as_bytes(), &[]).is_err());
}

#[test]
fn a_raw_capture_runs_to_the_text_behind_it_or_to_the_end() {
    let (_, server) = said("C: go\nS raw: {head=abc}--{body=x--y}\nS closes\n");
    assert_eq!(server, "abc--x--y");
    let (_, server) = said("C: go\nS raw: {tag:3 bytes=a--}--{n:int=-7};\nC: {tag} {n}\nS closes\n");
    assert_eq!(server, "a-----7;");
    let transcript = parse("t.talk", "C: go\nS raw: {body=x}\nS: more\n");
    let Err(refused) = Script::prepare(&transcript, &PlayOptions::new(Side::Client, Carrier::Stream)) else {
        panic!("it is refused")
    };
    assert_eq!(refused.findings[0].message, "where this hole ends cannot be told");
}

#[test]
fn the_end_may_be_one_of_the_ways() {
    said("C: a\neither\n  S: x\nor\n  S closes\nend\n");
    said("C: a\nC stops sending\neither\n  S closes\nor\n  S: x\n  S closes\nend\n");
    let (client, server) = said("either\n  C: long\n  S: detail\nor\nend\nC: short\nS: ok\nS closes\n");
    assert_eq!((client.as_str(), server.as_str()), ("long\nshort\n", "detail\nok\n"));
}

#[test]
fn a_pause_of_one_side_is_waited_for_by_the_other() {
    said("timeout 1s\nC: a\nS waits 30s\nS: b\nC waits 2s\nC: c\nS: d\n");
    said("timeout 1s\nrepeat\n  C waits 5s\n  C: a\n  S: b\nend\nC: q\n");
}

#[test]
fn a_name_twice_in_one_line_must_be_equal_twice() {
    said("C: {a=x} {a}\nS: ok\n");
    let transcript = parse("t.talk", "C: {a} {a}\nS: ok {a}\n");
    let server = prepare(&transcript, Side::Server, Carrier::Stream);
    assert_eq!(feed(&server, b"x x\n", 1), (b"ok x\n".to_vec(), true));
    assert!(!feed(&server, b"x y\n", 1).1);
}

#[test]
fn matching_takes_the_first_occurrence_and_never_overlaps() {
    let transcript = parse("t.talk", "C: a{x}b{y}b\nS: {x}|{y}\n");
    let server = prepare(&transcript, Side::Server, Carrier::Stream);
    assert_eq!(feed(&server, b"a1b2b3b\n", 1), (b"1|2b3\n".to_vec(), true));
    assert!(!feed(&server, b"ab\n", 1).1);
    assert_eq!(feed(&server, b"abb\n", 1), (b"|\n".to_vec(), true));
    let transcript = parse("t.talk", "C: aa{x}aa\nS: {x}\n");
    let server = prepare(&transcript, Side::Server, Carrier::Stream);
    assert!(!feed(&server, b"aaa\n", 1).1);
    assert_eq!(feed(&server, b"aaaa\n", 1), (b"\n".to_vec(), true));
}

/// Texts that begin like each other, in the order of the file and against it, whole and a byte at a time.
#[test]
fn many_literals_in_any_order_are_heard_in_any_order() {
    for form in ["raw", "hex"] {
        let text = |number: usize| match form {
            "raw" => format!("n{number};"),
            _ => format!("{:02x} {:02x} 00 {:02x}", number / 100, number % 100, number % 7),
        };
        let lines = |numbers: &mut dyn Iterator<Item = usize>| -> String {
            numbers.map(|number| format!("  C {form}: {}\n", text(number))).collect()
        };
        let file = format!("in any order\n{}end\nS: ok\n", lines(&mut (0..300)));
        said(&file);
        // The same, as a client says it that has its own order: the file says what is heard, not when.
        let server = prepare(&parse("t.talk", &file), Side::Server, Carrier::Stream);
        let said_by = |order: &mut dyn Iterator<Item = usize>| {
            let file = format!("{}S: ok\n", lines(order).replace("  C", "C"));
            let client = prepare(&parse("t.talk", &file), Side::Client, Carrier::Stream);
            [rehearse(&client, &server, |all| all), rehearse(&client, &server, |_| 1)]
        };
        for played in said_by(&mut (0..300).rev()) {
            assert_went_as_written(&played);
        }
        // One twice, and so one not at all.
        for played in said_by(&mut (0..299).chain([7])) {
            let transcript::Ending::Failed(verdict) = played.server else { panic!("it is taken") };
            assert_eq!(verdict.fault, transcript::Fault::Differs);
        }
        // One is missing.
        for played in said_by(&mut (1..300)) {
            assert!(!played.is_success());
        }
    }
    // Of equal ones each counts, and a shorter one waits for the gap.
    let equal = "  C raw: same\n".repeat(20);
    said(&format!("gap 10ms\nin any order\n{equal}  C raw: sa\n  C raw: samedi\nend\nS: ok\n"));
}
