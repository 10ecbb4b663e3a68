//! Each construct of the language inside each other and behind each other: it is refused for a reason, in the line where it
//! stands, or it plays from both ends however its bytes are cut, and its layout means the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use transcript::rehearse::rehearse;
use transcript::{Carrier, Ending, File, Files, PlayOptions, Refused, Script, Side, Transcript, format};

/// What stands inside another: as the client says it. `#` in a name makes names differ.
const PARTS: &[(&str, &str)] = &[
    ("line", "C: line {a#=one}"),
    ("answered", "C: ask {a#=one}\nS: told {a#}"),
    ("either", "either\nC: e1# {a#=1}\nS: x#\nor\nC: e2# {b#=2}\nS: y#\nend"),
    ("either of one side", "either\nC: e1#\nor\nC: e2#\nend"),
    ("either that may be empty", "either\nC: e1#\nor\nend"),
    ("in any order", "in any order\nC: o1#\nC: o2# {a#=1}\nend"),
    ("in any order of blocks", "in any order\nC: o1#\nC hex: 00 01 {a#:1 bytes=02}\nend"),
    ("repeat", "repeat\nC: r# {a#=1|2}\nend"),
    ("repeat answered", "repeat\nC: r# {a#=1|2}\nS: s# {a#}\nend"),
    ("repeat 3", "repeat 3\nC: n# {a#=1|2|3}\nend"),
    ("repeat 3 answered", "repeat 3\nC: n# {a#=1|2|3}\nS: s# {a#}\nend"),
    ("maybe", "maybe\nC: m#\nend"),
    ("at any time", "at any time\nS: ping# {a#=1}\nC: pong# {a#}\nend"),
    ("not", "not C: bad#\nC: good#"),
    ("not in a choice", "either\nnot C: bad#\nor\nC: good# {a#=1}\nend"),
    ("choose", "C: key# {a#=x|y}\nchoose {a#}\nis x\nC: cx#\nis y\nC: cy#\nelse\nC: cz#\nend"),
    ("choose answered", "C: key# {a#=x|y}\nchoose {a#}\nis x\nS: cx#\nis y\nS: cy#\nelse\nS: cz#\nend"),
    ("together", "together\nC: t1#\nC: t2# {a#=1}\nend"),
    ("bytes", "C: size# {n#:int=5}\nC raw: {a#:n# bytes=x…}"),
    ("hex", "C hex: fe {n#:u8=3} {a#:n# bytes=616263}"),
    ("raw", "C raw: raw#{a#=1};"),
    ("let", "let a# = length {k}\nC: len# {a#}"),
    ("set", "set a# = v{k}\nC: set# {a#}"),
    ("let alone", "let a# = sum {k} 4"),
    ("random", "let a# = random 4 hex\nC: rnd# {a#}\nS: rnd# {a#}"),
    ("capture", "C: {a#:word=w} {b#:int=7} cap#\nS: cap# {a#} {b#}"),
    ("varint", "C hex: fd {n#:varint=300} {a#:u16le=5}"),
    ("waits", "C: w1#\nC waits 5ms\nC: w2#"),
    ("waits alone", "S waits 5ms"),
    ("closes", "C closes"),
    ("connects", "C closes\nC connects"),
    ("connects after a reset", "C: r#\nS resets\nC waits 1ms\nC connects"),
    ("stops sending", "C stops sending"),
    ("starttls", "C: tls#\nS: ok#\nstarttls"),
    ("stoptls", "C: tls#\nS: ok#\nstarttls\nC: in#\nS: in#\nstoptls"),
    ("C2", "C2 connects\nC2: second#\nS2: two#\nC2 closes"),
    ("C2 that stays", "C2 connects\nC2: second#\nS2: two#"),
    ("port", "S: port# ({p#})\nC2 connects to {p#}\nS2: data#\nS2 closes"),
    ("file", "C file: five"),
    ("include", "include some.talk"),
    ("empty line", "C:"),
    ("loop of many", "repeat\neither\nC: q1#\nor\nC: q2#\nend\nend"),
];

