//! Fuzz targets, the parser and the player on both carriers, over everything in `transcripts/`, `transcripts/broken/` and the reference, changed at
//! random and always in the same way. `SOCKEYE_FUZZ=1000000 cargo test --release -p sockeye-transcript --test fuzz` goes on for long.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod random;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use random::Random;
use transcript::{
    Carrier, Ending, File, Files, Input, Moment, Next, Output, PlayOptions, Scratch, Script, Side, Transcript, format,
};

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../transcripts");
    let mut paths = Vec::new();
    for folder in [folder.clone(), folder.join("broken")] {
        paths.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "talk"));
    // Not in the order of the folder, which is another one on each machine.
    paths.sort();
    let files = paths.iter().map(|path| std::fs::read(path).unwrap());
    // The reference has an example of everything that can be written.
    let reference = std::fs::read_to_string(folder.join("../docs/transcript.md")).unwrap();
    let examples = reference.split("```talk\n").skip(1).filter_map(|rest| rest.split("```").next());
    files.chain(examples.map(|example| example.as_bytes().to_vec())).filter(|text| text.len() < 8192).collect()
}

fn rounds(usual: usize) -> usize {
    std::env::var("SOCKEYE_FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// Pieces that mean something, where nobody expects them.
const PIECES: [&str; 71] = [
    "{",
    "}",
    "{x",
    "{x:",
    "{x=",
    "{0x",
    "{_}",
    "{x:word}",
    "{x:9 bytes=a}",
    "{n:n bytes}",
    "{x:/(a*)*b/=b}",
    "\r",
    "\0",
    "S",
    "repeat 4294967295\n",
    "repeat\n",
    "either\n",
    "or\n",
    "end\n",
    "S closes\n",
    "C waits 9s\n",
    "starttls\n",
    "together\n",
    "in any order\n",
    "C raw: {a=1}-{b=2}the end\n",
    "S raw: {n:int=2} {d:n bytes=ab}{e=x}\n",
    "C closes\n",
    "ignore case\n",
    "{a=1}-{b=2}x",
    "C hex: {l:1 bytes=00} 41\n",
    "{n:u16=5}",
    "{n:hex=5}",
    "{n:varint}",
    "C hex: {n:u8=3} {d:n bytes=61…}\n",
    "{x:9 bytes=a…}",
    "let n = random 4 hex\n",
    "let n = time HTTP\n",
    "let n = sum {n} 4\n",
    "not S: {_}\n",
    "not C: x\n",
    "maybe\n  S: x\nend\n",
    "S closes\nC connects\n",
    "C closes\nC waits 1ms\nC connects\n",
    "C2 connects\n",
    "C2: a\n",
    "S2: {x=b}\n",
    "S2 raw: {x:2 bytes=ab}\n",
    "S2 closes\n",
    "S: ({port:p1,p2})\nC2 connects to {port}\n",
    "C: {port}\nS3 connects to {port}\nS3: x\nC3 resets\n",
    "choose {x}\nis a\n  S: 1\nis b\n  C: 2\nelse\n  S: 3\nend\n",
    "choose {name}\nis \n",
    "else\n",
    "at any time\n  S: p{t=1}\n  C: q{t}\nend\n",
    "at any time\n",
    "maybe\n",
    "{a:int=1}{b:word=x}",
    "{_:/ ?/= }{n:int=1}",
    "let crc = crc32 abc\nC: {crc}\n",
    "let sum = crc16 abc\nS hex: {sum:u16le}\n",
    "let n = crc32 {x}\n",
    "let n = sum8 {x}\nS raw: {n:2 hex}\n",
    "let n = difference 3 {n}\n",
    "let n = length {x}\nC hex: {n:varint}\n",
    "set n = 2\nS raw: {d:n bytes=ab}\n",
    "starttls alpn h2\n",
    "stoptls\n",
    "include a.talk\n",
    "either\n  not S: {_}b\n  S: b\nor\nend\n",
    "together\n  repeat 2\n    C: {x=a|b}\n  end\n  in any order\n    C: c\n    C: d{y=e}\n  end\nend\n",
    "repeat\n  C2 connects\n  C2: {x=a|b}\n  S2 closes\nend\n",
];

/// The words of the language that the fuzz targets play. A new one is added here, and to [`PIECES`] or a seed.
const WORDS: [&str; 39] = [
    "C: ",
    "S raw: ",
    "C hex: ",
    "S closes",
    "C stops sending",
    "S resets",
    " waits ",
    "starttls",
    "starttls alpn ",
    "stoptls",
    "C connects",
    "C2 connects",
    "S2: ",
    " connects to {",
    "set ",
    "let ",
    "repeat\n",
    "repeat 2",
    "either\n",
    "choose ",
    "else\n",
    "in any order",
    "not S: ",
    "maybe\n",
    "at any time",
    "together",
    "include ",
    " bytes=",
    "…}",
    ":u16",
    ":varint",
    ":p1,p2",
    " hex}",
    "= sum ",
    "= difference ",
    "= crc32 ",
    "= crc16 ",
    "= sum8 ",
    "= random ",
];

fn changed(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut text = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(text.len() + 1);
        match random.below(7) {
            0 => drop(text.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
            1 => text.truncate(at),
            2 if at < text.len() => text[at] ^= 1 << random.below(8),
            3 => drop(text.splice(at..(at + random.below(20)).min(text.len()), [])),
            // A line of another file, or one of its own again, between two lines.
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let lines: Vec<&[u8]> = other.split_inclusive(|&byte| byte == b'\n').collect();
                let Some(line) = lines.get(random.below(lines.len())) else { continue };
                let begin = text[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |found| found + 1);
                text.splice(begin..begin, line.iter().copied());
            }
        }
    }
    text
}

/// A file for whatever is included.
#[derive(Debug, Clone)]
struct Included;

const INCLUDED: &[u8] = b"C: {in=x}\nS: y {in}\n";

impl Files for Included {
    fn open(&self, _: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Self))
    }
}

