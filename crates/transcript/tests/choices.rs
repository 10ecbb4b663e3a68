//! What is told apart at a choice, and what a gap ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use transcript::rehearse::rehearse;
use transcript::{
    Carrier, Ending, Fault, Input, Moment, Next, Output, Play, PlayOptions, Scratch, Script, Side, Transcript,
};

fn prepare(text: &str, side: Side, carrier: Carrier) -> Result<Script, String> {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).map_err(|refused| refused.to_string())?;
    Script::prepare(&transcript, &PlayOptions::new(side, carrier)).map_err(|refused| refused.to_string())
}

fn server(text: &str) -> Script {
    prepare(text, Side::Server, Carrier::Stream).unwrap_or_else(|refused| panic!("{refused}"))
}

/// What a server says to pieces that come so many milliseconds after each other, and then the end.
fn answers(script: &Script, pieces: &[&[u8]], apart: u64) -> (String, bool) {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let (mut held, mut said, mut now) = (Vec::new(), Vec::new(), Moment::default());
    let mut pieces = pieces.iter();
    let mut next_at = now;
    let mut ended = false;
    loop {
        let step = play.step(script, Input { bytes: &held, datagram: false, ended, now }, &mut scratch, &mut output);
        held.drain(..step.consumed);
        said.append(&mut output.bytes);
        let until = match step.next {
            Next::End(ending) => return (String::from_utf8(said).unwrap(), ending.is_success()),
            Next::Hear { until } => until,
            Next::Pause { until } => Some(until),
            _ => continue,
        };
        // The next piece, or what the play waits for, whichever is first.
        if !ended && until.is_none_or(|until| next_at <= until) {
            now = next_at.max(now);
            match pieces.next() {
                Some(piece) => held.extend_from_slice(piece),
                None => ended = true,
            }
            next_at = now.after(Duration::from_millis(apart));
        } else {
            now = until.expect("it waits for something");
        }
    }
}

fn way(first: &str, second: &str, gap: &str) -> String {
    format!("{gap}repeat\n  either\n    C {first}\n    S: one\n  or\n    C {second}\n    S: two\n  end\nend\n")
}

#[test]
fn of_two_branches_that_begin_alike_the_gap_tells_which_it_is() {
    for (short, long, says_short, says_long) in [
        ("raw: ab", "raw: abc", &b"ab"[..], &b"abc"[..]),
        ("hex: 01 02", "hex: 01 02 03 04", b"\x01\x02", b"\x01\x02\x03\x04"),
        ("raw: a", "hex: 61 62 63", b"a", b"abc"),
    ] {
        for (first, second, answer_short, answer_long) in
            [(short, long, "one\n", "two\n"), (long, short, "two\n", "one\n")]
        {
            let script = server(&way(first, second, "gap 100ms\n"));
            for apart in [0, 10] {
                // In one piece, and byte by byte within the gap.
                let bytes: Vec<&[u8]> = says_long.chunks(1).collect();
                assert_eq!(answers(&script, &[says_long], apart), (answer_long.to_owned(), true), "{first} {second}");
                assert_eq!(answers(&script, &bytes, apart), (answer_long.to_owned(), true), "{first} {second}");
                assert_eq!(answers(&script, &[says_short], apart), (answer_short.to_owned(), true), "{first} {second}");
            }
            let both = answers(&script, &[says_short, says_long], 300);
            assert_eq!(both, (format!("{answer_short}{answer_long}"), true), "{first} {second}");
        }
    }
}

