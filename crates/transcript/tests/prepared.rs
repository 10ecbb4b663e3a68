//! What is found before a play begins, by the side and by what carries it: refused where it cannot be, and only there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use transcript::rehearse::rehearse;
use transcript::{Carrier, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript};

fn prepared(text: &str, side: Side, carrier: Carrier) -> Result<Script, String> {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
    Script::prepare(&transcript, &PlayOptions::new(side, carrier)).map_err(|refused| refused.to_string())
}

#[test]
fn what_cannot_be_is_refused_on_what_cannot_carry_it() {
    use Carrier::{Datagram, Stream};
    use Side::{Client, Server};
    for (text, side, carrier, words) in [
        // The text, who cannot play it on what, and why; on the other it can be played.
        ("C: {n=a{0x0a}b}\nS: x\n", Client, Stream, "a value with a line ending in it cannot stand in a text line"),
        (
            "either\n  C raw: ab\nor\n  C raw: abc\nend\nS: x\n",
            Server,
            Stream,
            "where this message ends cannot be told",
        ),
        ("C: x\nC stops sending\nS: y\n", Client, Datagram, "`stops sending` has no meaning over datagrams"),
        ("C: x\nS resets\n", Server, Datagram, "`resets` has no meaning over datagrams"),
        ("C: x\nstarttls\nS: y\n", Server, Datagram, "`starttls` has no meaning over datagrams"),
        ("S: hi\nC: x\n", Server, Datagram, "a server cannot speak first over datagrams"),
        ("repeat\n  C: x\n  S: y\nend\nC closes\n", Server, Datagram, "nobody hears that the other side closes"),
    ] {
        let other = if carrier == Stream { Datagram } else { Stream };
        let refused = prepared(text, side, carrier).unwrap_err();
        assert!(refused.contains(words), "{text}: {refused}");
        assert!(prepared(text, side, other).is_ok(), "{text}");
    }
    // Nor does it matter who hears it, nor in what.
    assert!(prepared("C: {n=a{0x0a}b}\nS: x\n", Server, Stream).is_ok());
    assert!(prepared("C raw: {n=a{0x0a}b}.\nS: x\n", Client, Stream).is_ok());
    assert!(prepared("C: {n}\nS: x\n", Server, Stream).is_ok());
    assert!(prepared("C: {n}\nS: x\n", Client, Stream).unwrap_err().contains("nothing gives it a value"));
    // It has one where plays are counted.
    assert!(prepared("C: {play}\nS: x\n", Client, Stream).unwrap_err().contains("`load` gives each play its number"));
}

#[test]
fn a_server_that_speaks_first_in_some_way_does_not_play_over_datagrams() {
    let first = "a server cannot speak first over datagrams";
    for text in [
        "either\n  S: a\nor\n  S: b\nend\nC: c\n",
        "repeat 2\n  S: a\n  C: b\nend\n",
        "maybe\n  S: a\nend\nS: b\nC: c\n",
        "set k = a\nchoose {k}\nis a\n  S: a\nis b\n  C: b\n  S: c\nend\nC: d\n",
        "set k = z\nchoose {k}\nis a\n  C: b\n  S: c\nelse\n  S: a\nend\nC: d\n",
        "set k = a\nset j = b\nchoose {k}\nis a\n  choose {j}\n  is b\n    S: a\n  end\nend\nC: d\n",
        "set k = a\nchoose {k}\nis a\n  either\n    S: a\n  or\n    S: b\n  end\nend\nC: d\n",
        "set k = a\nrepeat 2\n  choose {k}\n  is a\n    S raw: a\n    C: b\n  end\nend\n",
        // Behind a way that is empty.
        "set k = a\nchoose {k}\nis a\nis b\n  C: b\n  S: c\nend\nS: d\nC: e\n",
    ] {
        for side in [Side::Client, Side::Server] {
            let refused = prepared(text, side, Carrier::Datagram).expect_err(text);
            assert!(refused.contains(first), "{text}{refused}");
            assert!(prepared(text, side, Carrier::Stream).is_ok(), "{text}");
        }
    }
    // A way that no value leads to is none.
    for text in [
        "set k = b\nchoose {k}\nis a\n  S: a\nis b\n  C: b\n  S: c\nend\nC: d\n",
        "set k = b\nchoose {k}\nis b\n  C: b\n  S: c\nelse\n  S: a\nend\nC: d\n",
        "C: {k=a}\nchoose {k}\nis a\n  S: a\nend\nC: d\n",
    ] {
        assert!(prepared(text, Side::Server, Carrier::Datagram).is_ok(), "{text}");
    }
}