impl File for Included {
    fn len(&self) -> u64 {
        INCLUDED.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = INCLUDED.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        io::Read::read(&mut rest, into)
    }
}

/// Of each word, so many files that are changed have it and can be played.
#[test]
fn each_word_of_the_language_is_in_files_that_are_played() {
    let (seeds, mut random) = (seeds(), Random(47));
    let mut played = [0; WORDS.len()];
    for _ in 0..rounds(20_000) {
        let text = changed(&seeds, &mut random);
        let Ok(transcript) = Transcript::parse_with("fuzz.talk", &text, &[], Some(&Included)) else { continue };
        let can = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).is_ok();
        if !can(Side::Client) && !can(Side::Server) {
            continue;
        }
        let text = String::from_utf8_lossy(&text);
        for (count, word) in played.iter_mut().zip(WORDS) {
            *count += usize::from(text.contains(word));
        }
        if played.iter().all(|count| *count > 9) {
            return;
        }
    }
    let rare: Vec<&str> =
        WORDS.into_iter().zip(played).filter(|(_, count)| *count < 10).map(|(word, _)| word).collect();
    assert!(rare.is_empty() || rounds(1) != 1, "in too few files: {rare:?}");
}

#[test]
fn the_parser_takes_anything_and_the_layout_changes_nothing() {
    let (seeds, mut random) = (seeds(), Random(41));
    assert!(seeds.len() > 100);
    let mut read = 0;
    for _ in 0..rounds(6000) {
        let text = changed(&seeds, &mut random);
        let parsed = Transcript::parse("fuzz.talk", &text, &[]);
        let Ok(text) = String::from_utf8(text) else {
            assert!(parsed.is_err());
            continue;
        };
        let laid_out = format(&text);
        if parsed.is_ok() {
            assert_eq!(format(&laid_out), laid_out, "{text}");
            assert!(Transcript::parse("fuzz.talk", laid_out.as_bytes(), &[]).is_ok(), "{text}");
            read += 1;
        }
    }
    assert!(read > 500 || rounds(1) != 1, "only {read} could be read: the changes are too wild");
}

/// Everything that a play says to these bytes, delivered in pieces, and whether it went as written.
fn played(script: &Script, bytes: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<u8>, Option<bool>) {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let (mut said, mut from, mut upto) = (Vec::new(), 0, 0);
    let mut now = Moment::default();
    // A loop that speaks for ever is left alone after a while.
    for _ in 0..2000 + 4 * bytes.len() {
        let ended = upto == bytes.len();
        let step = play.step(
            script,
            Input { bytes: &bytes[from..upto], datagram: false, ended, now },
            &mut scratch,
            &mut output,
        );
        from += step.consumed;
        assert!(from <= upto, "it consumes what has not come");
        said.extend_from_slice(&output.bytes);
        output.clear();
        match step.next {
            // What comes is then what comes over the next connection.
            Next::End(Ending::GoesOn { .. }) => {}
            Next::End(ending) => return (said, Some(!matches!(ending, Ending::Failed(_)))),
            Next::Listen { .. } => play.listens_at(script, 50_001, &mut scratch),
            Next::Over { .. } | Next::Connect { .. } | Next::Accept { .. } => {}
            Next::Hear { .. } if !ended => upto = (upto + piece().max(1)).min(bytes.len()),
            Next::Hear { until: Some(until) } | Next::Pause { until } => now = until,
            Next::Hear { until: None } => return (said, None),
            Next::Flush | Next::StopSending | Next::StartTls | Next::StopTls => {}
        }
        if said.len() > 1 << 20 {
            break;
        }
    }
    (said, None)
}