#[test]
fn without_a_gap_a_listener_refuses_what_it_could_not_tell() {
    for (first, second, line) in [
        ("raw: ab", "raw: abc", 3),
        ("raw: abc", "raw: ab", 6),
        ("hex: 01", "hex: 0102", 3),
        ("hex: 01 02 03", "hex: 01 {n:1 bytes=05}", 6),
    ] {
        let text = way(first, second, "");
        let refused = prepare(&text, Side::Server, Carrier::Stream).unwrap_err();
        assert!(refused.contains("where this message ends cannot be told"), "{refused}");
        assert!(refused.contains(&format!("t.talk:{line}:")), "{refused}");
        // Who says it knows what was said, and over datagrams everybody does.
        let client = prepare(&text, Side::Client, Carrier::Stream).unwrap();
        assert!(client.warnings().iter().any(|warning| warning.message.contains("cannot be told")));
        prepare(&text, Side::Server, Carrier::Datagram).unwrap();
    }
    let order = "in any order\n  C raw: ab\n  C raw: abc\nend\nS: ok\n";
    assert!(prepare(order, Side::Server, Carrier::Stream).unwrap_err().contains("cannot be told"));
    assert_eq!(answers(&server(&format!("gap 50ms\n{order}")), &[b"ab", b"abc"], 200), ("ok\n".to_owned(), true));
    for apart in [way("raw: ab", "raw: cb", ""), way("hex: 01 02", "hex: 01 03 04", "")] {
        server(&apart);
    }
    let hidden = server(&way("hex: {n:1 bytes=01}", "hex: 01 02", ""));
    assert!(hidden.warnings().iter().any(|warning| warning.message.contains("never reached")));
}

#[test]
fn several_lines_of_one_datagram_begin_a_way() {
    let search = "together\n  C: M-SEARCH * HTTP/1.1\n  C: ST: {st=ssdp:all}\nend\n";
    let invite =
        "together\n  C: INVITE {to=bob}\n  C: Call-ID: {id=1}\nend\ntogether\n  S: 200 OK\n  S: Call-ID: {id}\nend\n";
    for text in [
        format!("repeat\n{search}together\n  S: HTTP/1.1 200 OK\n  S: ST: {{st}}\nend\nend\n"),
        format!("repeat\neither\n{invite}or\n{search}S: found {{st}}\nor\n  C: PING\n  S: PONG\nend\nend\n"),
        format!("repeat 2\n{invite}end\nC: bye\nS: bye\n"),
        format!("eol crlf\nrepeat\neither\n  C: PING\n  S: PONG\nor\n{invite}end\nend\n"),
        "repeat\n  either\n    together\n      C raw: ab\n      C raw: cd\n    end\n    S: both\n  or\n    C raw: xy\n    S: one\n  end\nend\n".to_owned(),
    ] {
        let (client, server) =
            (prepare(&text, Side::Client, Carrier::Datagram), prepare(&text, Side::Server, Carrier::Datagram));
        let (client, server) = (client.unwrap(), server.unwrap());
        let played = rehearse(&client, &server, |all| all);
        for ending in [&played.client, &played.server] {
            if let Ending::Failed(verdict) = ending {
                panic!("{text}\n{}", verdict.render(""));
            }
        }
        assert!(played.finished && !played.from_server.is_empty(), "{text}");
    }
}

#[test]
fn a_line_ending_that_comes_after_the_gap_belongs_to_its_line() {
    for (after, said) in
        [("C raw: xyz", &b"xyz"[..]), ("C hex: 01 02", b"\x01\x02"), ("C raw: {n:3 bytes=xyz}", b"xyz")]
    {
        let script = server(&format!("gap 100ms\nC: hi\nS: ho\n{after}\nS: ok\n"));
        for late in [&b"\n"[..], b"\r\n", b""] {
            let joined = [late, said].concat();
            let single: Vec<&[u8]> = [&b"hi"[..]].into_iter().chain(joined.chunks(1)).collect();
            assert_eq!(answers(&script, &[b"hi", late, said], 300), ("hook".to_owned(), true), "{after} {late:?}");
            assert_eq!(answers(&script, &[b"hi", &joined], 300), ("hook".to_owned(), true), "{after} {late:?}");
            // A CR and an LF with a gap between them are no line ending.
            if late != b"\r\n" {
                assert_eq!(answers(&script, &single, 300), ("hook".to_owned(), true), "{after} {late:?}");
            }
        }
    }
    // One that the message itself begins with is its own.
    let script = server("gap 100ms\nC: hi\nS: ho\nC raw: {0x0a}x\nS: ok\n");
    assert_eq!(answers(&script, &[b"hi", b"\nx"], 300), ("hook".to_owned(), true));
}

