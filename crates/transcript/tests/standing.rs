//! Where a play stands: whether it may end there, which line it is at, what would have been right there, and how much of a
//! line may have come.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::{
    Carrier, Ending, Fault, Input, Moment, Next, Output, Play, PlayOptions, Scratch, Script, Side, Transcript, Verdict,
};

fn options(text: &str, side: Side, carrier: Carrier, change: impl FnOnce(&mut PlayOptions)) -> Script {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
    let mut options = PlayOptions::new(side, carrier);
    change(&mut options);
    Script::prepare(&transcript, &options).unwrap_or_else(|refused| panic!("{text}{refused}"))
}

fn script(text: &str, side: Side, carrier: Carrier) -> Script {
    options(text, side, carrier, |_| {})
}

/// A play that has heard something, and what it said and does next.
struct Stood {
    play: Play,
    scratch: Scratch,
    said: Vec<u8>,
    next: Next,
}

/// Hears each piece in one step; over datagrams each is one.
fn heard(script: &Script, pieces: &[&[u8]]) -> Stood {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let mut held = Vec::new();
    let mut next = Next::Flush;
    let keeps_bounds = script.carrier() == Carrier::Datagram;
    for (number, piece) in std::iter::once(&&b""[..]).chain(pieces).enumerate() {
        held.extend_from_slice(piece);
        let mut datagram = keeps_bounds && number > 0;
        loop {
            let input = Input { bytes: &held, datagram, ended: false, now: Moment::default() };
            let step = play.step(script, input, &mut scratch, &mut output);
            held.drain(..step.consumed);
            datagram &= step.left;
            next = step.next;
            if !matches!(next, Next::Flush) && !step.left {
                break;
            }
        }
        if matches!(next, Next::End(_)) {
            break;
        }
    }
    Stood { play, scratch, said: output.bytes, next }
}

#[track_caller]
fn failed(script: &Script, pieces: &[&[u8]]) -> Verdict {
    match heard(script, pieces).next {
        Next::End(Ending::Failed(verdict)) => *verdict,
        next => panic!("{next:?}"),
    }
}

#[test]
fn the_other_side_may_be_gone_between_two_exchanges_behind_which_nothing_must_be_said() {
    use Side::{Client, Server};
    let rounds = "repeat 2\n  C: a\n  S: b\n  repeat\n    C: x\n    S: y\n  end\nend\n";
    for (text, side, pieces, may_end, may_leave) in [
        // The text, who plays it and what was heard; whether it may end, and whether it may where one may leave.
        ("repeat\n  C: x\n  S: y\nend\n", Server, &[][..], true, true),
        ("repeat\n  C: x\n  S: y\nend\n", Server, &[&b"x\n"[..]], true, true),
        ("repeat\n  C: x\n  S: y\nend\n", Server, &[b"x"], false, false),
        ("repeat\n  C: x\n  C: z\n  S: y\nend\n", Server, &[b"x\n"], false, false),
        ("repeat\n  C: x\n  S: y\nend\nC: exit\n", Server, &[b"x\n"], false, true),
        ("repeat\n  C: x\n  S: y\nend\nC: exit\nS closes\n", Server, &[], false, true),
        ("repeat\n  C: x\n  S: y\nend\nC closes\n", Server, &[], true, true),
        ("repeat\n  C: x\n  S: y\nend\nS closes\n", Server, &[], true, true),
        ("repeat\n  C: x\n  S: y\nend\nC resets\n", Server, &[], false, true),
        ("repeat\n  C: x\n  S: y\nend\nC stops sending\nS: z\n", Server, &[], false, true),
        ("repeat\n  S: x\n  C: y\nend\n", Client, &[b"x\n"], true, true),
        ("repeat\n  S: x\n  C: y\nend\nC closes\n", Client, &[b"x\n"], true, true),
        ("repeat\n  S: x\n  C: y\nend\nS: bye\n", Client, &[b"x\n"], false, true),
        ("repeat\n  either\n    C: x\n    S: y\n  or\n    S resets\n  end\nend\nC: z\n", Server, &[b"x\n"], true, true),
        // No loop, and two of its own: it would have said something, or ended the play.
        ("either\n  C: x\nor\n  C closes\nend\n", Server, &[], false, false),
        ("repeat\n  C: x\n  S: y\nend\n", Client, &[], false, false),
        ("repeat\n  C: x\n  S: y\nend\nS resets\n", Server, &[], false, false),
        // The rounds that are still to come are not over, whatever follows them.
        (&format!("{rounds}C closes\n"), Server, &[b"a\n"], false, true),
        (&format!("{rounds}C closes\n"), Server, &[b"a\nx\n"], false, true),
        (&format!("{rounds}C closes\n"), Server, &[b"a\na\n"], true, true),
        (&format!("{rounds}C closes\n"), Server, &[b"a\nx\na\nx\n"], true, true),
        (&format!("{rounds}C: end\n"), Server, &[b"a\na\n"], false, true),
        (rounds, Server, &[b"a\n"], false, true),
        (rounds, Server, &[b"a\na\n"], true, true),
    ] {
        for leaving in [false, true] {
            let script = options(text, side, Carrier::Stream, |options| options.may_leave = leaving);
            let stood = heard(&script, pieces);
            let may_end = if leaving { may_leave } else { may_end };
            assert_eq!(stood.play.may_end(&script), may_end, "{text} {pieces:?} {leaving}");
        }
    }
}

