//! Values that are new in each play, numbers as protocols write them, and bodies that are not written out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ending;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ending::assert_went_as_written;
use transcript::rehearse::rehearse;
use transcript::{
    Carrier, Clock, Ending, Fault, Fresh, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript,
};

fn parse(text: &str, given: &[&str]) -> Transcript {
    Transcript::parse("test.talk", text.as_bytes(), given).unwrap_or_else(|refused| panic!("{refused}"))
}

fn options(side: Side, seed: u64) -> PlayOptions {
    let mut options = PlayOptions::new(side, Carrier::Stream);
    options.fresh = Fresh { seed, clock: Clock::Still(Duration::from_secs(784_111_777)) };
    options
}

fn script(text: &str, side: Side, seed: u64) -> Script {
    Script::prepare(&parse(text, &[]), &options(side, seed)).unwrap_or_else(|refused| panic!("{refused}"))
}

fn refusal(text: &str) -> String {
    let parsed = Transcript::parse("test.talk", text.as_bytes(), &[]);
    let refused = parsed.and_then(|transcript| {
        Script::prepare(&transcript, &options(Side::Client, 0))?;
        Script::prepare(&transcript, &options(Side::Server, 0))
    });
    refused.expect_err(text).to_string()
}

/// What both said, the same however the bytes were cut.
#[track_caller]
fn said_by(text: &str, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let whole = rehearse(&script(text, Side::Client, seed), &script(text, Side::Server, seed + 1), |all| all);
    assert_went_as_written(&whole);
    for size in [1, 3] {
        let cut = rehearse(&script(text, Side::Client, seed), &script(text, Side::Server, seed + 1), |_| size);
        assert_went_as_written(&cut);
        assert_eq!((&whole.from_client, &whole.from_server), (&cut.from_client, &cut.from_server));
    }
    (whole.from_client, whole.from_server)
}

#[track_caller]
fn said(text: &str) -> (Vec<u8>, Vec<u8>) {
    said_by(text, 1)
}

/// How a server's play of these bytes ends.
fn ending(text: &str, bytes: &[u8]) -> Ending {
    let script = script(text, Side::Server, 0);
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let mut from = 0;
    for _ in 0..100 {
        let input = Input { bytes: &bytes[from..], datagram: false, ended: true, now: Moment::default() };
        let step = play.step(&script, input, &mut scratch, &mut output);
        from += step.consumed;
        if let Next::End(ending) = step.next {
            return ending;
        }
    }
    panic!("no end");
}

#[test]
fn a_random_value_is_made_by_whoever_says_it_first_and_the_other_side_takes_it() {
    let text = "let id = random 16 hex\nlet answer = random 6 digits\nrepeat 3\n  C: {id} please\n  S: {id} {answer}\n  C: {answer}\nend\n";
    let (client, server) = said(text);
    let client = String::from_utf8(client).unwrap();
    let ids: BTreeSet<&str> = client.lines().filter_map(|line| line.strip_suffix(" please")).collect();
    assert_eq!(ids.len(), 3, "{client}");
    assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    for (asked, answered) in client.lines().step_by(2).zip(String::from_utf8(server).unwrap().lines()) {
        assert!(answered.starts_with(asked.strip_suffix(" please").unwrap()), "{asked} {answered}");
    }
    // One seed says the same again, and another one something else.
    assert_eq!(said_by(text, 1), said_by(text, 1));
    assert_ne!(said_by(text, 1), said_by(text, 9));
}

#[test]
fn plays_of_one_script_have_values_of_their_own() {
    let script = script("let id = random uuid\nS: {id}\nS closes\n", Side::Server, 7);
    let play = || {
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        let input = Input { bytes: &[], datagram: false, ended: false, now: Moment::default() };
        play.step(&script, input, &mut scratch, &mut output);
        output.bytes
    };
    let all: BTreeSet<Vec<u8>> = (0..1000).map(|_| play()).collect();
    assert_eq!(all.len(), 1000);
}

