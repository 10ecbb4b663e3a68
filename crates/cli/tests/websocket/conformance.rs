//! The protocol itself (RFC 6455), case by case, as the suite of Autobahn has them: an echo keeps the kind and the bounds of messages, answers
//! pings, and says by which code it ends.

use std::io::Write;

use super::{BINARY, CLOSE, PING, PONG, TEXT, code, frame, hear, open};
use crate::support::*;

/// What a client sends and what it hears back: whole frames, by their first byte.
struct Case {
    what: &'static str,
    sent: Vec<Vec<u8>>,
    heard: Vec<(u8, Vec<u8>)>,
}

fn case(what: &'static str, sent: &[(u8, &[u8])], heard: &[(u8, &[u8])]) -> Case {
    Case {
        what,
        sent: sent.iter().map(|(first, payload)| frame(*first, payload)).collect(),
        heard: heard.iter().map(|(first, payload)| (*first, payload.to_vec())).collect(),
    }
}

/// The same where it ends with this code.
fn ends(what: &'static str, sent: &[(u8, &[u8])], heard: &[(u8, &[u8])], number: u16) -> Case {
    let mut case = case(what, sent, heard);
    case.heard.push((CLOSE, code(number)));
    case
}

/// What begins a message of text or bytes, goes on with it, and ends it.
const TEXT_BEGINS: u8 = 0x01;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

/// Those of a server that answers: what came before it broke the protocol, or before it said its end, is answered first.
fn cases_of_answers() -> Vec<Case> {
    vec![
        ends("what came before is answered", &[(TEXT, b"a"), (ENDS, b"x")], &[(TEXT, b"a")], 1002),
        ends(
            "what came before a close is",
            &[(TEXT, b"a"), (BINARY, b""), (CLOSE, &code(4000))],
            &[(TEXT, b"a"), (BINARY, b"")],
            4000,
        ),
    ]
}

fn cases() -> Vec<Case> {
    let greek = "κόσμε".as_bytes();
    let mut cases = vec![
        case("an empty text", &[(TEXT, b"")], &[(TEXT, b"")]),
        case("an empty binary message", &[(BINARY, b"")], &[(BINARY, b"")]),
        case("a text that ends in a line feed", &[(TEXT, b"a\n")], &[(TEXT, b"a\n")]),
        case("a text of several lines", &[(TEXT, b"a\nb\r\n\r\nc")], &[(TEXT, b"a\nb\r\n\r\nc")]),
        case("binary that is text", &[(BINARY, b"text\n")], &[(BINARY, b"text\n")]),
        case("binary that is no text", &[(BINARY, b"\xff\0\xfe")], &[(BINARY, b"\xff\0\xfe")]),
        case(
            "several at once",
            &[(TEXT, b"a"), (BINARY, b"b"), (TEXT, b"c")],
            &[(TEXT, b"a"), (BINARY, b"b"), (TEXT, b"c")],
        ),
        case("a ping without anything", &[(PING, b"")], &[(PONG, b"")]),
        case("a ping", &[(PING, b"\0\xff\xfe")], &[(PONG, b"\0\xff\xfe")]),
        case("the longest ping", &[(PING, &[7; 125])], &[(PONG, &[7; 125])]),
        ends("a ping that is too long", &[(PING, &[7; 126])], &[], 1002),
        case("a pong that nobody asked for", &[(PONG, b"x"), (TEXT, b"a")], &[(TEXT, b"a")]),
        case(
            "pings are answered each and in order",
            &[(PING, b"1"), (PING, b"2"), (PING, b"3")],
            &[(PONG, b"1"), (PONG, b"2"), (PONG, b"3")],
        ),
        case("a text in two", &[(TEXT_BEGINS, b"he"), (ENDS, b"llo")], &[(TEXT, b"hello")]),
        case("binary in three", &[(BINARY_BEGINS, b"\xff"), (GOES_ON, b""), (ENDS, b"\0")], &[(BINARY, b"\xff\0")]),
        case("a text of empty pieces", &[(TEXT_BEGINS, b""), (GOES_ON, b""), (ENDS, b"")], &[(TEXT, b"")]),
        case(
            "a ping between the pieces",
            &[(TEXT_BEGINS, b"he"), (PING, b"!"), (ENDS, b"llo")],
            &[(PONG, b"!"), (TEXT, b"hello")],
        ),
        ends("a ping in pieces", &[(0x09, b"a"), (ENDS, b"b")], &[], 1002),
        ends("a close in pieces", &[(0x08, b"\x03\xe8"), (ENDS, b"b")], &[], 1002),
        ends("an end of a message that did not begin", &[(ENDS, b"x")], &[], 1002),
        ends("a piece of one", &[(GOES_ON, b"x")], &[], 1002),
        ends("a message inside another", &[(TEXT_BEGINS, b"a"), (TEXT, b"b")], &[], 1002),
        case("a letter cut into pieces", &[(TEXT_BEGINS, &greek[..3]), (ENDS, &greek[3..])], &[(TEXT, greek)]),
        case("the last letter there is", &[(TEXT, "\u{10ffff}".as_bytes())], &[(TEXT, "\u{10ffff}".as_bytes())]),
        case("no letters, but text", &[(TEXT, "\u{fffe}\0".as_bytes())], &[(TEXT, "\u{fffe}\0".as_bytes())]),
        ends("a byte that is no text", &[(TEXT, b"a\xff")], &[], 1007),
        ends("half a letter", &[(TEXT, b"\xce")], &[], 1007),
        ends("a surrogate", &[(TEXT, b"\xed\xa0\x80")], &[], 1007),
        ends("a letter written longer than it is", &[(TEXT, b"\xc0\xaf")], &[], 1007),
        ends("behind the last letter", &[(TEXT, b"\xf4\x90\x80\x80")], &[], 1007),
        ends("half a letter at the end of pieces", &[(TEXT_BEGINS, b"a"), (ENDS, b"\xce")], &[], 1007),
        case("a close without a code", &[(CLOSE, b"")], &[(CLOSE, b"")]),
        ends("a close", &[(CLOSE, &code(1000))], &[], 1000),
        case("a close with words", &[(CLOSE, b"\x03\xe8bye")], &[(CLOSE, b"\x03\xe8bye")]),
        ends("a close by an application", &[(CLOSE, &code(4999))], &[], 4999),
        ends("a close of one byte", &[(CLOSE, b"\x03")], &[], 1002),
        ends("a close whose words are no text", &[(CLOSE, b"\x03\xe8\xff")], &[], 1007),
        ends("a close that is too long", &[(CLOSE, &[3; 126])], &[], 1002),
        ends("what comes behind a close is not heard", &[(CLOSE, &code(1000)), (TEXT, b"late")], &[], 1000),
    ];
    for length in [125, 126, 127, 128, 65_535, 65_536, 1 << 20] {
        let text: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
        cases.push(case("a text of a length", &[(TEXT, &text)], &[(TEXT, &text)]));
        let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 256) as u8).collect();
        cases.push(case("binary of a length", &[(BINARY, &bytes)], &[(BINARY, &bytes)]));
    }
    for first in [0x91, 0xa1, 0xc1, 0xd9, 0xf8] {
        cases.push(ends("a bit that nothing gave a meaning", &[(first, b"x")], &[], 1002));
    }
    for kind in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push(ends("a kind that there is not", &[(0x80 | kind, b"x")], &[], 1002));
    }
    // Those that are not to be sent (section 7.4.2).
    for number in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        cases.push(Case {
            what: "a code that is none",
            sent: vec![frame(CLOSE, &code(number))],
            heard: vec![(CLOSE, [code(1002), b"Protocol violation".to_vec()].concat())],
        });
    }
    cases.push(Case { what: "no mask", sent: vec![b"\x81\x01x".to_vec()], heard: vec![(CLOSE, code(1002))] });
    cases
}