#[test]
fn of_lines_in_any_order_those_that_have_not_come_would_have_been_right() {
    // Known texts, texts with holes, and bytes, each found in a way of its own.
    let blocks: [(&str, [&[u8]; 3]); 3] = [
        ("  S: one\n  S: two\n  S: three\n", [b"one\n", b"two\n", b"three\n"]),
        ("  S: one {_}\n  S: two {_}\n  S: three {_}\n", [b"one 1\n", b"two 2\n", b"three 3\n"]),
        ("  S hex: 01 01\n  S hex: 02 01\n  S hex: 03 01\n", [b"\x01\x01", b"\x02\x01", b"\x03\x01"]),
    ];
    for (block, lines) in blocks {
        let client = script(&format!("C: go\nin any order\n{block}end\nS: end\n"), Side::Client, Carrier::Stream);
        for come in [&[][..], &[0], &[1], &[2], &[0, 1], &[2, 0], &[1, 2]] {
            let mut pieces: Vec<&[u8]> = come.iter().map(|&index| lines[index]).collect();
            let left: Vec<usize> = (0..3).filter(|index| !come.contains(index)).map(|index| index + 3).collect();
            assert_eq!(heard(&client, &pieces).play.line(&client), left[0], "{block}{come:?}");
            pieces.push(b"\xff\xff\n");
            let verdict = failed(&client, &pieces);
            assert_eq!(verdict.fault, Fault::Differs, "{block}{come:?}");
            let listed: Vec<usize> = verdict.expected.iter().map(|expected| expected.line).collect();
            assert_eq!(listed, left, "{block}{come:?}");
        }
        let all = heard(&client, &lines);
        assert_eq!(all.play.line(&client), 7, "{block}");
        // One that has come is not right once more.
        assert_eq!(failed(&client, &[lines[1], lines[1]]).fault, Fault::Differs, "{block}");
    }
}