#[test]
fn the_time_is_what_it_is_said_to_be_and_a_receiver_takes_any_time() {
    let text = "let http = time HTTP\nlet rfc = time RFC3339\nlet unix = time unix\nS: {http}\nS: {rfc} {unix}\nC: {http} {unix}\n";
    let (client, server) = said(text);
    assert_eq!(server, b"Sun, 06 Nov 1994 08:49:37 GMT\n1994-11-06T08:49:37Z 784111777\n");
    assert_eq!(client, b"Sun, 06 Nov 1994 08:49:37 GMT 784111777\n");
    let late = ending("let now = time HTTP\nC: {now}\n", b"Sat, 28 Nov 2026 15:31:20 GMT\n");
    assert!(late.is_success(), "{late:?}");
    let Ending::Failed(verdict) = ending("let now = time HTTP\nC: {now}\n", b"yesterday\n") else { panic!() };
    assert_eq!(verdict.fault, Fault::Differs);
}

#[test]
fn a_value_from_outside_wins_over_one_that_is_made() {
    let transcript = parse("let id = random 4 hex\nC: {id}\nS: {id}\n", &["id"]);
    let prepare = |side| {
        let mut options = options(side, 1);
        options.values = BTreeMap::from([("id".to_owned(), b"abcd".to_vec())]);
        Script::prepare(&transcript, &options).unwrap()
    };
    let rehearsal = rehearse(&prepare(Side::Client), &prepare(Side::Server), |all| all);
    assert_went_as_written(&rehearsal);
    assert_eq!((rehearsal.from_client, rehearsal.from_server), (b"abcd\n".to_vec(), b"abcd\n".to_vec()));
}

#[test]
fn numbers_stand_in_messages_as_they_are_written_and_are_decimal_elsewhere() {
    let text = "set body = hello\nlet n = length {body}\nC hex: {n:u16} {body}\nS hex: {size:u24le=258} {_:u8=7} {v:varint=300}\n\
                let more = sum {size} 4\nlet less = difference {size} 300\nC: {n} {size} {more} {less} {v} {v:hex} {v:4 HEX}\n";
    let (client, server) = said(text);
    assert_eq!(client, b"\x00\x05hello5 258 262 -42 300 12c 012C\n");
    assert_eq!(server, [0x02, 0x01, 0x00, 7, 0xac, 0x02]);
}

#[test]
fn a_number_counts_the_bytes_behind_it_in_one_message_and_in_later_ones() {
    let text = "C hex: {n:u16=3} {body:n bytes=616263} 0d0a\nS: got {body}\nC: {size:hex=1a}\nC raw: {_:size bytes=xyz…}{0x0d0a}\n";
    assert!(refusal(text).contains("the default of a number is decimal digits"));
    let text = text.replace("=1a", "=26");
    let (client, server) = said(&text);
    assert_eq!(client, b"\x00\x03abc\r\n1a\nxyzxyzxyzxyzxyzxyzxyzxyzxy\r\n");
    assert_eq!(server, b"got abc\n");
    let (client, _) = said("C hex: {k:varint=200} {b:k bytes=00…} {last:u8=1}\nS: {k}\n");
    assert_eq!(client.len(), 203);
    assert_eq!(client[..2], [0xc8, 0x01]);
}

