//! The law of records: a record, served and talked, gives the same bytes again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use transcript::record::{Connection, Finished, Recorder, Recording, Secret};
use transcript::rehearse::rehearse;
use transcript::{Carrier, Ending, Moment, PlayOptions, Script, Side, Transcript};

#[derive(Debug, Clone)]
enum Happening {
    Said(Side, Vec<u8>),
    Ended(Side),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"hello".to_vec()),
        Just(b"{name}".to_vec()),
        Just(b"{0x41}{a:int=".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"C: x".to_vec()),
        Just("\u{feff}é\u{202e}".as_bytes().to_vec()),
        Just(b"sesame".to_vec()),
        proptest::collection::vec(any::<u8>(), 1..40),
    ];
    proptest::collection::vec(word, 1..8).prop_map(|words| words.concat())
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Server)]
}

fn conversation() -> impl Strategy<Value = Vec<Happening>> {
    let said = (side(), bytes()).prop_map(|(side, bytes)| Happening::Said(side, bytes));
    (proptest::collection::vec(said, 0..12), 0..14_usize, side()).prop_map(|(mut all, at, first)| {
        // One side ends somewhere, says nothing more, and the other ends last.
        let at = at.min(all.len());
        let rest = all.split_off(at);
        all.push(Happening::Ended(first));
        all.extend(
            rest.into_iter().filter(|happening| !matches!(happening, Happening::Said(side, _) if *side == first)),
        );
        all.push(Happening::Ended(first.other()));
        all
    })
}

fn record(carrier: Carrier, happenings: &[Happening], secrets: Vec<Secret>) -> String {
    let mut recorder = Recorder::new(Recording { carrier, at: None, secrets, times: false, ports: false });
    let mut text = String::new();
    for happening in happenings {
        hear(&mut recorder, happening);
        text.push_str(&recorder.take());
    }
    finished(recorder, text)
}

fn hear(recorder: &mut Recorder, happening: &Happening) {
    match happening {
        Happening::Said(side, bytes) => recorder.said(*side, bytes, Moment::default()),
        Happening::Ended(side) => recorder.ended(*side),
    }
}

/// The whole record, of which this was taken before.
fn finished(recorder: Recorder, taken: String) -> String {
    match recorder.finish() {
        Finished::Rest(rest) => taken + &rest,
        Finished::Whole(whole) => whole,
    }
}

fn said_by(happenings: &[Happening], who: Side) -> Vec<u8> {
    let said = happenings.iter().filter_map(|happening| match happening {
        Happening::Said(side, bytes) if *side == who => Some(bytes.clone()),
        _ => None,
    });
    said.collect::<Vec<_>>().concat()
}

#[track_caller]
fn check(carrier: Carrier, happenings: &[Happening], secrets: &[Secret]) {
    gives(&record(carrier, happenings, secrets.to_vec()), carrier, happenings, secrets);
}

