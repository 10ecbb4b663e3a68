//! The law of records: a record, served and talked, gives the same bytes again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use transcript::record::{Finished, Recorder, Recording, Secret};
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
    let mut recorder = Recorder::new(Recording { carrier, at: None, secrets, times: false });
    let mut text = String::new();
    for happening in happenings {
        match happening {
            Happening::Said(side, bytes) => recorder.said(*side, bytes, Moment::default()),
            Happening::Ended(side) => recorder.ended(*side),
        }
        text.push_str(&recorder.take());
    }
    match recorder.finish() {
        Finished::Rest(rest) => text + &rest,
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
    let text = record(carrier, happenings, secrets.to_vec());
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