#[test]
fn what_was_told_when_the_text_was_read_is_not_told_again() {
    let text = "C: {n=a|b}\nS: {n}\nrepeat\n  C: {x}\n  S: {x}\nend\nC: never\n";
    let script = prepared("C: {n=a|b}\nS: {n}\n", Side::Client, Carrier::Stream).unwrap();
    let lines: Vec<_> = script.warnings().iter().map(|warning| (warning.line, warning.message.as_str())).collect();
    assert_eq!(lines, [(1, "outside a loop only the first of the 2 defaults is said")]);
    assert!(prepared(text, Side::Server, Carrier::Stream).unwrap().warnings().is_empty());
    // One default is no list, and in a loop all of a list are said.
    for text in ["C: {n=a}\nS: {n}\n", "repeat\n  C: {n=a|b}\n  S: {n}\nend\n"] {
        assert!(prepared(text, Side::Client, Carrier::Stream).unwrap().warnings().is_empty(), "{text}");
    }
}

#[test]
fn each_setting_of_eol_reads_lines_at_a_choice_in_its_own_way() {
    for (eol, heard, said) in [
        ("", "a\r\nb\n", "<a>\r\n<b>\n"),
        ("eol any\n", "a\r\r\n", "<a\r>\r\n"),
        ("eol lf\n", "a\r\nb\n", "<a\r>\n<b>\n"),
        ("eol crlf\n", "a\r\nb\r\n", "<a>\r\n<b>\r\n"),
        ("eol crlf\n", "a\nb\r\n", ""),
    ] {
        // One value is needed for long, and another one is set: no batch is answered at once.
        for text in ["repeat\n  C: {x}\n  S: <{x}>\nend\n", "repeat\n  C: {x}\n  set y = {x}\n  S: <{y}>\nend\n"] {
            let script = prepared(&format!("{eol}{text}"), Side::Server, Carrier::Stream).unwrap();
            let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
            let input = Input { bytes: heard.as_bytes(), datagram: false, ended: false, now: Moment::default() };
            let step = play.step(&script, input, &mut scratch, &mut output);
            assert_eq!(String::from_utf8_lossy(&output.bytes), said, "{eol}{text}");
            assert_eq!(matches!(step.next, Next::End(_)), said.is_empty(), "{eol}{text}");
        }
    }
    // In a datagram an ending in the middle is text.
    let script = prepared("repeat\n  C: {x}\n  S: <{x}>\nend\n", Side::Server, Carrier::Datagram).unwrap();
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let input = Input { bytes: b"a\nb", datagram: true, ended: false, now: Moment::default() };
    play.step(&script, input, &mut scratch, &mut output);
    assert_eq!((output.bytes.as_slice(), output.datagrams.as_slice()), (&b"<a\nb>"[..], &[5][..]));
}

#[test]
fn a_batch_of_short_lines_is_answered_in_one_step() {
    for (text, side) in
        [("repeat\n  C: x\n  S: y\nend\n", Side::Server), ("repeat 9999\n  S: x\n  C: y\nend\n", Side::Client)]
    {
        let script = prepared(text, side, Carrier::Stream).unwrap();
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        let bytes = b"x\n".repeat(9_000);
        let input = Input { bytes: &bytes, datagram: false, ended: false, now: Moment::default() };
        let step = play.step(&script, input, &mut scratch, &mut output);
        assert_eq!((step.consumed, output.bytes.len()), (bytes.len(), bytes.len()), "{text}");
        assert!(matches!(step.next, Next::Hear { .. }), "{text}");
    }
}