#[test]
fn a_gap_cuts_no_character_in_two() {
    let script = server("gap 100ms\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\n");
    for name in ["Grüße", "世界", "é", "a🐟"] {
        let bytes: Vec<&[u8]> = name.as_bytes().chunks(1).collect();
        // The bytes of a character come slower than a gap, and what stands before it faster.
        let whole = name.len() - name.chars().next_back().map_or(0, char::len_utf8);
        let (front, last) = name.as_bytes().split_at(whole);
        let begun = [front, &last[..1]].concat();
        let mut pieces: Vec<&[u8]> = vec![&begun];
        pieces.extend(last[1..].chunks(1));
        assert_eq!(answers(&script, &pieces, 250), (format!("Hello, {name}!"), true), "{name}");
        assert_eq!(answers(&script, &bytes, 20), (format!("Hello, {name}!"), true), "{name}");
    }
    // What is no UTF-8 is not waited for without end.
    let latin = server("gap 100ms\nC: caf{0xe9}\nS: ok\nC: more\nS: well\n");
    assert_eq!(answers(&latin, &[b"caf\xe9", b"more"], 5000), ("okwell".to_owned(), true));
}

#[test]
fn what_stands_behind_the_sign_of_a_set_is_the_value_to_its_last_space() {
    for value in ["x ", "  x\t", "", " ", "  ", "a = b "] {
        let text = format!("set v = {value}\nC: go\nS: [{{v}}]\n");
        assert_eq!(answers(&server(&text), &[b"go\n"], 1).0, format!("[{value}]\n"), "{text:?}");
        assert_eq!(answers(&server(&transcript::format(&text)), &[b"go\n"], 1).0, format!("[{value}]\n"), "{text:?}");
    }
    let text = "let n = length ab \nC: go\nS: {n}\n";
    assert_eq!(answers(&server(text), &[b"go\n"], 1).0, "3\n");
    for nothing in ["let a = length", "let a = length ", "let a = md5", "set k = x\nlet a = hmac-md5 k"] {
        let refused = prepare(&format!("{nothing}\nC: go\nS: x\n"), Side::Server, Carrier::Stream).unwrap_err();
        assert!(refused.contains("is given nothing to work on"), "{refused}");
    }
}

#[test]
fn branches_that_were_not_played_are_named_and_can_be_played() {
    let text =
        "either\n  C: a\n  S: A\nor\n  C: b\n  either\n    S: B1\n  or\n    S: B2\n  end\nor\n  C: {c}\n  S: C\nend\n";
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
    let play = |branch: Option<usize>| {
        let script = |side| {
            let mut options = PlayOptions::new(side, Carrier::Stream);
            options.branches = branch.into_iter().collect();
            Script::prepare(&transcript, &options)
        };
        Ok::<_, transcript::Refused>(rehearse(&script(Side::Client)?, &script(Side::Server)?, |all| all))
    };
    let first = play(None).unwrap();
    assert_eq!((first.from_client.as_slice(), first.unplayed), (&b"a\n"[..], vec![5, 7, 9, 12]));
    for (line, said) in [(5, "B1\n"), (7, "B1\n"), (9, "B2\n")] {
        let played = play(Some(line)).unwrap();
        assert!(played.is_success() && !played.unplayed.contains(&line));
        assert_eq!(String::from_utf8(played.from_server).unwrap(), said);
    }
    assert!(play(Some(12)).unwrap_err().to_string().contains("nothing gives it a value"));
}