#[test]
fn chunks_are_heard_by_their_length_until_the_last_one() {
    let text = "eol crlf\nS: HTTP/1.1 200 OK\nS: Transfer-Encoding: chunked\nS:\nrepeat\n  S: {n:hex=5}\n  S raw: {_:n bytes=ab…}{0x0d0a}\nend\nS: 0\nS:\n";
    let (_, server) = said(text);
    assert!(server.ends_with(b"5\r\nababa\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&server));
    let client = script(text, Side::Client, 0);
    let heard = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1F\r\n-------------------------------\r\n003\r\nabc\r\n0\r\n\r\n";
    for size in [1, 7, heard.len()] {
        let (mut play, mut scratch, mut output, mut from) = (client.play(), Scratch::new(), Output::default(), 0);
        let mut done = false;
        for upto in (0..=heard.len()).step_by(size).chain([heard.len()]) {
            let input = Input { bytes: &heard[from..upto], datagram: false, ended: false, now: Moment::default() };
            let step = play.step(&client, input, &mut scratch, &mut output);
            from += step.consumed;
            if let Next::End(ending) = step.next {
                assert!(ending.is_success(), "{ending:?}");
                done = true;
                break;
            }
        }
        assert!(done, "in pieces of {size}");
    }
}

#[test]
fn checksums_are_written_where_a_protocol_has_them() {
    // Modbus RTU: read one register of unit 1, the example of its specification; gdb: `$OK#9a`; NMEA 0183.
    let (client, _) = said(
        "set unit = 1\nlet c = crc16 {unit:u8}{0x03}{0x00}{0x00}{0x00}{0x01}\nC hex: 01 03 0000 0001 {c:u16le}\nS: ok\n",
    );
    assert_eq!(client, [1, 3, 0, 0, 0, 1, 0x84, 0x0a]);
    let (client, _) = said("set packet = OK\nlet c = sum8 {packet}\nC raw: ${packet}#{c:2 hex}\nS: {c}\n");
    assert_eq!(client, b"$OK#9a");
    let (client, _) = said("set s = GPGLL,5300.97914,N,00259.98174,E,125926,A\nlet c = xor8 {s}\nC: ${s}*{c:2 HEX}\n");
    assert!(client.ends_with(b"*28\n"));
    let (client, _) =
        said("C hex: {data:4 bytes=01020304}\nlet c = crc32 {data}\nC hex: {c:u32}\nlet h = hex {data}\nS: {h}\n");
    assert_eq!(client[4..], 0xb63c_fbcd_u32.to_be_bytes());
}

#[test]
fn a_body_is_repeated_up_to_its_length_and_dots_elsewhere_are_text() {
    let (client, server) =
        said("C raw: {_:10 bytes=abc…}\nS hex: {b:5 bytes=00ff…}\nC: {_=loading…} {_=x...}\nS raw: {_:4 bytes=a…}\n");
    assert_eq!(client, "abcabcabcaloading… x...\n".as_bytes());
    assert_eq!(server, "\u{0}".bytes().chain([255, 0, 255, 0]).chain("a…".bytes()).collect::<Vec<u8>>());
    let (client, _) = said("set n = 100000\nC raw: {body:n bytes=0123456789…}\nlet d = md5 {body}\nS: {d}\n");
    assert_eq!(client.len(), 100_000);
}

#[test]
fn a_number_of_a_row_is_written_as_each_play_needs_it() {
    let transcript = parse("let n = length {body}\nC hex: {n:u16} {body}\nS: {k:u8}\n", &["body", "k"]);
    let mut options = options(Side::Client, 0);
    options.columns = vec!["body".to_owned(), "k".to_owned()];
    let script = Script::prepare(&transcript, &options).unwrap();
    for (body, k) in [("a", "65"), ("abc", "66")] {
        let row = script.row(&[body, k]).unwrap();
        let (mut play, mut scratch, mut output) = (script.play_with(&row), Scratch::new(), Output::default());
        let answer = format!("{}\n", char::from(k.parse::<u8>().unwrap()));
        let input = Input { bytes: answer.as_bytes(), datagram: false, ended: false, now: Moment::default() };
        let step = play.step(&script, input, &mut scratch, &mut output);
        assert!(matches!(&step.next, Next::End(ending) if ending.is_success()), "{step:?}");
        assert_eq!(output.bytes, [&[0, body.len() as u8], body.as_bytes()].concat());
    }
    assert!(script.row(&["a", "256"]).is_err() && script.row(&["a", "x"]).is_err());
}

#[test]
fn a_number_that_does_not_fit_is_told_before_or_while_it_is_played() {
    assert!(refusal("set n = 256\nC hex: {n:u8}\n").contains("{n} is `256`, which is no number that fits into u8"));
    let Ending::Failed(verdict) = ending("C: {n:int=5}\nS hex: {n:u8}\n", b"300\n") else { panic!() };
    assert_eq!(verdict.headline(), "{n:u8} cannot be written: the value is `300`");
    let Ending::Failed(verdict) = ending("C: {n:hex=5}\nS: ok\n", b"5g\n") else { panic!() };
    assert_eq!(verdict.fault, Fault::Differs);
    let Ending::Failed(verdict) = ending("C: {n=5}\nlet m = sum {n} 1\nS: {m}\n", b"five\n") else { panic!() };
    assert_eq!(verdict.fault, Fault::NotEncoded);
    let Ending::Failed(verdict) = ending("C: {n=5}\nS hex: {n:u8}\n", b"\n") else { panic!() };
    assert_eq!(verdict.headline(), "{n:u8} cannot be written: the value is empty");
    assert!(refusal("set n =\nC hex: {n:u8}\n").contains("{n} is empty, and should be a number that fits into u8"));
    assert!(refusal("C: {n:int=}\nS: ok\n").contains("the default of {n} is empty, and does not fit its own pattern"));
    assert!(
        refusal("C hex: {n:u8=}\nS: ok\n").contains("the default of {n} is empty, and does not fit its own pattern")
    );
}

#[test]
fn a_function_that_is_given_something_else_says_what_it_takes() {
    for (function, value, why) in [
        ("sum {x} 1", "one", "the value is not whole numbers with spaces between them, of at most 64 bits"),
        ("difference 1 {x}", "1,2", "the value is not whole numbers with spaces between them, of at most 64 bits"),
        ("sum {x} 1", "18446744073709551615", "the sum is a number of more than 64 bits"),
        ("difference 0 {x}", "18446744073709551615", "the difference is a number of more than 64 bits"),
        ("difference {x} 1", "-9223372036854775808", "the difference is a number of more than 64 bits"),
        ("unhex {x}", "zz", "the value is not pairs of hex digits"),
        ("unbase64 {x}", "a", "the value is not base64 (RFC 4648)"),
    ] {
        let text = format!(
            "C: {{x={}}}\nlet b = {function}\nS: {{b}}\n",
            if function.contains("base") { "YQ==" } else { "12" }
        );
        let Ending::Failed(verdict) = ending(&text, format!("{value}\n").as_bytes()) else { panic!("{function}") };
        assert_eq!((verdict.fault, verdict.place.line), (Fault::NotEncoded, 2));
        assert_eq!(verdict.headline(), format!("{{b}} cannot be made: {why}"));
    }
}

#[test]
fn a_sum_that_is_too_large_is_told_before_anything_is_played() {
    for (formula, name) in [
        ("difference 0 18446744073709551615", "difference"),
        ("sum 18446744073709551615 1", "sum"),
        ("sum -9223372036854775808 -1", "sum"),
    ] {
        let told = refusal(&format!("let y = {formula}\nC: {{y}}\nS: ok\n"));
        assert!(told.contains(&format!("the {name} is a number of more than 64 bits")), "{told}");
        assert!(told.contains("between -9223372036854775808 and 18446744073709551615"), "{told}");
    }
    let told = refusal("let y = sum 18446744073709551616 1\nC: {y}\nS: ok\n");
    assert!(told.contains("the value is not whole numbers with spaces between them, of at most 64 bits"), "{told}");
}

#[test]
fn a_number_of_64_bits_goes_into_sums() {
    let text = "C hex: {a:u64=1}\nlet b = sum {a} -1\nS: {b}\n";
    for (heard, said) in [(u64::MAX, u64::MAX - 1), (1 << 63, i64::MAX as u64), (7, 6)] {
        let script = script(text, Side::Server, 0);
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        let input = Input { bytes: &heard.to_be_bytes(), datagram: false, ended: false, now: Moment::default() };
        play.step(&script, input, &mut scratch, &mut output);
        assert_eq!(output.bytes, format!("{said}\n").as_bytes());
    }
}

#[test]
fn what_is_no_encoding_is_answered_with_one_that_works() {
    for (function, help) in [
        ("unhex 0x1234", "write `unhex 1234`"),
        ("unhex 12 34", "write `unhex 1234`"),
        ("unhex 12:34:aF", "write `unhex 1234aF`"),
        ("unhex \\x0d\\x0a", "write `unhex 0d0a`"),
        ("unhex abc", "write `unhex 0abc`"),
        ("unbase64 YWI", "write `unbase64 YWI=`"),
        ("unbase64 -_-_", "write `unbase64 +/+/`"),
        ("unbase64 YQ == ", "write `unbase64 YQ==`"),
        ("unhex hello", "`unhex` reads pairs of hex digits, without spaces and without 0x: `unhex 4869`"),
        ("unbase64 !", "`unbase64` reads base64 with its `=`: `unbase64 SGk=`"),
    ] {
        let told = refusal(&format!("let n = {function}\nC hex: {{n}}\n"));
        assert!(told.contains(help), "{function}: {told}");
        if let Some((_, written)) = help.split_once("write `") {
            let written = written.trim_end_matches('`');
            script(&format!("let n = {written}\nC hex: {{n}}\n"), Side::Client, 0);
        }
    }
}

#[test]
fn what_is_written_wrong_is_refused_with_what_to_write() {
    for (text, words) in [
        ("C: {id}\nlet id = random 4 hex\nS: {id}\n", "{id} has a value already, from line 1"),
        ("let id = random 4 hex\nset id = x\nC: {id}\n", "another line gives {id} a value too"),
        ("let id = random 4 hex\nlet id = random 5 hex\nC: {id}\n", "another line makes {id} in another way"),
        ("let id = random 4 hex\nC: {id:word=x}\n", "write {id}"),
        ("let id = random 4 hex\nlet d = md5 {id}\nC: {id} {d}\n", "move this line below that message"),
        ("let id = random 4 bytes\nC: {id}\n", "say it with `raw:`"),
        ("C: {n:u16=1} {n}\n", "{n} is written in two ways in one message"),
        ("C raw: {_:9 bytes=abc}\n", "write `…` behind it: {_:9 bytes=abc…}"),
        ("C hex: {x=00…}\n", "`…` says a default again and again"),
        ("C raw: {n:9 bytes=aa…|bb…}\n", "a default that is repeated stands alone"),
        ("C raw: {n:9 bytes=…}\n", "nothing stands before `…`"),
        ("C: {n:uint16_t=1}\n", "write `{n:u16=1}`"),
        ("let n = add {x} 1\nC: {n}\n", "did you mean `sum`?"),
        ("let n = crc {x}\nC: {n}\n", "did you mean `crc32`?"),
        ("let n = random hex 16\nC: {n}\n", "write `let n = random 16 hex`"),
        ("let n = time http\nC: {n}\n", "write `let n = time HTTP`"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(words), "{text}\n{refused}");
    }
}

#[test]
fn a_transcript_tells_whether_anything_in_it_is_random() {
    for (text, is_random) in [
        ("let id = random 16 hex\nC: {id}\n", true),
        ("at any time\n  S: who\n  let id = random uuid\n  C: {id}\nend\nC: a\nS: b\n", true),
        ("repeat\n  C: a\n  either\n    S: b\n  or\n    let id = random 4 digits\n    S: {id}\n  end\nend\n", true),
        ("let now = time unix\nC: {now}\n", false),
        ("C: {id=1}\n", false),
    ] {
        assert_eq!(parse(text, &[]).has_random(), is_random, "{text}");
    }
}

#[test]
fn a_number_is_read_where_it_is_captured_and_compared_as_text_where_it_has_a_value() {
    let hears = |text: &str, came: &str| ending(text, format!("{came}\n").as_bytes()).is_success();
    for pattern in ["hex", "HEX"] {
        for came in ["1a", "1A", "001A"] {
            assert!(hears(&format!("C: {{n:{pattern}=26}}\nS: {{n}}\n"), came), "{pattern} {came}");
        }
    }
    for (pattern, written) in [("hex", "1a"), ("HEX", "1A"), ("4 hex", "001a"), ("4 HEX", "001A")] {
        for came in ["1a", "1A", "001a", "001A", "26"] {
            let text = format!("set n = 26\nC: {{n:{pattern}}}\nS: ok\n");
            assert_eq!(hears(&text, came), came == written, "{pattern} {came}");
            // It does not matter whether the value was set or heard.
            let text = format!("C: {{n=26}}\nC: {{n:{pattern}}}\nS: ok\n");
            assert_eq!(hears(&text, &format!("26\n{came}")), came == written, "{pattern} {came}");
        }
    }
}
