//! The language, statement by statement: what it means played from either side, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ending;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use ending::assert_went_as_written;
use transcript::rehearse::rehearse;
use transcript::{
    Carrier, Ending, Fault, File, Files, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript,
};

/// Files that are made up: a path that is a number is a file of so many bytes.
#[derive(Debug)]
struct MadeUp;

#[derive(Debug)]
struct Pattern(u64);

impl Files for MadeUp {
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        let opened = path.parse().map(|length| Arc::new(Pattern(length)) as Arc<dyn File>);
        opened.map_err(|_| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }
}

impl File for Pattern {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(usize::try_from(self.0 - offset).unwrap());
        for (index, byte) in into[..length].iter_mut().enumerate() {
            *byte = ((offset as usize + index) % 251) as u8;
        }
        Ok(length)
    }
}

fn parse(text: &str) -> Transcript {
    Transcript::parse("test.talk", text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"))
}

fn script_with(text: &str, side: Side, carrier: Carrier, set: &[(&str, &str)]) -> Script {
    let names: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
    let transcript =
        Transcript::parse("test.talk", text.as_bytes(), &names).unwrap_or_else(|refused| panic!("{refused}"));
    let mut options = PlayOptions::new(side, carrier);
    options.values =
        set.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect::<BTreeMap<_, _>>();
    options.files = Some(Arc::new(MadeUp));
    Script::prepare(&transcript, &options).unwrap_or_else(|refused| panic!("{refused}"))
}

fn script(text: &str, side: Side) -> Script {
    script_with(text, side, Carrier::Stream, &[])
}

/// What both said, the same however the bytes were cut.
#[track_caller]
fn said(text: &str) -> (String, String) {
    let (client, server) = (script(text, Side::Client), script(text, Side::Server));
    let whole = rehearse(&client, &server, |all| all);
    assert_went_as_written(&whole);
    for size in [1, 3] {
        let cut = rehearse(&client, &server, |_| size);
        assert_went_as_written(&cut);
        assert_eq!(whole.from_client, cut.from_client);
        assert_eq!(whole.from_server, cut.from_server);
    }
    (String::from_utf8(whole.from_client).unwrap(), String::from_utf8(whole.from_server).unwrap())
}

/// The first error of a text: line, column, message.
fn refusal(text: &str) -> String {
    match Transcript::parse("test.talk", text.as_bytes(), &[]) {
        Ok(_) => "nothing".to_owned(),
        Err(refused) => {
            let first = &refused.findings[0];
            format!("{}:{}: {}", first.line, first.column, first.message)
        }
    }
}

/// What a server says to these bytes, whole and byte by byte, and how the play ends.
#[track_caller]
fn answered(server: &Script, bytes: &[u8], ended: bool) -> (String, Result<(), Fault>) {
    let mut results = Vec::new();
    for size in [bytes.len().max(1), 1] {
        let (mut play, mut scratch, mut said) = (server.play(), Scratch::new(), Vec::new());
        let (mut held, mut ending) = (Vec::new(), None);
        let mut pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        pieces.insert(0, &[]);
        let count = pieces.len();
        'pieces: for (index, piece) in pieces.into_iter().enumerate() {
            held.extend_from_slice(piece);
            loop {
                let mut output = Output::default();
                let ended = ended && index + 1 == count;
                let input = Input { bytes: &held, datagram: false, ended, now: Moment::default() };
                let step = play.step(server, input, &mut scratch, &mut output);
                held.drain(..step.consumed);
                said.extend_from_slice(&output.bytes);
                match step.next {
                    Next::Hear { .. } => break,
                    Next::End(end) => {
                        ending = Some(end);
                        break 'pieces;
                    }
                    _ => {}
                }
            }
        }
        let result = match ending {
            Some(Ending::Failed(verdict)) => Err(verdict.fault),
            _ => Ok(()),
        };
        results.push((String::from_utf8(said).unwrap(), result));
    }
    assert_eq!(results[0], results[1], "the same whole and byte by byte");
    results.remove(0)
}