/// Played by both ends, a record gives what was said.
#[track_caller]
fn gives(text: &str, carrier: Carrier, happenings: &[Happening], secrets: &[Secret]) {
    let names: Vec<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
    let transcript =
        Transcript::parse("record.talk", text.as_bytes(), &names).unwrap_or_else(|refused| panic!("{refused}\n{text}"));
    let script = |side| {
        let mut options = PlayOptions::new(side, carrier);
        options.values = secrets.iter().map(|secret| (secret.name.clone(), secret.value.clone())).collect();
        Script::prepare(&transcript, &options).unwrap_or_else(|refused| panic!("{refused}\n{text}"))
    };
    let (client, server) = (script(Side::Client), script(Side::Server));
    for size in [usize::MAX, 1] {
        let played = rehearse(&client, &server, |all| all.min(size));
        for ending in [&played.client, &played.server] {
            if let Ending::Failed(verdict) = ending {
                panic!("{}\n{text}", verdict.render(""));
            }
        }
        assert_eq!(played.from_client, said_by(happenings, Side::Client), "{text}");
        assert_eq!(played.from_server, said_by(happenings, Side::Server), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_of_a_stream_gives_the_same_bytes_again(happenings in conversation()) {
        check(Carrier::Stream, &happenings, &[]);
    }

    #[test]
    fn so_does_one_with_a_secret_that_stands_nowhere_in_it(happenings in conversation()) {
        let secret = Secret { name: "password".to_owned(), value: b"sesame".to_vec() };
        let text = record(Carrier::Stream, &happenings, vec![secret.clone()]);
        prop_assert!(!text.contains("sesame"), "{}", text);
        check(Carrier::Stream, &happenings, &[secret]);
    }

    #[test]
    fn a_record_of_datagrams_gives_the_same_datagrams_again(pairs in proptest::collection::vec((bytes(), bytes()), 1..6)) {
        let happenings: Vec<Happening> = pairs
            .into_iter()
            .flat_map(|(question, answer)| {
                [Happening::Said(Side::Client, question), Happening::Said(Side::Server, answer)]
            })
            .collect();
        check(Carrier::Datagram, &happenings, &[]);
    }
}

/// What happens over one of several connections.
#[derive(Debug, Clone)]
enum Step {
    Connects(u8),
    Over(u8, Happening),
}

/// Something that is meant to happen over a connection; what cannot is left out.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let meant = (1..4_u8, side(), bytes(), 0..8_u8);
    proptest::collection::vec(meant, 1..30).prop_map(|meant| {
        let (mut steps, mut open) = (Vec::new(), [None, Some([false; 2]), None, None]);
        for (number, side, bytes, what) in meant {
            let Some(ended) = &mut open[usize::from(number)] else {
                steps.push(Step::Connects(number));
                open[usize::from(number)] = Some([false; 2]);
                continue;
            };
            let has_ended = &mut ended[usize::from(side == Side::Server)];
            if std::mem::replace(has_ended, *has_ended || what < 2) {
                continue;
            }
            let happening = if what < 2 { Happening::Ended(side) } else { Happening::Said(side, bytes) };
            steps.push(Step::Over(number, happening));
            if *ended == [true; 2] {
                open[usize::from(number)] = None;
            }
        }
        for (number, ended) in (1..).zip(&open[1..]) {
            for (side, has_ended) in [Side::Server, Side::Client].into_iter().zip(ended.iter().flatten().rev()) {
                if !has_ended {
                    steps.push(Step::Over(number, Happening::Ended(side)));
                }
            }
        }
        steps
    })
}

fn record_steps(steps: &[Step]) -> String {
    let recording = Recording { carrier: Carrier::Stream, at: None, secrets: vec![], times: false, ports: false };
    let (mut recorder, mut known) = (Recorder::new(recording), [Connection::default(); 4]);
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Connects(number) => {
                known[usize::from(*number)] = recorder.connects(*number, Side::Client, None, Moment::default());
            }
            Step::Over(number, happening) => hear(recorder.over(known[usize::from(*number)]), happening),
        }
        text.push_str(&recorder.take());
    }
    finished(recorder, text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_of_several_connections_gives_the_same_bytes_again(steps in steps()) {
        let happenings: Vec<Happening> = steps.iter().filter_map(|step| match step {
            Step::Over(_, happening) => Some(happening.clone()),
            Step::Connects(_) => None,
        }).collect();
        gives(&record_steps(&steps), Carrier::Stream, &happenings, &[]);
    }
}

/// What was recorded, as lines without their head.
fn body(recorder: Recorder) -> String {
    let (Finished::Rest(text) | Finished::Whole(text)) = recorder.finish();
    text.strip_prefix("transcript 1\neol lf\n").unwrap_or(&text).to_owned()
}

fn several(ports: bool) -> Recorder {
    Recorder::new(Recording { carrier: Carrier::Stream, at: None, secrets: vec![], times: false, ports })
}

#[test]
fn how_a_side_ended_stands_where_it_did_though_it_is_known_later() {
    use Side::{Client, Server};
    let now = Moment::default();
    for (goes_on, end) in [(false, "closes"), (true, "stops sending")] {
        let mut recorder = several(false);
        recorder.said(Client, b"a\n", now);
        let second = recorder.connects(2, Client, None, now);
        recorder.over(second).said(Client, b"b\n", now);
        recorder.over(second).ended(Client);
        let before = recorder.take();
        assert!(before.ends_with("C: a\nC2 connects\nC2: b\n"), "{before}");
        recorder.over(Connection::default()).said(Server, b"c\n", now);
        // It waits: what is above it is not known.
        assert_eq!(recorder.take(), "");
        if goes_on {
            recorder.over(second).said(Server, b"d\n", now);
        }
        recorder.over(second).ended(Server);
        recorder.over(Connection::default()).ended(Server);
        let rest = body(recorder);
        let said_more = if goes_on { "S2: d\nS2 closes\n" } else { "" };
        assert_eq!(rest, format!("C2 {end}\nS: c\n{said_more}S closes\n"));
    }
    // It does not wait for ever: a side that ended says no more in any case.
    let mut recorder = several(false);
    let second = recorder.connects(2, Client, None, now);
    recorder.over(second).said(Client, b"b\n", now);
    recorder.over(second).ended(Client);
    for _ in 0..40 {
        recorder.over(Connection::default()).said(Server, &[b'x'; 40_000], now);
        recorder.said(Server, b"\n", now);
    }
    let so_far = recorder.take();
    assert!(so_far.contains("C2 stops sending\nS: xx"), "{} bytes", so_far.len());
    recorder.over(second).ended(Server);
    recorder.over(Connection::default()).ended(Server);
    let rest = body(recorder);
    assert!(rest.contains("S2 closes\n") && rest.ends_with("S closes\n"), "{rest}");
}