#[test]
fn the_player_takes_anything_and_pieces_change_nothing() {
    let (seeds, mut random) = (seeds(), Random(43));
    let (mut plays, mut compared) = (0, 0);
    for _ in 0..rounds(3000) {
        let text = changed(&seeds, &mut random);
        let Ok(transcript) = Transcript::parse_with("fuzz.talk", &text, &[], Some(&Included)) else { continue };
        let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).ok();
        // The client's keeps what it said, and so goes without the fast path; the server's has it.
        let slow = |side| {
            let mut options = PlayOptions::new(side, Carrier::Stream);
            options.keep_said = true;
            Script::prepare(&transcript, &options).ok()
        };
        let scripts = [prepare(Side::Client), prepare(Side::Server)];
        let slow = [slow(Side::Client), slow(Side::Server)];
        for (script, other, slow) in [(&scripts[0], &scripts[1], &slow[0]), (&scripts[1], &scripts[0], &slow[1])] {
            let (Some(script), Some(slow)) = (script, slow) else { continue };
            // What the other side would say, or what its lines look like, with something wrong in it.
            let mut bytes = other.as_ref().map_or_else(|| text.clone(), |other| played(other, &text, || 64).0);
            for _ in 0..random.below(3) {
                let at = random.below(bytes.len() + 1);
                match random.below(3) {
                    0 => bytes.truncate(at),
                    1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                    _ => drop(bytes.splice(at..at, text.iter().copied().take(random.below(64)))),
                }
            }
            bytes.truncate(4096);
            // Several exchanges at a time.
            if random.below(2) == 0 {
                let again = bytes.clone();
                bytes.extend(again);
            }
            plays += 1;
            let whole = played(script, &bytes, || usize::MAX / 2);
            let walked = played(slow, &bytes, || usize::MAX / 2);
            // Each play makes its own.
            if text.windows(8).any(|piece| piece == b" random ") {
                continue;
            }
            assert_eq!(whole, walked, "without the fast path\n{}\n{bytes:?}", String::from_utf8_lossy(&text));
            let single = played(script, &bytes, || 1);
            let random = played(script, &bytes, || random.below(7));
            // A pause, a gap or a handshake is another thing if more has come when it begins.
            let text = String::from_utf8_lossy(&text);
            if whole.1.is_some() && !["gap", "waits", "starttls"].iter().any(|word| text.contains(word)) {
                compared += 1;
                assert_eq!(whole, single, "byte by byte\n{text}\n{bytes:?}");
                assert_eq!(whole, random, "in pieces\n{text}\n{bytes:?}");
            }
        }
    }
    assert!(compared > 200 || rounds(1) != 1, "of {plays} plays {compared} came to an end: the changes are too wild");
}

/// Everything that a play says to these datagrams.
fn played_in_datagrams(script: &Script, datagrams: &[&[u8]]) -> usize {
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let (mut now, mut said) = (Moment::default(), 0);
    let mut datagrams = datagrams.iter();
    let mut input: Option<&[u8]> = None;
    for _ in 0..2000 {
        let bytes = input.unwrap_or_default();
        let ended = datagrams.len() == 0 && input.is_none();
        let step = play.step(script, Input { bytes, datagram: input.is_some(), ended, now }, &mut scratch, &mut output);
        assert!(step.consumed <= bytes.len(), "it consumes what has not come");
        said += output.bytes.len();
        output.clear();
        input = match step.next {
            Next::End(_) => break,
            Next::Hear { until: None } if ended => break,
            Next::Hear { until } if ended => {
                now = until.unwrap_or(now);
                None
            }
            Next::Hear { .. } => datagrams.next().copied(),
            Next::Pause { until } => {
                now = until;
                Some(&bytes[step.consumed..]).filter(|rest| !rest.is_empty())
            }
            _ => Some(&bytes[step.consumed..]).filter(|rest| !rest.is_empty()),
        };
    }
    said
}