#[test]
fn an_empty_line_at_the_end_of_a_datagram_is_one_of_its_lines() {
    for eol in ["", "eol crlf\n", "eol lf\n"] {
        for text in [
            "repeat\ntogether\nC: NOTIFY *\nC:\nend\nS: ok\nend\n",
            "together\nC: a\nC: b\nC:\nend\ntogether\nS: c\nS:\nend\n",
            "either\ntogether\nC: x {x=a}\nC:\nC:\nend\nS: {x}\nor\nC: b\nS: no\nend\n",
            "together\nC:\nC:\nend\nS: ok\n",
        ] {
            let text = format!("{eol}{text}");
            let ends = [Side::Client, Side::Server].map(|side| prepare(&text, side, Carrier::Datagram).unwrap());
            let played = rehearse(&ends[0], &ends[1], |_| usize::MAX);
            assert!(played.client.is_success() && played.server.is_success(), "{text}: {played:?}");
        }
    }
}

#[test]
fn of_two_messages_with_holes_that_begin_alike_the_longer_one_is_never_reached() {
    for (first, second) in [("raw: a{x=b}c", "raw: a{y=b}cd"), ("raw: {x:word=b};", "raw: {x:word=b};c{y=d};")] {
        let script = server(&way(first, second, ""));
        let warnings: Vec<&str> = script.warnings().iter().map(|warning| warning.message.as_str()).collect();
        assert!(warnings.iter().any(|text| text.contains("never reached: line 3")), "{first}: {warnings:?}");
        let refused = prepare(&way(second, first, ""), Side::Server, Carrier::Stream).unwrap_err();
        assert!(refused.contains("where this message ends cannot be told"), "{refused}");
    }
    let script = server(&way("raw: a{x=b}c", "raw: b{y=b}cd", ""));
    assert!(script.warnings().is_empty(), "{:?}", script.warnings());
}