/// What stands around another, which is at `@`.
const AROUND: &[(&str, &str)] = &[
    ("either", "either\n@\nor\nC: other {z=1}\nS: x\nend"),
    ("either, behind a line", "either\nC: first\n@\nS: x\nor\nC: other\nS: x\nend"),
    ("either, in the last way", "either\nC: first\nor\nC: other\n@\nend"),
    ("in any order", "in any order\nC: any1\n@\nC: any2\nend"),
    ("repeat", "repeat\n@\nend\nC: enough"),
    ("repeat, behind a line", "repeat\nC: round {z=1|2}\n@\nS: ok\nend\nC: enough"),
    ("repeat 2", "repeat 2\n@\nend"),
    ("repeat 2, behind a line", "repeat 2\nC: round {z=1|2}\n@\nS: ok\nend"),
    ("maybe", "maybe\n@\nend"),
    ("maybe, behind a line", "maybe\nC: perhaps\n@\nend"),
    ("at any time", "at any time\n@\nend"),
    ("at any time, behind a line", "at any time\nC: note {z=1}\n@\nend"),
    ("at any time, and an answer", "at any time\nC: note {z=1}\n@\nS: noted {z}\nend"),
    ("not above it", "not C: never\n@"),
    ("choose", "C: way {z=a}\nchoose {z}\nis a\n@\nis b\nC: b\nelse\nC: c\nend"),
    ("choose, behind a line", "C: way {z=a}\nchoose {z}\nis a\nS: go\n@\nelse\nC: c\nend"),
    ("together", "together\n@\nend"),
    ("together, behind a line", "together\nC: whole\n@\nend"),
    ("together, before a line", "together\nC: whole\n@\nC: last\nend"),
    ("repeat of either", "repeat\neither\nC: one\n@\nS: x\nor\nC: two\nS: y\nend\nend\nC: enough"),
    ("choose in repeat", "repeat\nC: way {z=a|b|c}\nchoose {z}\nis a\n@\nis b\nS: b\nelse\nS: c\nend\nend\nC: enough"),
];

#[derive(Debug)]
struct Folder;