#[test]
fn of_what_came_at_once_only_the_line_that_must_not_come_is_told() {
    for (text, bytes, line, told) in [
        ("S: ok\nnot S: no{_}\nS: fine\n", &b"ok\nno way\n"[..], 2, "no way"),
        ("S: ok\nnot S: no{_}\nS: fine\n", b"ok\r\nno way\r\n", 2, "no way"),
        ("S: ok\nnot S: no{_}\nS: fine\n", b"ok\nno\nfine\n", 2, "no"),
        ("not S: no{_}\nS: fine\n", b"no way\nfine\n", 1, "no way"),
        ("repeat\n  not S: {_:/n+o/}\n  S: {_}\nend\nS: x\n", b"a\nb\n\nnno\n", 2, "nno"),
        ("S: ok\nnot S:\nS: fine\n", b"ok\n\n", 2, ""),
    ] {
        let client = script(text, Side::Client, Carrier::Stream);
        let verdict = failed(&client, &[bytes]);
        assert_eq!((verdict.fault, verdict.place.line), (Fault::Forbidden, line), "{text}");
        assert_eq!(String::from_utf8_lossy(&verdict.received), told, "{text}");
    }
    // Where it stood further below, it is a line like any other.
    let client = script("S: ok\nnot S: no{_}\nS: fine\n", Side::Client, Carrier::Stream);
    assert_eq!(failed(&client, &[b"no\n"]).fault, Fault::Differs);
}

#[test]
fn a_line_is_too_long_at_its_first_byte_too_many_and_no_earlier() {
    let too_long = Some(Fault::TooLong { most: 8 });
    let wrong = Some(Fault::WrongEnding);
    for (setting, bytes, fault) in [
        // Within the bound: whole, and as far as it has come.
        ("eol any", &b"12345678\n"[..], None),
        ("eol any", b"12345678\r\n", None),
        ("eol lf", b"12345678\n", None),
        ("eol crlf", b"12345678\r\n", None),
        ("gap 1s", b"12345678\n", None),
        ("eol any", b"1234567", None),
        ("eol any", b"12345678", None),
        ("eol any", b"12345678\r", None),
        ("eol lf", b"12345678", None),
        ("eol crlf", b"12345678\r", None),
        ("eol none\ngap 1s", b"12345678", None),
        ("gap 1s", b"12345678\r", None),
        // Beyond it.
        ("eol any", b"123456789\n", too_long),
        ("eol any", b"123456789\r\n", too_long),
        ("eol lf", b"123456789\n", too_long),
        ("eol lf", b"12345678\r\n", too_long),
        ("eol crlf", b"123456789\r\n", too_long),
        ("eol crlf", b"12345678\n", wrong),
        ("eol any", b"1234567890", too_long),
        ("eol any", b"123456789\r", too_long),
        ("eol lf", b"1234567890", too_long),
        ("eol crlf", b"1234567890", too_long),
        ("eol none\ngap 1s", b"1234567890", too_long),
        ("gap 1s", b"1234567890", too_long),
    ] {
        // Alone, at a choice, and among lines in any order.
        for body in [
            "S: {x}\nC: ok\n",
            "either\n  S: {x}\nor\n  S: y\nend\nC: ok\n",
            "in any order\n  S: {x}\n  S: {y}\nend\nC: ok\n",
            "repeat\n  S: {x}\n  C: {x}\nend\n",
        ] {
            let text = format!("{setting}\n{body}");
            let client = options(&text, Side::Client, Carrier::Stream, |options| options.longest_line = 8);
            let found = match heard(&client, &[bytes]).next {
                Next::End(Ending::Failed(verdict)) => Some(verdict.fault),
                _ => None,
            };
            assert_eq!(found, fault, "{text}{bytes:?}");
        }
    }
}