/// Each of many lines takes its own, however they are shuffled, over either carrier; a line too many, and one that came
/// already, are told.
#[test]
fn of_many_lines_in_any_order_each_is_found() {
    type Kind = (usize, &'static str, fn(usize) -> String, fn(usize) -> Vec<u8>);
    let kinds: [Kind; 9] = [
        (1500, "C raw", |n| format!("command {n};"), |n| format!("command {n};").into_bytes()),
        (1500, "C hex", |n| format!("{n:08x}"), |n| u32::try_from(n).unwrap().to_be_bytes().to_vec()),
        (200, "C raw", |n| format!("{n}-{{x{n}:2 bytes=ab}};"), |n| format!("{n}-ab;").into_bytes()),
        (1500, "C", |n| format!("line {}", n / 2), |n| format!("line {}", n / 2).into_bytes()),
        (1500, "C", |n| format!("f{n}: {{x{n}=1}}"), |n| format!("f{n}: 1").into_bytes()),
        (1500, "C", |n| format!("{{x{n}:int=3}} f{n}"), |n| format!("3 f{n}").into_bytes()),
        (400, "C", |n| format!("{{_=a}} {n} {{_=b}}."), |n| format!("a {n} b.").into_bytes()),
        (400, "C", |n| format!("f{n}{{x{n}:/[a-z]/=a}}"), |n| format!("f{n}a").into_bytes()),
        (1500, "C raw", |n| format!("f{n}: {{x{n}=1}};"), |n| format!("f{n}: 1;").into_bytes()),
    ];
    for (count, form, written, said) in kinds {
        let lines: String = (0..count).map(|n| format!("  {form}: {}\n", written(n))).collect();
        let text = format!("in any order\n{lines}end\nS: all\n");
        for carrier in [Carrier::Stream, Carrier::Datagram] {
            let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
            let script = Script::prepare(&transcript, &PlayOptions::new(Side::Server, carrier)).unwrap();
            let ending: &[u8] = if form == "C" && carrier == Carrier::Stream { b"\n" } else { b"" };
            // 7 and the count have no factor in common.
            let shuffled = (0..count).map(|n| [said(n * 7 % count), ending.to_vec()].concat());
            let messages: Vec<Vec<u8>> = shuffled.collect();
            assert_eq!(heard(&script, carrier, &messages), Some(true), "{form} {carrier:?}");
            let twice = [&messages[..count - 1], &messages[..1]].concat();
            let last_pair = form == "C" && messages[0] == messages[count - 1];
            assert_eq!(heard(&script, carrier, &twice), Some(last_pair), "{form} {carrier:?}: one came twice");
            assert_eq!(heard(&script, carrier, &messages[1..]), None, "{form} {carrier:?}: one is missing");
        }
    }
}

/// Whether a play ends as written when it hears these messages; `None` if it waits for more.
fn heard(script: &Script, carrier: Carrier, messages: &[Vec<u8>]) -> Option<bool> {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let mut rest: Vec<u8> = Vec::new();
    for message in messages {
        rest.extend_from_slice(message);
        let input =
            Input { bytes: &rest, datagram: carrier == Carrier::Datagram, ended: false, now: Moment::default() };
        let step = play.step(script, input, &mut scratch, &mut output);
        rest.drain(..step.consumed);
        match step.next {
            Next::End(ending) => return Some(ending.is_success()),
            Next::Hear { .. } => assert!(rest.is_empty(), "{rest:?}"),
            other => panic!("{other:?}"),
        }
    }
    None
}

/// How a client's play ends that says `C: a` and is reset then; and what it says when it goes on over another connection.
fn reset_behind_a(behind: &str) -> (Ending, String) {
    let text = format!("C: a\n{behind}");
    let script = prepare(&text, Side::Client, Carrier::Stream).unwrap_or_else(|refused| panic!("{refused}"));
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let input = Input { bytes: &[], datagram: false, ended: false, now: Moment::default() };
    assert!(matches!(play.step(&script, input, &mut scratch, &mut output).next, Next::Hear { .. }), "{text}");
    let ending = play.reset(&script, &[], &mut scratch);
    output.clear();
    if let Ending::GoesOn { .. } = ending {
        assert!(matches!(play.step(&script, input, &mut scratch, &mut output).next, Next::Connect { .. }), "{text}");
        let _ = play.step(&script, input, &mut scratch, &mut output);
    }
    (ending, String::from_utf8(output.bytes).unwrap())
}

#[test]
fn a_reset_takes_the_way_that_begins_with_one() {
    for behind in [
        "either\n  S closes\nor\n  S resets\nend\n",
        "either\n  S: b\nor\n  S resets\nend\n",
        "repeat\n  S: b\nend\nS resets\n",
        "repeat\n  S: b\n  C: c\nend\nS resets\n",
        "maybe\n  S: b\nend\nS resets\n",
    ] {
        assert!(reset_behind_a(behind).0.is_success(), "{behind}");
    }
    let goes_on = "either\n  S: b\nor\n  set x = 1\n  S resets\n  C connects\n  C: {x}\nend\n";
    assert!(matches!(reset_behind_a(goes_on), (Ending::GoesOn { .. }, said) if said == "1\n"));
    for behind in [
        "either\n  S: b\nor\n  S closes\nend\n",
        "either\n  S: b\n  S resets\nor\n  S: c\nend\n",
        "repeat 2\n  S: b\nend\nS resets\n",
    ] {
        assert!(!reset_behind_a(behind).0.is_success(), "{behind}");
    }
}

/// A play that has heard this, and waits for more.
fn waits(script: &Script, heard: &[u8]) -> (Play, Scratch) {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let input = Input { bytes: heard, datagram: false, ended: false, now: Moment::default() };
    let next = play.step(script, input, &mut scratch, &mut output).next;
    assert!(matches!(next, Next::Hear { .. }), "{next:?}");
    (play, scratch)
}

#[test]
fn a_reset_is_waited_for_where_it_is_one_of_the_ways_and_no_line_is() {
    for behind in ["either\n  C resets\nor\nend\n", "either\n  C resets\nor\n  S closes\nend\n"] {
        let script = server(&format!("C: a\n{behind}"));
        let (mut play, mut scratch) = waits(&script, b"a\n");
        assert!(matches!(play.reset(&script, &[], &mut scratch), Ending::Done), "{behind}");
        let (mut play, mut scratch) = waits(&script, b"a\n");
        let input = Input { bytes: &[], datagram: false, ended: true, now: Moment::default() };
        let step = play.step(&script, input, &mut scratch, &mut Output::default());
        assert!(matches!(&step.next, Next::End(ending) if ending.is_success()), "{behind}: {:?}", step.next);
    }
}

#[test]
fn a_reset_between_two_exchanges_is_forgiven_where_the_other_side_may_leave_and_to_a_client() {
    let between = "repeat\n  C: a\n  S: b\nend\nC: end\n";
    let turned = "repeat\n  S: a\n  C: b\nend\nS: end\n";
    for (text, side, may_leave, unread, forgiven) in [
        (between, Side::Server, true, "", true),
        (between, Side::Server, false, "", false),
        (turned, Side::Client, false, "", true),
        (turned, Side::Client, true, "", true),
        // Something of the next line has come.
        (between, Side::Server, true, "a", false),
        (turned, Side::Client, true, "a", false),
        // It is in the middle of something.
        ("C: a\nS: b\n", Side::Server, true, "", false),
        ("either\n  S: a\nor\n  S: b\nend\n", Side::Client, true, "", false),
    ] {
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
        let mut options = PlayOptions::new(side, Carrier::Stream);
        options.may_leave = may_leave;
        let script = Script::prepare(&transcript, &options).unwrap();
        let (mut play, mut scratch) = waits(&script, unread.as_bytes());
        let ending = play.reset(&script, unread.as_bytes(), &mut scratch);
        match &ending {
            Ending::IdleReset => assert!(forgiven, "{side:?} {may_leave} {unread:?} {text}"),
            Ending::Failed(verdict) => {
                assert_eq!((verdict.fault, forgiven), (Fault::Reset, false), "{side:?} {may_leave} {unread:?} {text}");
            }
            _ => panic!("{ending:?}"),
        }
    }
}

/// What a server says to bytes that come at some milliseconds, and the end that comes with the last of them.
fn answers_at(script: &Script, pieces: &[(u64, &[u8])], ends: bool) -> (String, Option<Ending>) {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let mut held = Vec::new();
    for (index, (millis, bytes)) in pieces.iter().enumerate() {
        held.extend_from_slice(bytes);
        let now = Moment::default().after(Duration::from_millis(*millis));
        let ended = ends && index + 1 == pieces.len();
        loop {
            let input = Input { bytes: &held, datagram: false, ended, now };
            let step = play.step(script, input, &mut scratch, &mut output);
            held.drain(..step.consumed);
            match step.next {
                Next::Hear { .. } => break,
                Next::End(ending) => return (String::from_utf8(output.bytes).unwrap(), Some(ending)),
                _ => {}
            }
        }
    }
    (String::from_utf8(output.bytes).unwrap(), None)
}

#[test]
fn a_late_line_ending_that_comes_in_two_parts_still_belongs_to_its_line() {
    for (after, said) in
        [("C raw: xyz", &b"xyz"[..]), ("C hex: 01 02", b"\x01\x02"), ("C raw: {n:3 bytes=xyz}", b"xyz")]
    {
        let script = server(&format!("gap 100ms\nC: hi\nS: ho\n{after}\nS: ok\n"));
        let rest = [b"\n", said].concat();
        let pieces: [&[(u64, &[u8])]; 3] = [
            &[(0, b"hi"), (100, b""), (150, b"\r"), (200, &rest)],
            &[(0, b"hi"), (100, b""), (150, b"\r"), (200, b"\n"), (250, said)],
            &[(0, b"hi"), (100, b""), (150, b""), (160, b"\r"), (161, b""), (162, &rest)],
        ];
        for pieces in pieces {
            let (said, ending) = answers_at(&script, pieces, false);
            assert_eq!((said.as_str(), ending.is_some_and(|ending| ending.is_success())), ("hook", true), "{after}");
        }
    }
}

#[test]
fn who_leaves_with_the_late_ending_of_a_line_leaves_as_if_nothing_had_come() {
    let script = server("gap 100ms\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\n");
    for late in [&b""[..], b"\n", b"\r\n", b"\r"] {
        let (said, ending) = answers_at(&script, &[(0, b"Ann"), (100, b""), (150, late)], true);
        assert_eq!(said, "Hello, Ann!", "{late:?}");
        assert!(matches!(ending, Some(Ending::Left)), "{late:?}: {ending:?}");
    }
}

#[test]
fn of_ways_that_begin_with_the_same_line_of_a_datagram_the_number_of_its_lines_decides() {
    let part = |lines: &str, answer: &str| {
        let lines: String = lines.chars().map(|letter| format!("C: {letter}\n")).collect();
        format!("together\n{lines}end\nS: {answer}\n")
    };
    let [one, two, other] = [part("a", "one"), part("ab", "two"), part("xy", "other")];
    for text in [format!("{one}or\n{two}or\n{other}"), format!("{other}or\n{two}or\n{one}")] {
        let script = prepare(&format!("repeat\neither\n{text}end\nend\n"), Side::Server, Carrier::Datagram).unwrap();
        for (heard, answer) in [("a", "one"), ("a\n", "one\n"), ("a\nb", "two"), ("a\nb\n", "two\n"), ("x\ny", "other")]
        {
            let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
            let input = Input { bytes: heard.as_bytes(), datagram: true, ended: false, now: Moment::default() };
            let next = play.step(&script, input, &mut scratch, &mut output).next;
            assert!(matches!(next, Next::Hear { .. }), "{heard:?}: {next:?}");
            assert_eq!(String::from_utf8_lossy(&output.bytes), answer, "{heard:?}");
        }
    }
}

#[test]
fn a_line_is_hidden_by_one_above_it_that_begins_and_ends_as_it_does() {
    for (above, below, hidden) in [
        ("{x}", "GET {y}", true),
        ("GET {x}", "GET {y} HTTP/{z}", true),
        ("GET {x}.", "GET {y} now.", true),
        ("{x}!", "Hello, {y}!", true),
        ("GET {x}", "GET /", true),
        ("GET {x}", "PUT {y}", false),
        ("GET {x}.", "GET {y}", false),
        ("GET {x:int}", "GET {y} HTTP/{z}", false),
        ("{x}!", "Hello, {y}?", false),
    ] {
        let text = format!("either\n  C: {above}\nor\n  C: {below}\nend\n");
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
        let warnings: Vec<&str> = transcript.warnings().iter().map(|warning| warning.message.as_str()).collect();
        let told = warnings.contains(&"this line is never reached: line 2 takes it first");
        assert_eq!(told, hidden, "{text}{warnings:?}");
    }
}

#[test]
fn of_many_ways_that_are_listed_each_is_shown_with_its_text() {
    let names: Vec<String> = (0..40).map(|number| format!("command {number}")).collect();
    let ways: Vec<String> = names.iter().map(|name| format!("  C: {name}\n")).collect();
    let script = server(&format!("either\n{}end\n", ways.join("or\n")));
    let Some(Ending::Failed(verdict)) = answers_at(&script, &[(0, b"nothing\n")], false).1 else { panic!("it fits") };
    let texts: Vec<&str> = verdict.expected.iter().map(|expected| expected.text.as_str()).collect();
    assert_eq!(texts, names);
    // Of long ones the beginning is shown, and of those behind the nearest ones less of it.
    let long: Vec<String> = (0..40).map(|number| format!("  C: {number} {}\n", "x".repeat(20_000))).collect();
    let script = server(&format!("either\n{}end\n", long.join("or\n")));
    let Some(Ending::Failed(verdict)) = answers_at(&script, &[(0, b"nothing\n")], false).1 else { panic!("it fits") };
    for (rank, expected) in verdict.expected.iter().enumerate() {
        let shown = if rank < 16 { 15_000..17_000 } else { 1000..1100 };
        assert!(shown.contains(&expected.text.len()), "{rank}: {}", expected.text.len());
    }
}