#[test]
fn what_waits_for_how_one_connection_ended_does_not_count_for_the_next() {
    use Side::{Client, Server};
    let now = Moment::default();
    let mut recorder = several(false);
    let first = Connection::default();
    let (second, third) = (recorder.connects(2, Client, None, now), recorder.connects(3, Client, None, now));
    for ends in [first, second] {
        recorder.over(ends).ended(Client);
        // More than half of what may wait.
        for _ in 0..20 {
            recorder.over(third).said(Server, &[b'x'; 35_000], now);
            recorder.over(third).said(Server, b"\n", now);
        }
        recorder.over(ends).ended(Server);
    }
    let rest = body(recorder);
    assert!(rest.contains("C closes\nS3: xx") && rest.contains("C2 closes\nS3: xx"), "{} bytes", rest.len());
    assert!(!rest.contains("stops sending"), "{} bytes", rest.len());
}

#[test]
fn what_is_told_of_a_connection_that_another_one_follows_is_of_the_past() {
    let now = Moment::default();
    let mut recorder = several(false);
    recorder.said(Side::Client, b"a\n", now);
    recorder.ended(Side::Client);
    let again = recorder.connects(1, Side::Client, None, now);
    // The first one's end, and a word behind it, come only now.
    recorder.over(Connection::default()).said(Side::Server, b"late\n", now);
    recorder.over(Connection::default()).ended(Side::Server);
    recorder.over(again).said(Side::Server, b"b\n", now);
    recorder.over(again).ended(Side::Server);
    assert_eq!(body(recorder), "C: a\nC closes\nC connects\nS: b\nS closes\n");
}

#[test]
fn a_port_is_written_as_a_hole_where_it_was_told() {
    use Side::{Client, Server};
    let now = Moment::default();
    for (told, written) in [
        (&b"229 ok (|||51213|)\n"[..], "S: 229 ok (|||{port}|)"),
        (b"227 ok (127,0,0,1,200,13)\n", "S: 227 ok (127,0,0,1,{port:p1,p2})"),
        (b"\x05\0\0\x01\xc8\x0d", "S hex: 05 00 00 01 {port:u16}"),
        (b"151213 512130 51213\n", "S: 151213 512130 {port}"),
    ] {
        let mut recorder = several(true);
        recorder.said(Client, b"51213\n", now);
        recorder.said(Server, b"51213 is another one, told before\n", now);
        recorder.said(Server, told, now);
        recorder.said(Client, b"RETR\n", now);
        assert_eq!(recorder.take(), "");
        let second = recorder.connects(2, Client, Some(51213), now);
        recorder.over(second).said(Server, b"data\n", now);
        recorder.over(second).ended(Server);
        let before = "C: 51213\nS: 51213 is another one, told before";
        let text = format!("transcript 1\neol lf\n{}", body(recorder));
        let whole = format!(
            "transcript 1\neol lf\n{before}\n{written}\nC: RETR\nC2 connects to {{port}}\nS2: data\nS2 closes\n"
        );
        // Where its digits stand inside others too, those are the same hole.
        if !written.contains("151213") {
            assert_eq!(text, whole);
        }
        let transcript = Transcript::parse("record.talk", text.as_bytes(), &[]).unwrap();
        let script = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap();
        let played = rehearse(&script(Client), &script(Server), |all| all);
        assert!(played.client.is_success() && played.server.is_success(), "{text}");
    }
}

#[test]
fn each_port_has_a_name_of_its_own_and_what_is_not_found_is_said() {
    use Side::{Client, Server};
    let now = Moment::default();
    let secret = Secret { name: "port".to_owned(), value: b"sesame".to_vec() };
    let recording = Recording { carrier: Carrier::Stream, at: None, secrets: vec![secret], times: false, ports: true };
    let mut recorder = Recorder::new(recording);
    for port in [4001, 4002, 4003] {
        recorder.over(Connection::default()).said(Client, format!("PORT {port} sesame\n").as_bytes(), now);
        let data = recorder.connects(2, Server, Some(port), now);
        recorder.over(data).ended(Server);
        recorder.over(data).ended(Client);
    }
    let told = |name: &str| format!("C: PORT {{{name}}} {{port}}\nS2 connects to {{{name}}}\nS2 closes\n");
    assert_eq!(body(recorder), told("port2") + &told("port3") + &told("port4"));

    let mut recorder = several(true);
    recorder.said(Server, b"1234\n", now);
    recorder.connects(2, Client, Some(4001), now);
    recorder.said(Server, b"data\n", now);
    let text = body(recorder);
    assert_eq!(text, "S: 1234\n# to port 4001, which does not stand in what the server said\nC2 connects\nS2: data\n");
    let mut recorder = several(true);
    recorder.said(Client, b"1234\n", now);
    recorder.connects(2, Server, Some(4001), now);
    recorder.said(Server, b"data\n", now);
    let text = body(recorder);
    assert!(text.starts_with("C: 1234\n# the server connected to port 4001") && !text.contains("data"), "{text}");
}

#[test]
fn a_long_binary_stream_is_written_as_it_comes() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    let happenings = vec![
        Happening::Said(Side::Client, b"get\r\n".to_vec()),
        Happening::Said(Side::Server, bytes),
        Happening::Ended(Side::Server),
        Happening::Ended(Side::Client),
    ];
    check(Carrier::Stream, &happenings, &[]);
}