#[derive(Debug)]
struct Text(&'static str);

impl Files for Folder {
    fn open(&self, path: &str) -> io::Result<Arc<dyn File>> {
        match path {
            "five" => Ok(Arc::new(Text("five\n"))),
            "some.talk" => Ok(Arc::new(Text("C: from another file\n"))),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl File for Text {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0.as_bytes()[offset as usize..];
        let length = into.len().min(rest.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// The same with the sides exchanged.
fn exchanged(text: &str) -> String {
    let mut all = String::new();
    for line in text.lines() {
        let (not, rest) = line.strip_prefix("not ").map_or(("", line), |rest| ("not ", rest));
        let other = match rest.as_bytes() {
            [b'C', b' ' | b':' | b'2', ..] if !rest.contains("connects") => "S",
            [b'S', b' ' | b':' | b'2', ..] => "C",
            _ => "",
        };
        let _ = writeln!(all, "{not}{other}{}", &rest[other.len()..]);
    }
    all.trim_end().to_owned()
}

fn parse(text: &str) -> Result<Transcript, Refused> {
    Transcript::parse_with("t.talk", text.as_bytes(), &[], Some(&Folder))
}

fn prepare(transcript: &Transcript, carrier: Carrier, branch: Option<usize>) -> Result<[Script; 2], Refused> {
    let script = |side| {
        let mut options = PlayOptions::new(side, carrier);
        options.files = Some(Arc::new(Folder));
        options.branches = branch.into_iter().collect();
        Script::prepare(transcript, &options)
    };
    let (client, server) = (script(Side::Client), script(Side::Server));
    Ok([client?, server?])
}

enum Came {
    Refused(Refused),
    /// By carrier, why not.
    Played([Option<Refused>; 2]),
}

fn account(ending: &Ending) -> String {
    match ending {
        Ending::Failed(verdict) => verdict.render(""),
        other => format!("{other:?}"),
    }
}

/// What the client and the server say, and the ways that were not gone.
type Said = (Vec<u8>, Vec<u8>, Vec<usize>);

/// What both say over a carrier, if they agree however it is cut.
fn agree(transcript: &Transcript, carrier: Carrier, branch: Option<usize>) -> Result<Said, String> {
    let mut first: Option<Said> = None;
    let sizes: &[usize] = if carrier == Carrier::Stream { &[usize::MAX, 1] } else { &[usize::MAX] };
    for &size in sizes {
        // Each time anew: what is random comes from the seed again.
        let [client, server] =
            prepare(transcript, carrier, branch).map_err(|refused| format!("{branch:?} is refused: {refused}"))?;
        let played = rehearse(&client, &server, |all| size.min(all));
        let failed = [&played.client, &played.server].into_iter().any(|ending| matches!(ending, Ending::Failed(_)));
        if !played.finished || failed {
            let (client, server) = (account(&played.client), account(&played.server));
            return Err(format!(
                "in pieces of {size}: finished {}\nclient: {client}\nserver: {server}",
                played.finished
            ));
        }
        let said = (played.from_client, played.from_server, played.unplayed);
        match &first {
            Some(first) if *first != said => return Err(format!("in pieces of {size} it is said otherwise")),
            _ => first = Some(said),
        }
    }
    Ok(first.unwrap())
}

fn tried(text: &str) -> Result<Came, String> {
    let transcript = match parse(text) {
        Ok(transcript) => transcript,
        Err(refused) => return Ok(Came::Refused(refused)),
    };
    let laid_out = format(text);
    if format(&laid_out) != laid_out {
        return Err("the layout is not stable".to_owned());
    }
    let again = parse(&laid_out).map_err(|refused| format!("the layout is refused: {refused}"))?;
    let mut why_not = [None, None];
    for (carrier, why) in [Carrier::Stream, Carrier::Datagram].into_iter().zip(&mut why_not) {
        if let Err(refused) = prepare(&transcript, carrier, None) {
            *why = Some(refused);
            continue;
        }
        let said = agree(&transcript, carrier, None).map_err(|why| format!("{carrier:?}: {why}"))?;
        if agree(&again, carrier, None)? != said {
            return Err("the layout says something else".to_owned());
        }
        for line in said.2 {
            agree(&transcript, carrier, Some(line))
                .map_err(|why| format!("{carrier:?}: the way of line {line}: {why}"))?;
        }
    }
    Ok(Came::Played(why_not))
}

const BEFORE: &str = "C: hello {k=7}\nS: hello {k}\n";

/// Why a combination is refused; a digit in a reason is any number.
const REASONS: &[&str] = &[
    "`at any time` begins with a line",
    "`at any time` is about one connection",
    "`at any time` stands in no other block",
    "`choose` cannot begin a way: neither side says anything that tells it from the others",
    "`connects` cannot begin a way: who listens could not tell it from the others",
    "`connects` has no meaning over datagrams",
    "`in any order` holds lines of one side only",
    "`in any order` is about one connection",
    "`maybe` holds lines of one side only",
    "`maybe` is about one connection",
    "`resets` has no meaning over datagrams",
    "`starttls` cannot begin a way: neither side says anything that tells it from the others",
    "`starttls` has no meaning over datagrams",
    "`stops sending` has no meaning over datagrams",
    "`stoptls` has no meaning over datagrams",
    "`together` holds what one side says: lines of it, and `repeat`, `either` and `in any order` with such lines",
    "`together` is about one connection",
    "TLS has begun already",
    "TLS has begun already in the second round",
    "a file cannot begin a way: a listener could not tell it from the others",
    "a round ends with other connections than it begins with",
    "connection 2 is open already",
    "either side could speak first here: the ",
    "line 2 is a text line and line 2 is not: where a line ends cannot be told here",
    "lines in any order are either all text lines or none of them: where one ends cannot be told",
    "no connection is opened or ended `at any time`",
    "nothing tells where this ends: behind it the play goes on where it was",
    "over datagrams nobody hears that the other side closes",
    "some ways from here leave a connection open that others have closed",
    "the client has stopped sending, and says nothing more",
    "the client must tell this line from others at line 2, and {a2} gets its value behind that",
    "the first connection is not open here",
    "the server has stopped sending, and says nothing more",
    "the server must tell this line from others at line 2, and {a2} gets its value behind that",
    "this loop can go round without anything being said",
    "what may be left out here could come in the middle of the block below",
    "{a2} gets a value `at any time`, and stands elsewhere too",
    "{a2} has no value yet",
    "{a2} is captured by two lines that may come in either order",
    "{b2} is captured by two lines that may come in either order",
    "{n2} has no value yet",
    "{p2} is a port at which the server listens, and line 2 is not said by it",
];

/// Where each side waits for what the other does: nothing in the file is wrong by itself, for the server may answer the end
/// of the client's lines with its own. Both ends tell that nothing came.
const WAITS_FOR_EACH_OTHER: [&str; 3] = [
    "in either, the inner one exchanged",
    "in repeat, the inner one exchanged",
    "in not above it, the inner one exchanged",
];

fn without_numbers(text: &str) -> String {
    let mut all = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' if all.ends_with('2') => {}
            '0'..='9' => all.push('2'),
            other => all.push(other),
        }
    }
    all
}

/// What is wrong with a refusal.
fn unexplained(refused: &Refused, lines: usize) -> Option<String> {
    refused.findings.iter().find_map(|one| {
        let told = without_numbers(&one.message);
        let is_known =
            REASONS.iter().any(|reason| told == *reason || reason.ends_with(' ') && told.starts_with(reason));
        let is_there = (3..=lines).contains(&one.line) || one.line > lines && refused.to_string().contains("some.talk");
        (!is_known || !is_there || one.help.is_none()).then(|| format!("why is it refused? {refused}"))
    })
}

#[derive(Default)]
struct Count {
    refused: usize,
    played: usize,
    over_datagrams: usize,
    broken: Vec<String>,
}

impl Count {
    fn combine(&mut self, name: &str, text: &str) {
        let lines = text.lines().count();
        let came = std::panic::catch_unwind(|| tried(text)).unwrap_or_else(|_| Err("it panics".to_owned()));
        let wrong = match came {
            Err(why) => {
                let is_known = (name.starts_with("closes") || name.starts_with("connects"))
                    && WAITS_FOR_EACH_OTHER.iter().any(|known| name.ends_with(known))
                    && why.contains("nothing came from the server");
                (!is_known).then_some(why)
            }
            Ok(Came::Refused(refused)) => {
                self.refused += 1;
                unexplained(&refused, lines)
            }
            Ok(Came::Played(why_not)) => {
                self.played += usize::from(why_not[0].is_none());
                self.over_datagrams += usize::from(why_not[1].is_none());
                why_not.iter().flatten().find_map(|refused| unexplained(refused, lines))
            }
        };
        self.broken.extend(wrong.map(|why| format!("=== {name}\n{text}--- {why}")));
    }
}

/// Every combination: its name, and the text.
fn combinations() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (inner, part) in PARTS {
        let part = part.replace('#', "5");
        for (outer, around) in AROUND {
            let of = |around: &str, part: &str| format!("{}\nC: end\nS: bye\n", around.replace('@', part));
            all.push((format!("{inner} in {outer}"), of(around, &part)));
            all.push((
                format!("{inner} in {outer}, both exchanged"),
                exchanged(&around.replace('@', &part)) + "\nC: end\nS: bye\n",
            ));
            all.push((format!("{inner} in {outer}, the inner one exchanged"), of(around, &exchanged(&part))));
        }
        for (above, first) in PARTS {
            all.push((
                format!("{inner} behind {above}"),
                format!("{}\n{part}\nC: end\nS: bye\n", first.replace('#', "6")),
            ));
        }
    }
    all
}

#[test]
fn each_construct_in_each_other_is_refused_for_a_reason_or_plays_from_both_ends() {
    let all = combinations();
    let settings = ["ignore case\n", "eol crlf\n", "eol lf\n"];
    let threads = 4;
    let counts: Vec<Count> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let all = &all;
                scope.spawn(move || {
                    let mut count = Count::default();
                    for (index, (name, body)) in all.iter().enumerate().skip(part).step_by(threads) {
                        count.combine(name, &format!("{BEFORE}{body}"));
                        // The same under a setting, of some of them.
                        if index % 13 == 0 {
                            let setting = settings[index / 13 % settings.len()];
                            count.combine(&format!("{setting}: {name}"), &format!("{setting}{BEFORE}{body}"));
                        }
                    }
                    count
                })
            })
            .collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    let broken: Vec<&String> = counts.iter().flat_map(|count| &count.broken).collect();
    let sum = |of: fn(&Count) -> usize| counts.iter().map(of).sum::<usize>();
    let (refused, played, over_datagrams) =
        (sum(|count| count.refused), sum(|count| count.played), sum(|count| count.over_datagrams));
    assert!(
        broken.is_empty(),
        "{} are broken, such as\n{}",
        broken.len(),
        broken[..broken.len().min(5)].iter().map(|one| one.as_str()).collect::<Vec<_>>().join("\n")
    );
    assert!(
        refused > 1000 && played > 2000 && over_datagrams > 1000,
        "{refused} refused, {played} played, {over_datagrams} of them over datagrams"
    );
}