#[test]
fn a_rehearsal_takes_as_long_as_its_pauses_and_no_end_goes_on_before_the_other_is_ready() {
    for (text, millis, client, server) in [
        ("C: a\nS waits 50ms\nS: b\nC waits 20ms\nC: c\n", 70, "a\nc\n", "b\n"),
        ("C: a\nS waits 50ms\nS: b\nstarttls\nC: c\nS waits 30ms\nS: d\n", 80, "a\nc\n", "b\nd\n"),
        ("C: a\nS: b\nC waits 40ms\nstarttls\nS: c\nC: d\nstoptls\nC: e\n", 40, "a\nd\ne\n", "b\nc\n"),
        ("C: a\nC stops sending\nS waits 10ms\nS: b\nS closes\n", 10, "a\n", "b\n"),
        ("C: a\nC waits 10ms\nC resets\n", 10, "a\n", ""),
    ] {
        let [ours, theirs] = [Side::Client, Side::Server].map(|side| prepared(text, side, Carrier::Stream).unwrap());
        for pieces in [1, usize::MAX] {
            let rehearsal = rehearse(&ours, &theirs, |all| pieces.min(all));
            assert!(rehearsal.is_success() && rehearsal.finished, "{text}: {rehearsal:?}");
            assert_eq!(rehearsal.took, Duration::from_millis(millis), "{text}");
            let said = [&rehearsal.from_client, &rehearsal.from_server].map(|said| String::from_utf8_lossy(said));
            assert_eq!(said, [client, server], "{text}");
        }
    }
}

#[test]
fn a_rehearsal_of_much_that_is_read_byte_by_byte_ends_soon() {
    let text = format!("C raw: {}\nS: ok\nC raw: {}\nS: ok\n", "x".repeat(200_000), "y".repeat(200_000));
    let [ours, theirs] = [Side::Client, Side::Server].map(|side| prepared(&text, side, Carrier::Stream).unwrap());
    let rehearsal = rehearse(&ours, &theirs, |all| all.min(700));
    assert!(rehearsal.is_success() && rehearsal.finished);
    assert_eq!((rehearsal.from_client.len(), rehearsal.from_server.as_slice()), (400_000, &b"ok\nok\n"[..]));
}

#[test]
fn what_a_websocket_cannot_have_is_refused_there_and_the_rest_is_not() {
    for (text, words, help) in [
        ("C: a\nC stops sending\nS: b\n", "`stops sending` has no meaning there", "write `closes`"),
        ("C: a\nS stops sending\nC: b\n", "`stops sending` has no meaning there", "write `closes`"),
        ("C: a\nstarttls\nS: b\n", "`starttls` has no meaning there", "write wss://"),
        ("C: a\nstarttls\nS: b\nstoptls\nC: c\n", "`stoptls` has no meaning there", "write tcp://"),
    ] {
        for side in [Side::Client, Side::Server] {
            let refused = prepared(text, side, Carrier::Messages).unwrap_err();
            assert!(refused.contains(words) && refused.contains(help), "{text}: {refused}");
        }
    }
    for text in ["C: a\nS: b\nC closes\n", "S: a\nC hex: 00\nS closes\n", "C: a\nS resets\n"] {
        for side in [Side::Client, Side::Server] {
            assert!(prepared(text, side, Carrier::Messages).is_ok(), "{text}");
        }
    }
}

#[test]
fn what_packets_of_a_unix_socket_cannot_have_is_refused_there_and_the_rest_is_not() {
    for (text, sides, words) in [
        ("C: a\nC resets\n", &[Side::Client][..], "`resets` has no meaning over packets of a Unix socket"),
        ("C: a\nS resets\n", &[Side::Server], "`resets` has no meaning over packets of a Unix socket"),
        ("C: a\nstarttls\nS: b\n", &[Side::Client, Side::Server], "`starttls` has no meaning over packets"),
        ("starttls\nC: a\nstoptls\nS: b\n", &[Side::Client, Side::Server], "`stoptls` has no meaning over packets"),
        ("C: a\nS closes\nC connects\nC: b\n", &[Side::Client, Side::Server], "`connects` has no meaning over packets"),
    ] {
        for side in [Side::Client, Side::Server] {
            match prepared(text, side, Carrier::Packet) {
                Ok(_) => assert!(!sides.contains(&side), "{text} {side}"),
                Err(refused) => assert!(sides.contains(&side) && refused.contains(words), "{text} {side}: {refused}"),
            }
        }
    }
    // They are those of one connection: a server speaks first, and either side stops sending and closes.
    for text in ["S: hi\nC: a\nS closes\n", "C: a\nC stops sending\nS: b\n", "repeat\n  C: x\nend\nC closes\n"] {
        for side in [Side::Client, Side::Server] {
            assert!(prepared(text, side, Carrier::Packet).is_ok(), "{text}");
        }
    }
    let long = format!("C: {}\n", "x".repeat(65_508));
    for (text, fits) in [(&long[..], false), (&long.replacen('x', "", 1), true)] {
        assert_eq!(prepared(text, Side::Client, Carrier::Packet).is_ok(), fits);
        assert!(prepared(text, Side::Client, Carrier::Stream).is_ok());
    }
}