#[test]
fn a_datagram_ends_its_line_as_the_setting_says() {
    let wrong = Err(Fault::WrongEnding);
    for (setting, bytes, said) in [
        ("eol any", "a", Ok("<a>")),
        ("eol any", "a\n", Ok("<a>\n")),
        ("eol any", "a\r\n", Ok("<a>\r\n")),
        ("eol any", "a\r", Ok("<a\r>")),
        ("eol any", "\n", Ok("<>\n")),
        ("eol any", "\r\n", Ok("<>\r\n")),
        ("eol any", "", Ok("<>")),
        ("eol any", "a\n\n", Ok("<a\n>\n")),
        ("eol any", "a\nb", Ok("<a\nb>")),
        ("eol lf", "a\n", Ok("<a>\n")),
        ("eol lf", "\n", Ok("<>\n")),
        ("eol lf", "a\r\n", Ok("<a\r>\n")),
        ("eol lf", "a", wrong),
        ("eol lf", "", wrong),
        ("eol crlf", "a\r\n", Ok("<a>\r\n")),
        ("eol crlf", "\r\n", Ok("<>\r\n")),
        ("eol crlf", "a\r\r\n", Ok("<a\r>\r\n")),
        ("eol crlf", "a\n", wrong),
        ("eol crlf", "\n", wrong),
        ("eol crlf", "a", wrong),
        ("eol none", "a", Ok("<a>")),
        ("eol none", "a\r\n", Ok("<a\r\n>")),
        ("eol none", "", Ok("<>")),
    ] {
        for body in ["C: {x}\nS: <{x}>\n", "repeat\n  C: {x}\n  S: <{x}>\nend\n"] {
            let script = script(&format!("{setting}\n{body}"), Side::Server, Carrier::Datagram);
            let stood = heard(&script, &[bytes.as_bytes()]);
            match stood.next {
                Next::End(Ending::Failed(verdict)) => assert_eq!(Err(verdict.fault), said, "{setting} {bytes:?}"),
                _ => assert_eq!(Ok(&*String::from_utf8(stood.said).unwrap()), said, "{setting} {bytes:?}"),
            }
        }
    }
    let more = Err(Fault::UnexpectedData);
    for (setting, bytes, said) in [
        ("eol any", "a\nb\n", Ok("<a|b>\n")),
        ("eol any", "a\nb", Ok("<a|b>")),
        ("eol any", "a\r\nb\r\n", Ok("<a|b>\r\n")),
        ("eol any", "\n\n", Ok("<|>\n")),
        ("eol any", "a\nb\nc", more),
        ("eol lf", "a\nb\n", Ok("<a|b>\n")),
        ("eol lf", "a\nb", wrong),
        ("eol lf", "a\r\nb\n", Ok("<a\r|b>\n")),
        ("eol crlf", "a\r\nb\r\n", Ok("<a|b>\r\n")),
        ("eol crlf", "a\nb\r\n", wrong),
        ("eol crlf", "a\r\nb\n", wrong),
        ("eol crlf", "\r\n\r\n", Ok("<|>\r\n")),
    ] {
        let text = format!("{setting}\ntogether\n  C: {{x}}\n  C: {{y}}\nend\nS: <{{x}}|{{y}}>\n");
        let stood = heard(&script(&text, Side::Server, Carrier::Datagram), &[bytes.as_bytes()]);
        match stood.next {
            Next::End(Ending::Failed(verdict)) => assert_eq!(Err(verdict.fault), said, "{setting} {bytes:?}"),
            _ => assert_eq!(Ok(&*String::from_utf8(stood.said).unwrap()), said, "{setting} {bytes:?}"),
        }
    }
}

#[test]
fn what_was_heard_is_said_again_unless_it_would_be_heard_as_another_line() {
    let text = "S: {word}\nrepeat\n  C: {word}\n  S: ok\nend\nC: exit\n";
    let client = script(text, Side::Client, Carrier::Stream);
    for (word, said) in [(&b"go\n"[..], "go\n"), (b"exit \n", "exit \n"), (b"Exit\n", "Exit\n"), (b"\n", "\n")] {
        assert_eq!(String::from_utf8(heard(&client, &[word]).said).unwrap(), said);
    }
    let stood = heard(&client, &[b"exit\n"]);
    assert_eq!(stood.said, b"");
    let Next::End(Ending::Failed(verdict)) = stood.next else { panic!("it goes on") };
    assert_eq!((verdict.fault, verdict.side, verdict.place.line), (Fault::Misheard { line: 6 }, Side::Client, 3));
    assert_eq!(verdict.headline(), "`exit` would be heard as line 6");
    // A hole above it takes what fits it, and a narrower one below takes nothing from it.
    for (ways, word, rival) in [
        ("C: {_:int=1}\nor\n  C: {word}\n", &b"12\n"[..], Some(4)),
        ("C: {_:int=1}\nor\n  C: {word}\n", b"x\n", None),
        ("C: {word}\nor\n  C: {_:int=1}\n", b"12\n", None),
    ] {
        let text = format!("S: {{word}}\nrepeat\n  either\n  {ways}  end\n  S: ok\nend\nC: end\n");
        let client = script(&text, Side::Client, Carrier::Stream);
        let fault = match heard(&client, &[word, b"ok\n"]).next {
            Next::End(Ending::Failed(verdict)) => Some(verdict.fault),
            _ => None,
        };
        assert_eq!(fault, rival.map(|line| Fault::Misheard { line }), "{text}");
    }
}