#[test]
fn the_player_takes_any_datagrams() {
    let (seeds, mut random) = (seeds(), Random(47));
    let (mut plays, mut said) = (0, 0);
    for _ in 0..rounds(3000) {
        let text = changed(&seeds, &mut random);
        let Ok(transcript) = Transcript::parse("fuzz.talk", &text, &[]) else { continue };
        for side in [Side::Client, Side::Server] {
            let Ok(script) = Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Datagram)) else { continue };
            // Each line of the file without who says it, some of them with something wrong in them.
            let mut lines: Vec<Vec<u8>> = text
                .split_inclusive(|&byte| byte == b'\n')
                .filter_map(|line| line.windows(3).position(|at| at[1..] == *b": ").map(|at| line[at + 3..].to_vec()))
                .collect();
            for line in &mut lines {
                let at = random.below(line.len() + 1);
                match random.below(6) {
                    0 => line.truncate(at),
                    1 if at < line.len() => line[at] ^= 1 << random.below(8),
                    2 => drop(line.splice(at..at, text.iter().copied().take(random.below(64)))),
                    _ => {}
                }
            }
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            plays += 1;
            said += played_in_datagrams(&script, &lines);
        }
    }
    assert!(said > 1000 || rounds(1) != 1, "{plays} plays said {said} bytes: the changes are too wild");
}

/// Row 65 of the faults: a loop that says nothing is interrupted all the same, and takes no memory.
#[test]
fn a_huge_loop_of_empty_lines_pauses() {
    for (carrier, text) in [
        (Carrier::Datagram, "repeat 4294967295\n  C:\nend\n"),
        (Carrier::Stream, "eol none\nrepeat 4294967295\n  C:\nend\n"),
    ] {
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
        let script = Script::prepare(&transcript, &PlayOptions::new(Side::Client, carrier)).unwrap();
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        for _ in 0..10 {
            let input = Input { bytes: &[], datagram: false, ended: false, now: Moment::default() };
            assert!(matches!(play.step(&script, input, &mut scratch, &mut output).next, Next::Flush));
            assert!(output.bytes.is_empty() && output.datagrams.len() <= 4096);
            output.clear();
        }
    }
}

/// The first hole was searched to the end of what had come; then the stream ends, and the text behind the last hole
/// takes more room than is left.
#[test]
fn a_stream_that_ends_in_the_middle_of_a_message_is_a_failed_play() {
    let script = server("C raw: {a=1}-{b=2}the end\nC closes\n");
    for size in [1, 2, 1000] {
        for bytes in ["no hyphen at all", "", "the end", "1-2the en"] {
            assert_eq!(played(&script, bytes.as_bytes(), || size).1, Some(false), "{bytes}");
        }
        assert_eq!(played(&script, b"1-2the end", || size).1, Some(true));
    }
}

fn server(text: &str) -> Script {
    let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
    let mut options = PlayOptions::new(Side::Server, Carrier::Stream);
    options.longest_line = 2 << 20;
    Script::prepare(&transcript, &options).unwrap()
}

/// Row 63 of the faults: what a peer says is never read for holes again, nor for anything else.
#[test]
fn what_was_captured_is_bytes_and_nothing_more() {
    let script = server("set secret = tanstaaf\nrepeat\n  C: {name=x}\n  S: Hello, {name}!\nend\n");
    for evil in
        ["{secret}", "{name}", "{0x41}", "$(reboot)", "`id`", "() { :;}; echo", "%s%n", "{name:int=5}", "\\n", "{"]
    {
        let (said, _) = played(&script, format!("{evil}\n").as_bytes(), || 1);
        assert_eq!(String::from_utf8(said).unwrap(), format!("Hello, {evil}!\n"));
    }
}

/// Row 64 of the faults: a megabyte in one line, against what makes other matchers slow. Were it not linear, this would
/// take hours: the bound is no figure of speed.
#[test]
fn no_line_makes_matching_slow() {
    let began = Instant::now();
    for (pattern, unit) in [
        ("{a=x}a{b=x}a{c=x}a{d=x}b", "a"),
        ("{a:/(a*)*b/=b}", "a"),
        ("{a:/(a|a)*c/=c}", "a"),
        ("{a:/(.*)(.*)(.*)(.*)x/=x}", "ab"),
        ("{a=x}ab{b=x}abc{c=x}abcd", "ab"),
        ("{a:word=x} {b:word=x}z", "a "),
    ] {
        let script = server(&format!("C: {pattern}\nS: ok\n"));
        let line = [unit.repeat((1 << 20) / unit.len()).as_bytes(), b"\n"].concat();
        for size in [1 << 20, 1 << 12] {
            let (_, went) = played(&script, &line, || size);
            assert_eq!(went, Some(false), "{pattern}");
        }
    }
    // And a megabyte in one line of the file.
    let said = played(&server(&format!("C: x\nS: {}\n", "é".repeat(1 << 19))), b"x\n", || 1).0;
    assert_eq!(said.len(), (1 << 20) + 1);
    assert!(began.elapsed() < Duration::from_secs(600), "{:?}", began.elapsed());
}
