//! Where TLS begins and ends: what is refused before anything is played, and that both ends agree on the rest.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use transcript::rehearse::rehearse;
use transcript::{Carrier, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript};

fn parsed(text: &str) -> Result<Transcript, String> {
    Transcript::parse("t.talk", text.as_bytes(), &[]).map_err(|refused| refused.to_string())
}

fn script(text: &str, side: Side, carrier: Carrier) -> Result<Script, String> {
    Script::prepare(&parsed(text)?, &PlayOptions::new(side, carrier)).map_err(|refused| refused.to_string())
}

#[test]
fn what_cannot_be_meant_is_refused_once_and_with_what_to_write() {
    for (text, message, help) in [
        ("stoptls\n", "there is no TLS here that could end", "write `starttls` where it begins"),
        ("C: a\nstarttls\nC: b\nstoptls\nS: c\nstoptls\n", "there is no TLS here", "`starttls`"),
        ("starttls\nC: a\nstarttls\n", "TLS has begun already", "`stoptls`"),
        ("starttls\nC: a\nC closes\nC connects\nC: b\nstoptls\n", "there is no TLS here", "`starttls`"),
        ("starttls\nC: a\nC2 connects\nC2: b\nstoptls\n", "there is no TLS here", "`starttls`"),
        ("either\n  C: a\nor\n  C: b\nend\nstoptls\n", "there is no TLS here", "`starttls`"),
        ("starttls\nC: a\ntogether\n  C: b\n  stoptls\nend\n", "`together` holds", "out of the block"),
        ("starttls\nC: a\nin any order\n  S: b\n  stoptls\nend\n", "`in any order`", "out of the block"),
        ("starttls\nmaybe\n  S: b\n  stoptls\nend\nC: a\n", "`maybe`", "out of the block"),
        ("starttls\nC: x\neither\n  stoptls\nor\n  C: a\nend\n", "cannot begin a way", "let a line stand before it"),
        ("starttls\nC: x\nrepeat\n  stoptls\n  C: a\nend\n", "cannot begin a way", "let a line stand before it"),
        ("starttls\nC: x\nstoptls now\n", "nothing follows `stoptls`", "on a line below"),
        ("starttls h2\nC: x\n", "nothing follows `starttls`", "`starttls alpn h2`"),
        ("starttls alpn:h2\nC: x\n", "nothing follows `starttls`", "`starttls alpn h2`"),
        ("starttls alpn= h2\nC: x\n", "nothing follows `starttls`", "`starttls alpn h2`"),
        ("starttls alpn\nC: x\n", "`alpn` names what is spoken inside", "`starttls alpn h2`"),
        ("starttls alpn h2, http/1.1\nC: x\n", "a comma is no part", "`starttls alpn h2  http/1.1`"),
        ("starttls alpn h2 h2\nC: x\n", "`h2` is offered twice", "write each protocol once"),
        ("C stoptls\n", "TLS ends for both sides at once", "write `stoptls`"),
        ("S stops tls\n", "TLS ends for both sides at once", "write `stoptls`"),
        ("stoptls # now\n", "", "stoptls"),
        ("Stoptls\n", "begins no statement", "`stoptls`"),
    ] {
        let refused = parsed(text).unwrap_err();
        assert!(refused.contains(message) && refused.contains(help), "{text}\n{refused}");
    }
    let long = format!("starttls alpn {}\nC: x\n", "x".repeat(256));
    assert!(parsed(&long).unwrap_err().contains("at most 255 bytes"));
}

#[test]
fn ways_that_differ_are_told_while_they_are_played_and_others_agree() {
    for (text, fails) in [
        ("starttls\nC: a\nS: b\nstoptls\nC: c\nS: d\n", false),
        ("starttls alpn h2 http/1.1\nC: a\nstoptls\nS: b\nstarttls\nC: c\n", false),
        ("C: a\neither\n  C: b\n  S: c\n  starttls\nor\n  C: d\nend\nC: e\nS: f\nstoptls\nS: g\n", false),
        ("repeat 3\n  C: a\n  starttls\n  C: b\n  stoptls\nend\nS: done\n", false),
        ("C: a\neither\n  C: b\n  S: c\n  starttls\nor\n  C: d\nend\nC: e\nS: f\nstarttls\nS: g\n", true),
        (
            "repeat\n  either\n    C: x\n    S: y\n    starttls\n  or\n    C: z\n    S: y\n    stoptls\n  end\nend\n",
            false,
        ),
        ("C: a\nstarttls\nC: b\nC closes\nC connects\nC: c\nstarttls\nC: d\nstoptls\nS: e\n", false),
    ] {
        let [client, server] = [Side::Client, Side::Server].map(|side| script(text, side, Carrier::Stream).unwrap());
        for piece in [1, usize::MAX] {
            let ends = rehearse(&client, &server, |all| all.min(piece));
            let (first, second) = (ends.client.is_success(), ends.server.is_success());
            assert_eq!((first, second), (!fails, !fails), "{text}{:?} {:?}", ends.client, ends.server);
        }
        assert!(client.has_tls() && server.stops_tls() == text.contains("stoptls"));
        assert!(!client.repeats());
    }
}

#[test]
fn datagrams_have_neither() {
    for (text, word) in [("C: a\nstarttls\nC: b\n", "starttls"), ("C: a\nstarttls alpn h2\nC: b\nstoptls\n", "stoptls")]
    {
        for side in [Side::Client, Side::Server] {
            let refused = script(text, side, Carrier::Datagram).unwrap_err();
            assert!(refused.contains(&format!("`{word}` has no meaning over datagrams")), "{refused}");
        }
    }
}

#[test]
fn the_layout_has_one_space_between_names() {
    let laid_out = transcript::format("  starttls   alpn  h2\thttp/1.1 \nC: a\n stoptls\t\n");
    assert_eq!(laid_out, "starttls alpn h2 http/1.1\nC: a\nstoptls\n");
    assert_eq!(transcript::format(&laid_out), laid_out);
}

#[test]
fn a_script_tells_whether_tls_begins_or_ends_in_it() {
    for (text, begins, ends) in [
        ("C: a\nS: b\n", false, false),
        ("C: starttls\nS: stoptls\nC closes\n", false, false),
        ("C: a\nstarttls\nC: b\n", true, false),
        ("repeat 2\n  C: a\n  starttls alpn h2\n  C: b\n  stoptls\nend\n", true, true),
    ] {
        for side in [Side::Client, Side::Server] {
            let script = script(text, side, Carrier::Stream).unwrap();
            assert_eq!((script.has_tls(), script.stops_tls()), (begins, ends), "{text}");
        }
    }
}

#[test]
fn who_goes_over_to_tls_is_told_what_is_to_be_spoken_inside() {
    for (names, offered) in [("", &[][..]), (" alpn h2", &["h2"]), (" alpn http/1.1 h2 x", &["http/1.1", "h2", "x"])] {
        let script = script(&format!("C: a\nstarttls{names}\nC: b\n"), Side::Client, Carrier::Stream).unwrap();
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        assert!(play.alpn(&script).is_empty());
        let input = Input { bytes: b"", datagram: false, ended: false, now: Moment::default() };
        let next = play.step(&script, input, &mut scratch, &mut output).next;
        assert!(matches!(next, Next::StartTls), "{next:?}");
        assert_eq!(play.alpn(&script), offered);
    }
}