#[test]
fn a_message_of_bytes_that_may_come_at_any_time_is_a_whole_datagram() {
    let text = "at any time\n  C hex: c0 00\n  S hex: d0 00\nend\nat any time\n  C hex: c1\n  S hex: d1\nend\n\
                C hex: 10\nS hex: 20\ntogether\n  C hex: 30\n  C hex: 31\nend\nS hex: 40\nC hex: 50\nS hex: 60\n";
    let server = script(text, Side::Server, Carrier::Datagram);
    let asked: [&[u8]; 7] = [b"\xc0\x00", b"\x10", b"\xc1", b"\xc0\x00", b"\x30\x31", b"\xc1", b"\x50"];
    let stood = heard(&server, &asked);
    assert_eq!(stood.said, b"\xd0\x00\x20\xd1\xd0\x00\x40\xd1\x60");
    assert!(matches!(&stood.next, Next::End(ending) if ending.is_success()), "{:?}", stood.next);
    // None begins inside another datagram, and behind none there is more.
    for wrong in [&[&b"\x10"[..], b"\x30\xc1"][..], &[b"\x10", b"\x30\xc1\x31"], &[b"\xc1\x10"], &[b"\x10\xc1"]] {
        assert!(matches!(heard(&server, wrong).next, Next::End(Ending::Failed(_))), "{wrong:?}");
    }
    // Over a stream nothing tells where one ends, and any of them may stand behind another one.
    let server = script(text, Side::Server, Carrier::Stream);
    let stood = heard(&server, &[b"\xc0\x00\x10\xc1\x30\x31\xc0\x00\x50"]);
    assert_eq!(stood.said, b"\xd0\x00\x20\xd1\x40\xd0\x00\x60");
}

#[test]
fn a_reset_is_right_only_where_it_is_written_or_where_the_other_side_may_leave() {
    for (text, side, pieces, right) in [
        ("C: a\nS resets\n", Side::Client, &[][..], true),
        ("C: a\nS: b\nC: c\n", Side::Client, &[], false),
        ("repeat\n  C: a\n  S: b\nend\n", Side::Server, &[], true),
        ("repeat\n  C: a\n  C: b\nend\n", Side::Server, &[&b"a\n"[..]], false),
        ("repeat\n  C: a\n  S: b\nend\n", Side::Server, &[b"a"], false),
        ("either\n  C: a\nor\n  C resets\nend\n", Side::Server, &[], true),
        ("either\n  C: a\nor\n  C closes\nend\n", Side::Server, &[], false),
    ] {
        let script = script(text, side, Carrier::Stream);
        let mut stood = heard(&script, pieces);
        let unread = if pieces == [&b"a"[..]] { &b"a"[..] } else { b"" };
        match stood.play.reset(&script, unread, &mut stood.scratch) {
            Ending::Failed(verdict) => {
                assert!(!right, "{text}");
                assert_eq!(verdict.fault, Fault::Reset, "{text}");
                let shown = if unread.is_empty() { "received  (a reset)\n" } else { "received  a\n" };
                assert!(verdict.render("").contains(shown), "{}", verdict.render(""));
            }
            ending => assert!(right, "{text} {ending:?}"),
        }
    }
}