#[test]
fn the_examples_of_the_format_play_against_themselves() {
    let (client, server) = said(
        "eol crlf\nset user = mrose\nset secret = tanstaaf\nS: +OK {_=ready }<{stamp=1896.697170952@dbc.mtview.ca.us}>\n\
         let digest = md5 <{stamp}>{secret}\nC: APOP {user} {digest}\nS: +OK {_=maildrop locked}\nC: STAT\n\
         S: +OK {count:int=2} {octets:int=320}\n",
    );
    assert!(client.starts_with("APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"), "{client}");
    assert!(server.starts_with("+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n"));

    let (client, server) = said(
        "eol crlf\nset value = hello\nlet n = length {value}\nC: *3\nC: $3\nC: SET\nC: $3\nC: key\nC: ${n}\nC: {value}\n\
         S: +OK\nC: *2\nC: $3\nC: GET\nC: $3\nC: key\nS: ${n}\nS: {value}\n",
    );
    assert!(client.contains("$5\r\nhello\r\n"));
    assert_eq!(server, "+OK\r\n$5\r\nhello\r\n");

    let (_, server) = said(
        "eol crlf\nset body = {\"ok\":true}\nlet size = length {body}\nC: GET /status HTTP/1.1\nrepeat\n  C: {_=Host: localhost}\n\
         end\nC:\nS: HTTP/1.1 200 {_=OK}\nrepeat\n  either\n    S: Content-Length: {size}\n  or\n    \
         S: {_=Content-Type: application/json}\n  end\nend\nS:\nS raw: {body}\nS closes\n",
    );
    assert_eq!(server, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Type: application/json\r\n\r\n{\"ok\":true}");
    said("C hex: 10 10 0004 4d515454 04 02 003c 0004 66697368\nS hex: 20 02 {flag:1 bytes=00} 00\nC hex: c0 00\nS hex: d0 00\nC closes\n"
        .replace("C hex: 10 10", "# the rest of the bytes is UTF-8 by chance\nC hex: 10 10").replace("S hex: d0 00", "S hex: 50 00").replace("C hex: c0 00", "C hex: 40 00").as_str());
}

#[test]
fn a_let_is_made_from_what_was_heard() {
    let text = "C: {text=abc}\nlet n = length {text}\nlet code = base64 {text}{0x00}\nset key = k\n\
                let mac = hmac-sha1 key {text}\nS: {n} {code} {mac}\n";
    let (_, server) = said(text);
    assert!(server.starts_with("3 YWJjAA== "), "{server}");
    let server = script(text, Side::Server);
    assert!(answered(&server, b"four\n", false).0.starts_with("4 Zm91cgA= "));
}

#[test]
fn a_value_that_is_not_encoded_ends_the_play_and_nothing_else() {
    let text = "C: AUTH {token=c2FtAGxlZQ==}\nlet plain = unbase64 {token}\nC: next\nS: ok\n";
    said(text);
    let server = script(text, Side::Server);
    assert_eq!(answered(&server, b"AUTH %%%\nnext\n", false).1, Err(Fault::NotEncoded));
    assert_eq!(refusal("let x = unhex 0\nC: {x}\n"), "1:1: the value is not pairs of hex digits");
}

#[test]
fn a_let_needs_a_function_a_name_and_values_that_are_there() {
    assert_eq!(refusal("let x = lenght {y}\n"), "1:9: `lenght` is no function");
    assert_eq!(refusal("let x = length {y}\nC: {x}\n"), "1:16: {y} has no value yet");
    assert_eq!(refusal("let x = hmac-md5\n"), "1:1: `hmac-md5` needs the name that holds its key");
    assert_eq!(refusal("let x = hmac-md5 key abc\nC: {x}\n"), "1:18: {key} has no value yet");
    assert_eq!(refusal("let 1 = length a\n"), "1:5: `1` cannot be a name");
    assert_eq!(refusal("C: {x}\nlet x = length a\n"), "1:4: {x} has no value yet");
}

#[test]
fn a_name_counts_the_bytes_of_a_hole() {
    let text = "C: SET {n:int=5}\nC raw: {body:n bytes=hello}{0x0d0a}\nS: {n} {body}\n";
    assert_eq!(said(text), ("SET 5\nhello\r\n".to_owned(), "5 hello\n".to_owned()));
    let server = script(text, Side::Server);
    // The body may hold what would end it elsewhere.
    assert_eq!(answered(&server, b"SET 4\n\r\n\r\n\r\n", false).0, "");
    let raw = script("C: SET {n:int=5}\nC raw: {body:n bytes=hello}.\nS raw: {body}\n", Side::Server);
    assert_eq!(answered(&raw, b"SET 4\n..\n..", false), ("..\n.".to_owned(), Ok(())));
    assert_eq!(answered(&raw, b"SET 0\n.", false), (String::new(), Ok(())));
    assert_eq!(answered(&raw, b"SET -1\nabc", false).1, Err(Fault::NotACount));
    assert_eq!(answered(&raw, b"SET 99999999999\nabc", false).1, Err(Fault::NotACount));
}

#[test]
fn a_name_counts_bytes_within_its_own_message() {
    let text = "C raw: {n:int=3}:{body:n bytes=abc},\nS raw: {body}\n";
    assert_eq!(said(text).1, "abc");
    let server = script(text, Side::Server);
    assert_eq!(answered(&server, b"12:hello world!,", false).0, "hello world!");
}

#[test]
fn a_default_of_the_wrong_length_is_never_said() {
    let client = script("C: {size=3}\nS: ok\nC raw: {body:size bytes=four}\n", Side::Client);
    assert_eq!(answered(&client, b"ok\n", false), ("3\n".to_owned(), Err(Fault::WrongLength)));
    assert_eq!(
        refusal("set size = 3\nC raw: {body:size bytes=four}\n"),
        "2:25: the default is 4 bytes long, and {size} is 3"
    );
    assert_eq!(
        refusal("set size = x\nC raw: {b:size bytes=four}\n"),
        "2:8: {size} is `x`, which is no number of bytes"
    );
    assert_eq!(refusal("C raw: {body:size bytes=four}\n"), "1:8: {size} has no value yet");
}

#[test]
fn a_regex_must_match_the_whole_hole() {
    let text = "C: {code:/[0-9]{3}/=250} {rest:/[a-z ]*/=ok}\nS: {rest}\n";
    assert_eq!(said(text).1, "ok\n");
    let server = script(text, Side::Server);
    assert_eq!(answered(&server, b"123 all fine\n", false).0, "all fine\n");
    for wrong in ["12 x", "1234 x", "123 X", "123 "] {
        let line = format!("{wrong}\n");
        let expected = if wrong == "123 " { Ok(()) } else { Err(Fault::Differs) };
        assert_eq!(answered(&server, line.as_bytes(), false).1, expected, "{wrong}");
    }
    assert_eq!(refusal("C: {a:/b/=c}\n"), "1:4: the default `c` of {a} does not fit its own pattern");
}

#[test]
fn case_is_ignored_in_literal_text_only() {
    let text = "ignore case\nset token = Secret\nC: HELO {name=me}, TOKEN {token} End {mark=x} FIN\nS: {name}\n";
    said(text);
    let server = script(text, Side::Server);
    assert_eq!(answered(&server, b"helo YOU, token Secret eND y fin\n", false).0, "YOU\n");
    assert_eq!(answered(&server, b"HELO YOU, TOKEN SECRET END Y FIN\n", false).1, Err(Fault::Differs));
    let loops = script("ignore case\nrepeat\n  C: {n=a}\n  S: {n}!\nend\nC: EXIT\nS closes\n", Side::Server);
    assert_eq!(answered(&loops, b"Bob\neXiT\n", false), ("Bob!\n".to_owned(), Ok(())));
    let given = script_with("ignore case\nC: X {v}\nS: ok\n", Side::Server, Carrier::Stream, &[("v", "Abc")]);
    assert_eq!(answered(&given, b"x Abc\n", false).0, "ok\n");
    assert_eq!(answered(&given, b"x abc\n", false).1, Err(Fault::Differs));
    assert_eq!(refusal("C: a\nignore case\n"), "2:1: `ignore case` stands before the first message");
    assert_eq!(refusal("ignore cases\n"), "1:8: `ignore cases` is not a statement");
}

const EHLO: &str = "C: EHLO\nin any order\n  S: 250-STARTTLS\n  S: 250-SIZE {size=10}\n  S: 250-{_=8BITMIME}\nend\nS: 250 {_=DSN}\nC: {size}\n";

#[test]
fn lines_in_any_order_must_all_come() {
    let (client, server) = said(EHLO);
    assert_eq!(client, "EHLO\n10\n");
    assert_eq!(server, "250-STARTTLS\n250-SIZE 10\n250-8BITMIME\n250 DSN\n");
    let client = script(EHLO, Side::Client);
    assert_eq!(
        answered(&client, b"250-X\n250-SIZE 7\n250-STARTTLS\n250 ok\n", false),
        ("EHLO\n7\n".to_owned(), Ok(()))
    );
    // A line takes the first unused one that it fits.
    assert_eq!(answered(&client, b"250-X\n250-Y\n250-STARTTLS\n250 ok\n", false).1, Err(Fault::Differs));
    assert_eq!(answered(&client, b"250-X\n250 ok\n", false).1, Err(Fault::Differs));
    assert_eq!(answered(&client, b"250-X\n", true).1, Err(Fault::ClosedEarly));
}

#[test]
fn lines_in_any_order_may_begin_a_way_and_are_counted_anew_each_round() {
    let text = "repeat\n  in any order\n    C: a\n    C: b\n  end\n  S: both\nend\nC: exit\nS closes\n";
    assert_eq!(said(text), ("a\nb\nexit\n".to_owned(), "both\n".to_owned()));
    let server = script(text, Side::Server);
    assert_eq!(answered(&server, b"b\na\na\nb\nexit\n", false), ("both\nboth\n".to_owned(), Ok(())));
    assert_eq!(answered(&server, b"b\nb\n", false).1, Err(Fault::Differs));
    let many =
        format!("in any order\n{}end\nS: all\n", (0..70).map(|n| format!("  C: line {n}\n")).collect::<String>());
    let server = script(&many, Side::Server);
    let backwards: String = (0..70).rev().map(|n| format!("line {n}\n")).collect();
    assert_eq!(answered(&server, backwards.as_bytes(), false).0, "all\n");
}

/// Each would pass against everyone.
#[test]
fn files_and_blocks_in_which_nothing_is_said_are_refused() {
    for text in
        ["C waits 1s\n", "S waits 1ms\nC waits 1ms\n", "repeat 3\n  S waits 1ms\nend\n", "set x = 1\nC waits 1s\n"]
    {
        assert!(refusal(text).ends_with("nothing is said in this file"), "{text}");
    }
    for text in ["either\nend\nC: a\n", "either\nor\nend\nC: a\n", "C: a\neither\nor\nor\nend\n"] {
        assert!(refusal(text).ends_with(": the block is empty"), "{text}");
    }
    assert_eq!(refusal("either\n  C: a\nor\nor\n  C: b\nend\n"), "3:1: an empty branch hides those below it");
    // Who comes and goes has done something.
    script("C closes\n", Side::Server);
    script("C waits 1ms\nC closes\n", Side::Server);
}

#[test]
fn a_space_of_another_kind_behind_the_colon_is_named() {
    for (text, space) in [
        ("C:\u{a0}hi\n", "a no-break space (U+00A0)"),
        ("S:\u{3000}hi\n", "a full-width space (U+3000)"),
        ("S raw:\u{2009}hi\n", "a space of another width (U+2009)"),
    ] {
        let refused = refusal(text);
        assert!(refused.ends_with(&format!("{space} stands where a plain space should be")), "{refused}");
    }
    assert_eq!(refusal("C:\thi\n"), "1:1: a space must follow the colon");
}

/// What to write instead of the first mistake of a text.
fn help(text: &str) -> String {
    let refused = Transcript::parse("test.talk", text.as_bytes(), &[]).expect_err(text);
    refused.findings[0].help.clone().unwrap_or_default()
}

#[test]
fn what_stands_close_behind_the_colon_is_said_again_with_a_space() {
    for (text, instead) in [
        ("C:hi\n", "write `C: hi`"),
        ("C::hi: you\n", "write `C: hi: you`"),
        ("S raw:\thi\n", "write `S raw: hi`"),
        ("S2:\u{a0} hi\n", "write `S2: hi`"),
    ] {
        assert_eq!(help(text), instead, "{text}");
    }
}

#[test]
fn a_word_that_stands_alone_has_nothing_behind_it() {
    for (text, place, word) in [
        ("either way\n  C: a\nor\n  C: b\nend\n", "1:8", "either"),
        ("either\n  C: a\nor else\n  C: b\nend\n", "3:4", "or"),
        ("C: a\nmaybe not\n  S: b\nend\nS: c\n", "2:7", "maybe"),
        ("together now\n  C: a\n  C: b\nend\n", "1:10", "together"),
        ("repeat 2\n  C: a\nend here\n", "3:5", "end"),
    ] {
        assert_eq!(refusal(text), format!("{place}: nothing follows `{word}` on its line"), "{text}");
        assert_eq!(help(text), format!("write `{word}`, and a statement that follows it on a line below"));
    }
}

#[test]
fn what_lines_in_any_order_cannot_be() {
    assert_eq!(refusal("in any order\n  C: a\n  S: b\nend\n"), "3:3: `in any order` holds lines of one side only");
    assert_eq!(refusal("in any order\nend\n"), "1:1: the block is empty");
    assert_eq!(
        refusal("in any order\n  C: {x=1}\n  C: b{x=1}\nend\n"),
        "3:3: {x} is captured by two lines that may come in either order"
    );
    assert_eq!(
        refusal("in any order\n  C: a\n  C raw: b\nend\n"),
        "3:3: lines in any order are either all text lines or none of them: where one ends cannot be told"
    );
    let refused = refusal("in any order\n  C: {x=1}\n  C: b\nend\nset y = {z}\n");
    assert_eq!(refused, "5:9: {z} has no value yet");
}

#[test]
fn a_file_is_said_and_heard_in_pieces() {
    let text = "C: get\nS file: 200000\nS: done\nC file: 0\nC file: 70000\nC closes\n";
    let (client, server) = (script(text, Side::Client), script(text, Side::Server));
    for size in [usize::MAX, 1000] {
        let played = rehearse(&client, &server, |all| all.min(size));
        assert_went_as_written(&played);
        assert_eq!((played.from_client.len(), played.from_server.len()), (4 + 70_000, 200_000 + 5));
    }
    // What is held at a time is a piece, not the file.
    let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
    let input = Input { bytes: b"get\n", datagram: false, ended: false, now: Moment::default() };
    let step = play.step(&server, input, &mut scratch, &mut output);
    assert!(matches!(step.next, Next::Flush));
    assert!(output.bytes.len() <= 128 * 1024, "{}", output.bytes.len());
}

#[test]
fn a_file_that_differs_says_at_which_byte() {
    let server = script("C file: 1000\nS: same\n", Side::Server);
    let mut right: Vec<u8> = (0..1000_usize).map(|index| (index % 251) as u8).collect();
    assert_eq!(answered(&server, &right, false).0, "same\n");
    right[700] ^= 1;
    let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
    let input = Input { bytes: &right, datagram: false, ended: false, now: Moment::default() };
    let Next::End(Ending::Failed(verdict)) = play.step(&server, input, &mut scratch, &mut output).next else {
        panic!("it differs")
    };
    assert!(verdict.render("").contains("expected  byte 701 of 1000: {0xc6}{0xc7}"), "{}", verdict.render(""));
    assert_eq!(answered(&server, &right[..600], true).1, Err(Fault::ClosedEarly));
}

#[test]
fn a_file_stays_below_the_folder_and_must_be_there() {
    for path in ["/etc/passwd", "../x", "a/../../x"] {
        let text = format!("C file: {path}\n");
        assert_eq!(refusal(&text), format!("1:9: `{path}` is not below the transcript's folder"));
    }
    assert_eq!(refusal("C file:\n"), "1:1: `file:` names a file");
    let transcript = parse("C file: missing\n");
    let mut options = PlayOptions::new(Side::Client, Carrier::Stream);
    options.files = Some(Arc::new(MadeUp));
    let refused = Script::prepare(&transcript, &options).unwrap_err();
    assert_eq!(refused.findings[0].message, "`missing` cannot be read: no such file");
    assert_eq!(
        refusal("repeat\n  C file: 5\nend\nC: x\n"),
        "2:3: a file cannot begin a way: a listener could not tell it from the others"
    );
}

#[test]
fn what_is_no_line_may_take_long_as_long_as_it_comes() {
    let server = script("C raw: {body}END\nS: ok\n", Side::Server);
    let (mut play, mut scratch) = (server.play(), Scratch::new());
    let mut held = Vec::new();
    let minute = 60_000_000_000;
    for step in 0..40_u64 {
        held.extend_from_slice(&[b'x'; 70_000]);
        let mut output = Output::default();
        // Two minutes a piece: more than the five that a line would have, but each gains its 64 KiB.
        let now = Moment::from_nanos(step * 2 * minute);
        let input = Input { bytes: &held, datagram: false, ended: false, now };
        let step = play.step(&server, input, &mut scratch, &mut output);
        assert!(
            matches!(step.next, Next::Hear { until: Some(until) } if until == now.after(std::time::Duration::from_secs(300)))
        );
        assert_eq!(step.consumed, 0);
    }
    let input = Input { bytes: &held, datagram: false, ended: false, now: Moment::from_nanos(90 * minute) };
    let mut output = Output::default();
    let step = play.step(&server, input, &mut scratch, &mut output);
    assert!(
        matches!(step.next, Next::End(Ending::Failed(verdict)) if matches!(verdict.fault, Fault::NothingCame { .. }))
    );
}

#[test]
fn what_is_no_line_is_bounded() {
    let server = script("C raw: {body}END\nS: ok\n", Side::Server);
    let held = vec![b'x'; 16 * 1024 * 1024 + 1];
    let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
    let input = Input { bytes: &held, datagram: false, ended: false, now: Moment::default() };
    let step = play.step(&server, input, &mut scratch, &mut output);
    assert!(matches!(step.next, Next::End(Ending::Failed(verdict)) if matches!(verdict.fault, Fault::TooMuch { .. })));
}

#[test]
fn a_search_for_the_end_of_a_hole_goes_on_where_it_stood() {
    // Byte by byte over a megabyte: a search that began anew each time would look at half a terabyte.
    let server = script("C raw: {body}END\nS: {n=ok}\n", Side::Server);
    let mut bytes = vec![b'E'; 1_000_000];
    bytes.extend_from_slice(b"NEND");
    let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
    for length in 1..=bytes.len() {
        let input = Input { bytes: &bytes[..length], datagram: false, ended: false, now: Moment::default() };
        let step = play.step(&server, input, &mut scratch, &mut output);
        assert_eq!(step.consumed, if length == bytes.len() { length } else { 0 });
    }
    assert_eq!(output.bytes, b"ok\n");
}

#[test]
fn an_address_stands_in_the_settings() {
    let transcript = parse("transcript 1\nat tcp://127.0.0.1:0\nC: a\n");
    assert_eq!(transcript.settings().at.as_ref().unwrap().address, "tcp://127.0.0.1:0");
    assert_eq!(refusal("at\nC: a\n"), "1:1: `at` names an address");
    assert_eq!(refusal("at 1\nat 2\nC: a\n"), "2:1: `at` is given twice");
}

const STARTTLS: &str = "eol crlf\nS: 220 {_=mail.example ready}\nC: EHLO {me=client.example}\nin any order\n  S: 250-STARTTLS\n  \
                        S: 250-8BITMIME\nend\nS: 250 {_=DSN}\nC: STARTTLS\nS: 220 {_=go ahead}\nstarttls\nC: EHLO {me}\n\
                        S: 250 {_=AUTH PLAIN}\n";

#[test]
fn both_ends_go_over_to_tls_together() {
    let (client, server) = said(STARTTLS);
    assert!(client.ends_with("STARTTLS\r\nEHLO client.example\r\n") && server.ends_with("250 AUTH PLAIN\r\n"));
    assert_eq!(refusal("starttls now\n"), "1:10: nothing follows `starttls` on its line");
    assert!(refusal("repeat\n  starttls\nend\nC: x\n").contains("`starttls` cannot begin a way"));
    let transcript = parse(STARTTLS);
    assert!(Script::prepare(&transcript, &PlayOptions::new(Side::Server, Carrier::Stream)).unwrap().has_tls());
    let refused = Script::prepare(&transcript, &PlayOptions::new(Side::Client, Carrier::Datagram)).unwrap_err();
    assert!(refused.to_string().contains("`starttls` has no meaning over datagrams"), "{refused}");
}

/// Row 68 of the faults: what is said in clear behind the line that asks for TLS is not taken for what is said inside.
#[test]
fn clear_bytes_before_the_handshake_are_an_error() {
    let server = script("C: STARTTLS\nS: go ahead\nstarttls\nC: secret\nS: ok\n", Side::Server);
    let input = Input { bytes: b"STARTTLS\nsecret\n", datagram: false, ended: false, now: Moment::default() };
    let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
    let step = play.step(&server, input, &mut scratch, &mut output);
    let Next::End(Ending::Failed(verdict)) = step.next else { panic!("it fails") };
    assert_eq!(verdict.fault, Fault::ClearBytes);
    assert_eq!(verdict.headline(), "the client said more in clear before TLS began");
    assert_eq!(verdict.received, b"secret\n");
}

#[test]
fn a_timeout_of_bytes_and_a_count_of_nothing_are_told_in_their_own_words() {
    let fails = |text: &str, heard: &[u8]| {
        let transcript = Transcript::parse("x.talk", text.as_bytes(), &[]).unwrap();
        let script = Script::prepare(&transcript, &PlayOptions::new(Side::Client, Carrier::Stream)).unwrap();
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        let mut consumed = 0;
        for now in [0_u64, 60_000] {
            let now = Moment::from_nanos(now * 1_000_000);
            let input = Input { bytes: &heard[consumed..], datagram: false, ended: false, now };
            let step = play.step(&script, input, &mut scratch, &mut output);
            consumed += step.consumed;
            if let Next::End(Ending::Failed(verdict)) = step.next {
                return verdict.render("");
            }
        }
        panic!("it did not fail")
    };
    for (text, bytes) in
        [("S raw: login:\n", &b"log"[..]), ("S hex: 00 01 02\n", b"\0\x01"), ("S raw: {x:9 bytes}\n", b"ab")]
    {
        let told = fails(text, bytes);
        assert!(told.contains("not all of the bytes came") && !told.contains("use `raw:`"), "{told}");
    }
    let told = fails("S: login\n", b"log");
    assert!(told.contains("no whole line came") && told.contains("use `raw:`"), "{told}");
    let told = fails("S: {n}\nS raw: {body:n bytes}\n", b"\nabc");
    assert!(told.contains("{n} is empty, and should be a number of bytes"), "{told}");
}

#[test]
fn a_file_is_one_datagram_and_no_longer_than_one_can_be() {
    for (length, fits) in [(1, true), (5000, true), (65_507, true), (65_508, false), (1_000_000, false)] {
        let text = format!("C file: {length}\nS: ok\n");
        for (carrier, fits) in [(Carrier::Datagram, fits), (Carrier::Packet, fits), (Carrier::Stream, true)] {
            for side in [Side::Client, Side::Server] {
                let mut options = PlayOptions::new(side, carrier);
                options.files = Some(Arc::new(MadeUp));
                match Script::prepare(&parse(&text), &options) {
                    Ok(_) => assert!(fits, "{length} {carrier:?}"),
                    Err(refused) => {
                        let message = format!("`{length}` has {length} bytes, and a datagram holds 65507");
                        assert_eq!((&refused.findings[0].message, fits), (&message, false), "{carrier:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_value_that_makes_a_datagram_too_long_is_not_said() {
    for (text, length, fits) in [
        ("C: {x}\nS: {x}{x}.\n", 32_753, true),
        ("C: {x}\nS: {x}{x}.\n", 32_754, false),
        ("C: {x}\nS: {x}{x}.\n", 60_000, false),
        ("C: {x}\nS raw: {x}{x}\n", 32_753, true),
        ("C: {x}\nS raw: {x}{x}\n", 40_000, false),
        // Of several messages in one, and of several that are each one.
        ("C: {x}\ntogether\n  S raw: {x}\n  S raw: {x}\nend\n", 32_753, true),
        ("C: {x}\ntogether\n  S raw: {x}\n  S raw: {x}\nend\n", 40_000, false),
        ("C: {x}\nS: {x}\nS: {x}\n", 40_000, true),
    ] {
        for carrier in [Carrier::Datagram, Carrier::Packet] {
            let server = script_with(text, Side::Server, carrier, &[]);
            let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
            let input = Input { bytes: &vec![b'v'; length], datagram: true, ended: false, now: Moment::default() };
            match play.step(&server, input, &mut scratch, &mut output).next {
                Next::End(Ending::Done) => assert!(fits, "{length} {text}"),
                Next::End(Ending::Failed(verdict)) => {
                    assert_eq!((verdict.fault, fits), (Fault::MessageTooLarge { most: 65_507 }, false), "{text}");
                    assert!(output.datagrams.is_empty(), "{text}");
                }
                next => panic!("{length} {text}{next:?}"),
            }
        }
    }
}

#[test]
fn a_line_that_goes_on_where_it_should_end_differs_at_its_first_byte_too_many() {
    for (text, heard, byte) in [
        ("C: Hello\n", "Hello!", 6),
        ("C: Hello\n", "Hello, world", 6),
        ("C:\n", "x", 1),
        ("either\n  C: a\nor\n  C: ab\nend\n", "abc", 3),
        ("set x = Ann\nC: Hello, {x}!\n", "Hello, Ann!?", 12),
        ("C: Hello\n", "Hell", 5),
    ] {
        let server = script(text, Side::Server);
        let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
        let bytes = format!("{heard}\n");
        let input = Input { bytes: bytes.as_bytes(), datagram: false, ended: false, now: Moment::default() };
        let next = play.step(&server, input, &mut scratch, &mut output).next;
        let Next::End(Ending::Failed(verdict)) = next else { panic!("{text}{next:?}") };
        assert_eq!((verdict.byte, verdict.expected[0].matched), (Some(byte), byte - 1), "{text}{heard}");
    }
}

#[test]
fn what_did_not_come_is_told_with_the_place_of_its_line() {
    for (text, heard, line, column, width) in [
        ("C: a\nS: b\n  C: some more\n", "a\n", 3, 3, 12),
        ("    C: first\nC: b\n", "", 1, 5, 8),
        ("C: a\neither\n    C: x\nor\n  C: yy\nend\n", "a\n", 3, 5, 4),
        ("C: a\n\tC raw: bytes\n", "a\n", 2, 2, 12),
    ] {
        let server = script(text, Side::Server);
        let (mut play, mut scratch, mut output) = (server.play(), Scratch::new(), Output::default());
        let input = Input { bytes: heard.as_bytes(), datagram: false, ended: true, now: Moment::default() };
        let next = play.step(&server, input, &mut scratch, &mut output).next;
        let Next::End(Ending::Failed(verdict)) = next else { panic!("{text}{next:?}") };
        let place = verdict.place;
        assert_eq!((verdict.fault, place.line), (Fault::ClosedEarly, line), "{text}");
        assert_eq!((place.column, place.width), (column, width), "{text}");
    }
}
