//! Pages that are imported, conversations that are recorded and files that are said or heard take no more memory than they
//! account for: random ones, and the worst of each kind, under an allocator that fails past a bound.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounded;
mod random;

use std::sync::Arc;

use bounded::Taken;
use random::Random;
use transcript::import::{Import, import};
use transcript::record::{Finished, Recorder, Recording, Secret};
use transcript::rehearse::rehearse;
use transcript::{
    Carrier, Ending, Fault, File, Files, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript,
};

const MIB: usize = 1 << 20;

fn rounds(usual: usize) -> usize {
    std::env::var("SOCKEYE_FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// What stands on pages, and what nobody expects there.
const PIECES: [&str; 34] = [
    "C: ",
    "S: ",
    "C:",
    "S:",
    "R: ",
    "I: ",
    "A: ",
    "B: ",
    "[C] ",
    "<U> ",
    "H> ",
    "C->S:",
    "S -> C: ",
    "Alice -> Bob",
    "F1 INVITE Alice -> Bob",
    ">> Request <<",
    "C & S: <TLS>",
    "<closes>",
    "{opens it}",
    "...",
    "\u{c}",
    "[Page 7]",
    "4.2.  Name",
    "HTTP/1.1",
    "250-a",
    "250 b",
    "   ",
    "\t",
    "\r",
    "---->",
    "<----",
    "{x",
    "\u{fffd}",
    "Example:",
];

fn page(random: &mut Random) -> String {
    let mut page = String::new();
    for _ in 0..random.below(200) {
        for _ in 0..random.below(5) {
            page.push_str(random.of(&PIECES));
            if random.below(20) == 0 {
                page.push_str(&"x ".repeat(random.below(3000)));
            }
        }
        page.push('\n');
    }
    page
}

#[test]
fn random_pages_take_a_few_times_their_size() {
    let mut random = Random(71);
    let mut taken = Taken::begin();
    let mut imported = 0;
    for _ in 0..rounds(60) {
        let page = page(&mut random);
        taken.again();
        for client in [None, Some("A"), Some("alice"), Some("")] {
            let options = Import { session: 1 + random.below(2), starttls: random.below(2) == 0, client };
            if let Some(found) = import(&page, options) {
                imported += 1;
                Transcript::parse("t.talk", found.text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}\n{page}"));
            } else {
                assert!(!transcript::import::why_none(&page, client).is_empty());
            }
        }
        assert!(taken.most() < 2 * MIB + 100 * page.len(), "{} bytes for {}", taken.most(), page.len());
    }
    assert!(imported > 5 || rounds(1) != 1, "{imported} of the pages had a session: they are too wild");
}

/// The worst that a page of so many bytes can be.
#[test]
fn the_worst_pages_take_a_bounded_multiple_of_their_size() {
    let mut taken = Taken::begin();
    for line in [
        "\n",
        "C:\n",
        "S: 250-a\n 250-b\n x\n",
        "C: a\nS: b\n",
        "C: a\n b\n",
        "A:\nB:\n",
        "C->S:\n x\nS->C:\n",
        "C: <a b>\nS: x\n",
        "C: a\nS: b\n\nx\n\n\n",
        "\u{c}\n",
        "x\n",
    ] {
        let page = line.repeat(MIB / 8 / line.len());
        taken.again();
        let _ = import(&page, Import::default());
        assert!(taken.most() < 80 * page.len(), "{line:?}: {} for each byte", taken.most() / page.len());
    }
}

/// What a recorder keeps of a conversation, however it comes: 16 MiB to write it anew, and what is written of that.
const RECORDED: usize = 160 * MIB;

fn recorder(carrier: Carrier, times: bool) -> Recorder {
    let secrets = vec![Secret { name: "secret".to_owned(), value: b"hunter2".to_vec() }];
    Recorder::new(Recording { carrier, at: Some("tcp://127.0.0.1:1".to_owned()), secrets, times, ports: false })
}

#[test]
fn a_record_of_anything_takes_no_more_than_its_bound() {
    let mut random = Random(73);
    let mut taken = Taken::begin();
    for round in 0..rounds(4) {
        let carrier = if random.below(2) == 0 { Carrier::Stream } else { Carrier::Datagram };
        let mut recorder = recorder(carrier, random.below(2) == 0);
        taken.again();
        let (mut text, mut now) = (String::new(), 0);
        for _ in 0..random.below(2000) {
            let side = if random.below(2) == 0 { Side::Client } else { Side::Server };
            let long = if random.below(50) == 0 { random.below(200_000) } else { random.below(40) };
            let mut bytes: Vec<u8> = (0..long).map(|_| b"ab\xff\0\x01{x=}\xc3\xa9 "[random.below(12)]).collect();
            bytes.extend_from_slice(random.of(&["\n", "\r\n", "", "", "\r", "hunter2", "hunt"]).as_bytes());
            now += random.below(20_000_000) as u64;
            match random.below(100) {
                0 => recorder.ended(side),
                1 if random.below(10) == 0 => recorder.reset(side),
                2 if carrier == Carrier::Stream => recorder.secured(),
                _ => recorder.said(side, &bytes, Moment::from_nanos(now)),
            }
            text.push_str(&recorder.take());
            if random.below(3) == 0 {
                text.clear();
            }
        }
        let (Finished::Whole(_) | Finished::Rest(_)) = recorder.finish();
        drop(text);
        assert!(taken.most() < RECORDED, "round {round}: {} bytes", taken.most());
    }
}

/// Bytes that come one by one, datagrams with nothing in them, and a protocol whose messages never hold a line ending.
#[test]
fn a_record_of_many_small_pieces_is_bounded_as_well() {
    let mut taken = Taken::begin();
    for (carrier, bytes) in [
        (Carrier::Stream, &b"x"[..]),
        (Carrier::Stream, b"\0"),
        (Carrier::Stream, b"\n"),
        (Carrier::Datagram, b""),
        (Carrier::Datagram, b"x\n"),
    ] {
        let mut recorder = recorder(carrier, false);
        taken.again();
        let mut written = 0;
        for round in 0..300_000 {
            // Both speak by turns, so that no line is ever whole.
            let side = if round % 2 == 0 { Side::Client } else { Side::Server };
            recorder.said(side, bytes, Moment::default());
            written += recorder.take().len();
        }
        assert!(written > 300_000, "{written} bytes of the record were written: the others wait in memory");
        drop(recorder.finish());
        // What it keeps is bounded by 16 MiB, and all of this comes to more.
        assert!(taken.most() < 48 * MIB, "{bytes:?}: {} bytes", taken.most());
    }
}

/// A file that is as long as it says, or is not, or cannot be read.
#[derive(Debug)]
struct Strange {
    length: u64,
    /// From here on it cannot be read; `None` where it ends early.
    fails: Option<bool>,
    from: u64,
}

impl File for Strange {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        let there = self.length.min(self.from).saturating_sub(offset);
        if there == 0 && offset < self.length && self.fails == Some(true) {
            return Err(std::io::Error::other("a disk that is gone"));
        }
        let count = usize::try_from(there).unwrap_or(usize::MAX).min(into.len());
        into[..count].fill(b'x');
        Ok(count)
    }
}

#[derive(Debug)]
struct Folder([u64; 3]);

impl Files for Folder {
    fn open(&self, path: &str) -> std::io::Result<Arc<dyn File>> {
        let [length, from, fails] = self.0;
        match path {
            "strange" => Ok(Arc::new(Strange { length, from, fails: Some(fails == 1) })),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

#[test]
fn files_of_any_length_are_said_and_heard_a_piece_at_a_time() {
    let taken = Taken::begin();
    let texts =
        ["C: get\nS file: strange\n", "C: put\nC file: strange\nS: ok\n", "repeat 3\n  C: a\n  S file: strange\nend\n"];
    for text in texts {
        for file in [
            [0, 0, 0],
            [1, 1, 0],
            [70_000, 70_000, 0],
            [3 << 20, 2 << 20, 0],
            [3 << 20, 2 << 20, 1],
            [u64::MAX, u64::MAX, 0],
            [u64::MAX, 1 << 20, 1],
        ] {
            for carrier in [Carrier::Stream, Carrier::Datagram] {
                let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
                let prepare = |side| {
                    let options =
                        PlayOptions { files: Some(Arc::new(Folder(file))), ..PlayOptions::new(side, carrier) };
                    Script::prepare(&transcript, &options)
                };
                let (Ok(client), Ok(server)) = (prepare(Side::Client), prepare(Side::Server)) else {
                    assert!(carrier == Carrier::Datagram && file[0] > 65_507, "{text} {file:?}");
                    continue;
                };
                let played = rehearse(&client, &server, |all| all);
                let shrinks = file[1] < file[0];
                let faults = [&played.client, &played.server].map(|ending| match ending {
                    Ending::Failed(verdict) => Some(verdict.fault),
                    _ => None,
                });
                if shrinks {
                    assert!(faults.contains(&Some(Fault::FileShrank)), "{text} {file:?} {carrier:?}: {faults:?}");
                } else if file[0] < u64::MAX {
                    assert_eq!(faults, [None, None], "{text} {file:?} {carrier:?}");
                } else {
                    assert!(!played.finished, "{text}: it has no end");
                }
                heard_wrong(&server, carrier);
                assert!(taken.most() < 128 * MIB, "{text} {file:?}: {} bytes", taken.most());
            }
        }
    }
}

/// A peer that says something else than the file holds, and more than it.
fn heard_wrong(script: &Script, carrier: Carrier) {
    let (mut scratch, mut output) = (Scratch::new(), Output::default());
    for said in [&b"put\nxxxxy"[..], &[b'x'; 65_000], b"", b"put\n\0"] {
        let mut play = script.play();
        let (mut from, mut now) = (0, Moment::default());
        for _ in 0..200 {
            let datagram = carrier == Carrier::Datagram && from < said.len();
            let input = Input { bytes: &said[from..], datagram, ended: true, now };
            let step = play.step(script, input, &mut scratch, &mut output);
            from += step.consumed;
            output.clear();
            match step.next {
                Next::End(Ending::Failed(verdict)) => {
                    assert!(verdict.render("").starts_with("error: "));
                    break;
                }
                Next::End(_) | Next::Hear { until: None } => break,
                Next::Hear { until: Some(until) } | Next::Pause { until } => now = until,
                Next::Flush | Next::StopSending | Next::StartTls | Next::StopTls => {}
                Next::Over { .. } | Next::Connect { .. } | Next::Accept { .. } | Next::Listen { .. } => {
                    panic!("no transcript here has several connections")
                }
            }
        }
    }
}

/// Files whose every few bytes are a statement, a hole, a default or a mistake: they are refused before they take a
/// thousand times their size.
#[test]
fn a_file_of_nothing_but_tiny_parts_is_refused_in_words() {
    let mut taken = Taken::begin();
    let most = 2_000_001;
    for (text, why) in [
        ("C:\n".repeat(500_001), "a transcript holds 500000 statements, or as much in holes and defaults"),
        ("either\n".to_owned() + &"or\n".repeat(500_001), "a transcript holds 500000 statements"),
        (format!("C: {}\n", "{_}".repeat(most / 2 + 1)), "a transcript holds 500000 statements"),
        (format!("C: {{a={}}}\n", "|".repeat(most)), "a transcript holds 500000 statements"),
        ("x\n".repeat(50_000), "so much is wrong that the rest is not read"),
        (format!("C: {}\n", "{a".repeat(100_000)), ""),
    ] {
        taken.again();
        let refused = Transcript::parse("t.talk", text.as_bytes(), &[]);
        let most = taken.most();
        assert!(most < 900 * MIB, "{:.20}: {most} bytes", text);
        if !why.is_empty() {
            let findings = refused.expect_err("it is refused").findings;
            assert!(findings.iter().any(|finding| finding.message.contains(why)), "{:.20}", text);
        }
    }
}

/// A transcript of 1 MiB in which each line has the same regex compiled it 26,000 times, and took 1.2 GB.
#[test]
fn the_same_regex_in_each_line_is_compiled_once() {
    let mut taken = Taken::begin();
    for line in [
        "C: {_:/[a-z]{1,50}/=a}\nS: ok\n",
        "C: ok\nS: {_:/[a-z]{1,50}/=a} {_:/[0-9]{1,50}/=1}\n",
        "C raw: {_:/[a-z]{1,50}/=a}.\nS: ok\n",
        "C hex: {_:/[a-z]{1,50}/=61}2e\nS: ok\n",
        "not S: {_:/[b-z]{1,50}/=b}\nS: a\nC: ok\n",
    ] {
        let text = line.repeat((MIB / 4).div_ceil(line.len()));
        taken.again();
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
        let scripts = [Side::Client, Side::Server]
            .map(|side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap());
        let most = taken.most();
        assert!(most < 60 * MIB, "{line}: {most} bytes");
        drop(scripts);
    }
}

/// Regexes that differ are compiled each for itself, up to a bound.
#[test]
fn many_different_regexes_are_refused_at_the_line_that_goes_beyond() {
    let mut taken = Taken::begin();
    for (before, regex, behind) in [
        ("C: {_:/", "[a-z]{1,200}", "/=a}\nS: ok\n"),
        ("C hex: 2e {_:/", "(?:aa|bb){0,200}", "/=}2e\nS: ok\n"),
        ("S: ok\nC: {_:/x?", "[a-z]{1,200}", "/=a} {_:int=1}\n"),
    ] {
        let text: String = (0..20_000).map(|n| format!("{before}{regex}(?:{n})?{behind}")).collect();
        taken.again();
        let refused = Transcript::parse("t.talk", text.as_bytes(), &[]).expect_err("it is refused");
        let most = taken.most();
        assert!(most < 256 * MIB, "{regex}: {most} bytes");
        let [finding] = &refused.findings[..] else { panic!("one finding: {refused}") };
        assert!(finding.message.contains("grow larger than 64 MiB together"), "{refused}");
        let line = text.lines().nth(finding.line - 1).unwrap();
        assert!(line.contains(regex), "{line}");
    }
}

/// Text in a million pieces is heard byte by byte in the time that its bytes take.
#[test]
fn text_of_many_small_pieces_is_one_when_it_is_heard() {
    let pieces = "{0x01}".repeat(20_000);
    for text in [
        format!("C raw: {pieces}\nS: ok\n"),
        format!("C raw: {pieces}{{x=abc}};\nS: {{x}}\n"),
        format!("C: {pieces}\nS: ok\n"),
    ] {
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
        let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap();
        assert!(rehearse(&prepare(Side::Client), &prepare(Side::Server), |_| 1).is_success());
    }
}