#[test]
fn what_a_side_could_say_is_known_whatever_its_holes_hold() {
    let text = "C: HELO {me=x}\nS: 250 {x=m} at {y=n} is ready\nS: {z=hi}!\nC hex: 00 {n:1 bytes=01} ff\nS hex: 01 02\nC: {w=From} to {me}\n";
    let server = prepared(text, Side::Server, Carrier::Stream).unwrap();
    for (bytes, could) in [
        (&b"250 mail at home is ready"[..], true),
        (b"250 mail at home is ready\n", true),
        (b"250 mail at home is ready\r\n", true),
        (b"250  at  is ready", true),
        (b"250 at home is ready", false),
        (b"250 mail at is ready", false),
        (b"251 mail at home is ready", false),
        (b"250 mail at home is ready.", false),
        (b"250 is ready at home", false),
        (b"25", false),
        (b"!", true),
        (b"anything at all!", true),
        (b"! and more", false),
        (b"\x01\x02", true),
        (b"\x01\x02\x03", false),
        (b"\x01", false),
        (b"", false),
        // What the other side says.
        (b"HELO x", false),
        (b"\x00\x01\xff", false),
    ] {
        assert_eq!(server.could_say(bytes), could, "{}", String::from_utf8_lossy(bytes));
    }
    let folded = prepared(&format!("ignore case\n{text}"), Side::Client, Carrier::Stream).unwrap();
    for (bytes, could) in [
        (&b"HELO x"[..], true),
        (b"helo X\n", true),
        (b"Helo", false),
        (b"hell x", false),
        (b"a TO b", true),
        (b"a tob", false),
        (b"\x00\x07\xff", true),
        (b"\x00\xff", true),
        (b"\x00\x07\xfe", false),
        (b"250 mail at home is ready", false),
    ] {
        assert_eq!(folded.could_say(bytes), could, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn what_is_said_behind_a_counted_loop_must_have_a_value_too() {
    for (text, side, words) in [
        ("repeat 2\n  S: x\nend\nC: {name}\n", Side::Client, "the client must say {name}"),
        (
            "repeat 3\n  C: a\n  S: b\nend\nrepeat 2\n  C: c\nend\nS: {name}!\n",
            Side::Server,
            "the server must say {name}",
        ),
        ("repeat 2\n  repeat 2\n    S: x\n  end\n  C: {name}\nend\n", Side::Client, "the client must say {name}"),
    ] {
        let refused = prepared(text, side, Carrier::Stream).unwrap_err();
        assert!(refused.contains(words), "{text}: {refused}");
        assert!(prepared(text, side.other(), Carrier::Stream).is_ok(), "{text}");
        assert!(prepared(&text.replace("{name}", "{name=Ann}"), side, Carrier::Stream).is_ok(), "{text}");
    }
}

#[test]
fn a_client_plays_again_over_its_connection_what_it_begins_and_nobody_ends() {
    for (text, repeats) in [
        ("C: a\nS: b\n", true),
        ("repeat\n  C: {n=1|2}\n  S: {n}\nend\nC: end\n", true),
        ("either\n  C: a\nor\n  C: b\nend\nS: c\n", true),
        ("S: hi\nC: a\n", false),
        ("C: a\nS closes\n", false),
        ("C: a\nC stops sending\nS: b\n", false),
        ("C: a\nS resets\n", false),
        ("C: a\nS: b\nstarttls\nC: c\n", false),
    ] {
        assert_eq!(prepared(text, Side::Client, Carrier::Stream).unwrap().repeats(), repeats, "{text}");
    }
    assert!(prepared("C: a\nS: b\n", Side::Client, Carrier::Datagram).unwrap().repeats());
    assert!(prepared("C: a\nC closes\n", Side::Client, Carrier::Datagram).unwrap().repeats());
}