/// Each, and each byte by byte where that is not too much.
#[track_caller]
fn hold(server: &Server, cases: Vec<Case>) {
    for Case { what, sent, heard } in cases {
        let all = sent.concat();
        for piece in [all.len(), 1].into_iter().filter(|_| all.len() < 1000).chain([all.len()]) {
            let mut client = open(server);
            client.set_nodelay(true).unwrap();
            let mut writer = client.try_clone().unwrap();
            let bytes = all.clone();
            // What the other end does not take any more is no matter here.
            let writing = std::thread::spawn(move || bytes.chunks(piece).try_for_each(|piece| writer.write_all(piece)));
            for (index, expected) in heard.iter().enumerate() {
                let (first, payload) = message(&mut client);
                let shown = |bytes: &[u8]| text(&bytes[..bytes.len().min(40)]);
                let (is, wanted) = ((first, shown(&payload)), (expected.0, shown(&expected.1)));
                assert_eq!(
                    is,
                    wanted,
                    "{what}, frame {index}, in pieces of {piece}: {:02x?}",
                    &all[..all.len().min(20)]
                );
                assert!(payload == expected.1, "{what}");
            }
            let _ = writing.join();
        }
    }
}

/// A message, which may come in pieces.
fn message(client: &mut std::net::TcpStream) -> (u8, Vec<u8>) {
    let (first, mut payload) = hear(client);
    let mut last = first;
    while last & 0x80 == 0 {
        let (next, mut piece) = hear(client);
        assert_eq!(next & 0x7f, 0, "a piece of the same message");
        payload.append(&mut piece);
        last = next;
    }
    (first | 0x80, payload)
}

#[test]
fn an_echo_does_what_the_protocol_says() {
    let server = Server::start_at(&["ws://127.0.0.1:0"], &["--echo"]);
    hold(&server, cases());
    hold(&server, cases_of_answers());
}

/// Through a relay from WebSocket to WebSocket each message stays what it was.
#[test]
fn a_relay_between_two_of_them_does_too() {
    let echo = Server::start_at(&["ws://127.0.0.1:0"], &["--echo"]);
    let relay = Server::relay(&["ws://127.0.0.1:0", &format!("ws://{}", echo.address())], &[]);
    hold(&relay, cases());
}
