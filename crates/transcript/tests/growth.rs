//! No file and no peer makes a play grow without a bound: random programs and peers under an allocator that counts, and
//! fails past a bound as a machine without memory would.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounded;
mod random;

use bounded::Taken;
use random::Random;
use transcript::import::{Import, import};
use transcript::rehearse::{BranchOutcome, Branches, left_of, rehearse};
use transcript::{
    Carrier, Ending, Fault, Input, MOST_VALUES, Moment, Next, Output, Play, PlayOptions, Scratch, Script, Side,
    Transcript,
};

/// What two plays against each other may come to: values with room to grow and a copy of them, a message, the output,
/// and what both said.
const MOST: usize = 20 * MOST_VALUES;

fn parse(text: &str) -> Result<Transcript, String> {
    Transcript::parse("t.talk", text.as_bytes(), &[]).map_err(|refused| refused.to_string())
}

fn prepare(text: &str, side: Side) -> Result<Script, String> {
    Script::prepare(&parse(text)?, &PlayOptions::new(side, Carrier::Stream)).map_err(|refused| refused.to_string())
}

/// A play that hears bytes, and whatever it says goes nowhere.
struct Heard {
    script: Script,
    play: Play,
    scratch: Scratch,
    output: Output,
    now: Moment,
}

impl Heard {
    fn new(script: Script) -> Self {
        let play = script.play();
        Self { script, play, scratch: Scratch::new(), output: Output::default(), now: Moment::default() }
    }

    /// Gives it bytes; how it ended, if it did.
    fn hear(&mut self, bytes: &[u8], ended: bool) -> Option<Ending> {
        let mut from = 0;
        for _ in 0..20_000 {
            let input = Input { bytes: &bytes[from..], datagram: false, ended, now: self.now };
            let step = self.play.step(&self.script, input, &mut self.scratch, &mut self.output);
            from += step.consumed;
            self.output.clear();
            match step.next {
                Next::End(ending) => return Some(ending),
                Next::Hear { .. } => return None,
                Next::Pause { until } => self.now = until,
                Next::Flush | Next::StopSending | Next::StartTls | Next::StopTls => {}
                Next::Over { .. } | Next::Connect { .. } | Next::Accept { .. } | Next::Listen { .. } => {
                    panic!("no transcript here has several connections")
                }
            }
        }
        None
    }
}

fn fault(ending: Option<Ending>) -> Option<Fault> {
    match ending {
        Some(Ending::Failed(verdict)) => Some(verdict.fault),
        _ => None,
    }
}

#[test]
fn a_value_that_a_peer_makes_longer_and_longer_ends_in_a_failed_play() {
    let taken = Taken::begin();
    for (index, body) in [
        "C: {x=a}\n  set acc = {acc}{x}",
        "C: {x=a}\n  set acc = {x}{acc}{x}",
        "C: {x=a}\n  let acc = base64 {acc}{x}",
        "C raw: {x=a};\n  set acc = {acc}{x}\n  C: ",
        "either\n    C: {x=a}\n    set acc = {acc}{x}\n  or\n    C: never\n  end",
    ]
    .into_iter()
    .enumerate()
    {
        let transcript = parse(&format!("set acc = -\nrepeat\n  {body}\n  S: ok\nend\n")).unwrap();
        let mut options = PlayOptions::new(Side::Server, Carrier::Stream);
        options.longest_line = 1 << 20;
        let script = Script::prepare(&transcript, &options).unwrap();
        let raw = body.contains("raw");
        let line = |length: usize| [&vec![b'x'; length][..], if raw { b";\n" } else { b"\n" }].concat();
        let mut heard = Heard::new(script);
        // Once in many small steps, of which thousands come at once; then in large ones.
        let (many, short) = if index == 0 { (600, 4090) } else { (20, 40) };
        let mut ending = heard.hear(&line(1000).repeat(many), false);
        ending = ending.or_else(|| heard.hear(&line(1).repeat(short), false));
        for _ in 0..24 {
            ending = ending.or_else(|| heard.hear(&line(1_000_000), false));
        }
        let Some(Ending::Failed(verdict)) = ending else { panic!("{body}: it goes on") };
        assert_eq!(verdict.fault, Fault::ValuesTooLarge { most: MOST_VALUES }, "{body}");
        let text = verdict.render("");
        assert!(text.contains("more than 16 MiB together: {acc} grew") && text.contains("t.talk:"), "{text}");
    }
    assert!(taken.most() < MOST, "{} bytes", taken.most());
}

#[test]
fn a_file_that_doubles_a_value_is_refused_or_fails_in_words() {
    let mut taken = Taken::begin();
    let doubled = |lines: usize, chain: bool| {
        let each: String = (1..=lines)
            .map(|n| if chain { format!("set a{n} = {{a{0}}}{{a{0}}}\n", n - 1) } else { "set a0 = {a0}{a0}\n".into() })
            .collect();
        let last = if chain { lines } else { 0 };
        format!("set a0 = x\n{each}C: a\nS: {{a{last}}}\n")
    };
    // A name that is set once has a length that is known before anything is played.
    for lines in [25, 26, 28, 64, 1000] {
        let refused = parse(&doubled(lines, true)).unwrap_err();
        assert!(refused.contains("would be") && refused.contains("all values together hold 16 MiB"), "{refused}");
    }
    // One that is set anew each time grows as it is played.
    for text in [
        doubled(28, false),
        "set x = ab\nrepeat 30\n  set x = {x}{x}\n  C: a\nend\nS: {x}\n".to_owned(),
        "set x = ab\nC: a\nrepeat 1000\n  let x = base64 {x}\n  S: b\nend\n".to_owned(),
        "set x = ab\nC: a\nset y = {x}\nset x = {y}\nrepeat 8\nrepeat 8\n  set x = {x}{y}{x}\n  S: b\nend\nend\n"
            .to_owned(),
        "C: {x=abcdefgh}\nset y = {x}\nrepeat 99\n  set y = {y}{y}{y}{y}\n  S: ok\nend\n".to_owned(),
    ] {
        let (client, server) = (prepare(&text, Side::Client).unwrap(), prepare(&text, Side::Server).unwrap());
        for size in [usize::MAX, 1009] {
            let played = rehearse(&client, &server, |all| all.min(size));
            let faults = [fault(Some(played.client)), fault(Some(played.server))];
            assert!(
                faults.contains(&Some(Fault::ValuesTooLarge { most: MOST_VALUES })),
                "{text}: {faults:?}: {} {}",
                played.from_client.len(),
                played.from_server.len()
            );
        }
        assert!(taken.most() < MOST, "{} bytes: {text}", taken.most());
        taken.again();
    }
}

#[test]
fn a_message_that_says_a_long_value_again_and_again_is_refused() {
    let taken = Taken::begin();
    let text = format!(
        "C: {{x=a}}\nset y = {{x}}\nrepeat 5\n  set y = {{y}}{{y}}{{y}}{{y}}{{y}}{{y}}{{y}}{{y}}\nS: -\nend\nS raw: {}\n",
        "{y}".repeat(100_000)
    );
    let server = prepare(&text, Side::Server).unwrap();
    let line = [&[b'x'; 100][..], b"\n"].concat();
    let fault = fault(Heard::new(server).hear(&line, false));
    assert_eq!(fault, Some(Fault::MessageTooLarge { most: 2 * MOST_VALUES }));
    // What would be heard is never put together.
    let client = prepare(&text.replace("{x=a}", &format!("{{x={}}}", "x".repeat(100))), Side::Client).unwrap();
    let mut heard = Heard::new(client);
    assert!(heard.hear(b"-\n-\n-\n-\n-\n", false).is_none());
    assert!(heard.hear(&[b'x'; 300_000], false).is_none());
    // With every value known, it is refused before it is played.
    let constant = format!("set x = {}\nC: a\nS: {}\n", "x".repeat(60_000), "{x}".repeat(1000));
    assert!(parse(&constant).unwrap_err().contains("this line is longer than 32 MiB"));
    // The bound is on what is there, not on how often it stands in the file.
    let many: String = format!("set x = {}\nC: a\n{}", "x".repeat(60_000), "S: a {x} b\n".repeat(20_000));
    let script = prepare(&many, Side::Client).unwrap();
    drop(script);
    assert!(taken.most() < MOST, "{} bytes", taken.most());
}

/// Bytes that reading a text, preparing both ends and playing them against each other asks for, and the most that are
/// held.
fn cost(text: &str, taken: &mut Taken) -> (usize, usize) {
    taken.again();
    if let Ok(transcript) = parse(text) {
        for carrier in [Carrier::Stream, Carrier::Datagram] {
            let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, carrier));
            if let (Ok(client), Ok(server)) = (prepare(Side::Client), prepare(Side::Server)) {
                rehearse(&client, &server, |all| all);
            }
        }
    }
    (taken.asked(), taken.most())
}

/// A kind of file: its name, its size, and how it is written at a size.
type Kind = (&'static str, usize, fn(usize) -> String);

/// Twice as much of each kind costs so many times as much at most.
fn at_most_times(most: f64, kinds: &[Kind]) {
    let mut taken = Taken::begin();
    let mut grown = Vec::new();
    for (kind, size, text) in kinds {
        let (once, twice) = (cost(&text(*size), &mut taken), cost(&text(2 * size), &mut taken));
        for (what, once, twice) in [("asked for", once.0, twice.0), ("held", once.1, twice.1)] {
            let ratio = twice as f64 / once as f64;
            if ratio > most {
                grown.push(format!("{kind}: {once} bytes {what}, and {twice} at twice the size ({ratio:.2})"));
            }
        }
    }
    assert!(grown.is_empty(), "{grown:#?}");
}

fn each(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn a_file_twice_as_long_costs_twice_as_much() {
    let kinds: &[Kind] = &[
        ("a raw literal", 1 << 14, |n| format!("C raw: {}\nS: ok\n", "x".repeat(n))),
        ("a hex literal", 1 << 15, |n| format!("C hex: {}\nS: ok\n", "61 ".repeat(n / 3))),
        ("a raw literal that is said back", 1 << 15, |n| format!("C: a\nS raw: {}\nC: b\n", "x\\n".repeat(n / 3))),
        ("escapes in a word", 1 << 14, |n| format!("C raw: {}\nS: ok\n", "abcdefg\\n".repeat(n / 9))),
        ("escapes between quotes", 1 << 14, |n| format!("C raw: {}\nS: ok\n", "\"a\\n\" ".repeat(n / 6))),
        ("signs of a comment", 1 << 14, |n| format!("C raw: {}\nS: ok\n", "a# b".repeat(n / 4))),
        ("percent signs", 1 << 14, |n| format!("C raw: {}\nS: ok\n", "%% $a <b ".repeat(n / 9))),
        ("braces in a line", 1 << 14, |n| format!("C raw: {}\nS: ok\n", "{ \"a\": {1} } ".repeat(n / 13))),
        ("holes in a line", 1 << 13, |n| format!("C: {}\nS: ok\n", "{_='a'} ".repeat(n / 8))),
        ("bytes in a default", 1 << 14, |n| format!("C raw: {{x={}}};\nS: ok\n", "{0x00}".repeat(n / 6))),
        ("defaults of a hole", 500, |n| {
            format!("repeat\n  C: {{x=a{}}}\n  S: ok\nend\n", each(n, |i| format!("|b{i}")))
        }),
        ("lines", 1000, |n| each(n, |i| format!("C: hello {i}\nS: ok {i}\n"))),
        ("comments and empty lines", 5000, |n| each(n, |i| format!("# {i}\n\n")) + "C: a\n"),
        ("names", 600, |n| each(n, |i| format!("C: {{n{i}=a}}\nS: {{n{i}}}\n"))),
        ("names and the ways of a fork", 250, |n| {
            let names = each(n, |i| format!("C: {{n{i}=a}}\nS: {{n{i}}}\n"));
            names + &each(n, |i| format!("either\n  C: a{i}\n  S: x\nor\n  C: {{m{i}=b}}\n  S: {{m{i}}}\nend\n"))
        }),
        ("names and counted loops", 250, |n| {
            let names = each(n, |i| format!("C: {{n{i}=a}}\nS: {{n{i}}}\n"));
            names + &each(n, |i| format!("repeat 2\n  C: a{i}\n  S: x\nend\n"))
        }),
        ("names and lines in any order", 250, |n| {
            let names = each(n, |i| format!("C: {{n{i}=a}}\nS: {{n{i}}}\n"));
            names + &each(n, |i| format!("in any order\n  C: a{i}\n  C: b{i}\nend\nS: x\n"))
        }),
        ("names and braces that are text", 500, |n| {
            each(n, |i| format!("C: {{n{i}=a}}\nS: {{n{i}}}\n")) + &each(n, |i| format!("C: {{ a{i} }} ${{x}}\n"))
        }),
        ("names and tags", 500, |n| {
            each(n, |i| format!("C: {{n{i}=a}}\nS: {{n{i}}}\n")) + &each(n, |i| format!("C: <n{i}>v</n{i}>\n"))
        }),
        ("values", 500, |n| {
            each(n, |i| format!("set a{i} = v{i}\n")) + "C: a\n" + &each(n, |i| format!("S: {{a{i}}}\n"))
        }),
        ("values of values", 500, |n| {
            format!("set a0 = v\n{}C: a\nS: {{a{n}}}\n", each(n, |i| format!("set a{} = {{a{i}}}\n", i + 1)))
        }),
        ("values that are made", 500, |n| {
            each(n, |i| format!("let a{i} = sha256 v{i}\n")) + "C: a\n" + &each(n, |i| format!("S: {{a{i}}}\n"))
        }),
        ("lines in any order", 500, |n| format!("in any order\n{}end\nS: ok\n", each(n, |i| format!("  C: l {i}\n")))),
        ("lines together", 500, |n| format!("together\n{}end\nS: ok\n", each(n, |i| format!("  C: l {i}\n")))),
        ("what may come at any time", 200, |n| {
            let asides = each(n, |i| format!("at any time\n  S: ping {i}\n  C: pong {i}\nend\n"));
            asides + &each(n, |i| format!("C: a{i}\nS: b{i}\n"))
        }),
        ("bytes that may come at any time", 200, |n| {
            let asides = each(n, |i| format!("at any time\n  S raw: ping {i};\n  C: pong {i}\nend\n"));
            asides + &each(n, |i| format!("C: a{i}\nS raw: b{i};\n"))
        }),
        ("values that decide", 250, |n| {
            each(n, |_| "C: {x=a}\nchoose {x}\nis a\n  S: a\nelse\n  S: b\nend\n".to_owned())
        }),
        ("values that decide and are never had", 250, |n| {
            each(n, |_| "C: {x:int=5}\nchoose {x}\nis a\n  S: a\nis 5\n  S: b\nend\n".to_owned())
        }),
        ("patterns where defaults stand", 500, |n| {
            each(n, |i| format!("C: {{n{i}=/a{i}[0-9]+/}}\nS: {{/b{i}+/=b{i}}}\n"))
        }),
        ("wrong lines", 1000, |n| each(n, |i| format!("X {i}\n"))),
        ("blocks in each other", 5000, |n| "repeat 2\n".repeat(n) + "C: a\nS: b\n" + &"end\n".repeat(n)),
        ("blocks that are never closed", 5000, |n| "either\n".repeat(n) + "C: a\n"),
    ];
    at_most_times(2.5, kinds);
}

#[test]
fn a_line_with_twice_as_many_signs_of_quoting_costs_twice_as_much_to_import() {
    let mut taken = Taken::begin();
    for sign in [">", "> ", "1 "] {
        let [once, twice] = [4000, 8000].map(|count| {
            let page = format!("> C: a\n> S: b\n{}\n> C: c\n> S: d\n", sign.repeat(count));
            taken.again();
            assert!(import(&page, Import::default()).is_some());
            taken.asked()
        });
        assert!(twice as f64 <= 2.5 * once as f64, "{sign}: {once} bytes asked for, then {twice}");
    }
}

/// One word may be as long as a file: for each of many known words it is neither copied nor compared.
#[test]
fn a_word_as_long_as_a_file_is_compared_with_no_known_one() {
    let mut taken = Taken::begin();
    let size = 1 << 20;
    for (text, most) in [("{}", 60), ("{} x", 60), ("C {}", 36), ("C: a\nlet x = {}", 36)] {
        let text = text.replace("{}", &"x".repeat(size)) + "\n";
        taken.again();
        assert!(parse(&text).is_err());
        assert!(taken.asked() < most * size, "{} bytes for {}", taken.asked(), &text[..20]);
    }
}

/// What may be left out, one below the other: every line of those below may come first at each of them, so that two of them have four
/// times the lines, and no more.
#[test]
fn twice_as_many_choices_in_a_row_cost_four_times_as_much() {
    let kinds: &[Kind] = &[
        ("`not` lines", 80, |n| format!("C: a\n{}S: ok\n", each(n, |i| format!("not S: no {i}\n")))),
        ("`maybe`", 80, |n| format!("C: a\n{}S: ok\n", each(n, |i| format!("maybe\n  S: m {i}\nend\n")))),
        ("`either` with an empty branch", 80, |n| {
            let choices = each(n, |i| format!("either\n  S: a {i}\nor\n  S: b {i}\nor\nend\n"));
            format!("C: a\n{choices}S: ok\n")
        }),
    ];
    at_most_times(4.5, kinds);
}

/// Each branch of a text, as `check --all-branches` plays it: how often both ends were made ready, the plays of single ways, and the
/// bytes that were asked for.
fn all_branches(text: &str, taken: &mut Taken) -> (usize, usize, usize) {
    taken.again();
    let transcript = parse(text).unwrap();
    let mut prepared = 0;
    let mut prepare = |branches: &[usize]| {
        prepared += 1;
        let script = |side| {
            let mut options = PlayOptions::new(side, Carrier::Stream);
            options.branches = branches.to_vec();
            Script::prepare(&transcript, &options).unwrap()
        };
        (script(Side::Client), script(Side::Server))
    };
    let (client, server) = prepare(&[]);
    let unplayed = rehearse(&client, &server, |all| all).unplayed;
    let left = left_of(&unplayed, &mut |lines| {
        let (client, server) = prepare(lines);
        let played = rehearse(&client, &server, |all| all);
        played.is_success().then_some(played.unplayed)
    });
    let mut ways = Branches::new(&client, &server);
    for line in left {
        assert_eq!(ways.play(line), BranchOutcome::Agreed, "{line}");
    }
    (prepared, ways.plays(), taken.asked())
}

#[test]
fn twice_as_many_ways_take_twice_as_many_plays_and_no_more_of_making_ready() {
    let kinds: &[Kind] = &[
        ("ways of a `choose`", 1000, |n| {
            format!("C: {{k=v0}}\nchoose {{k}}\n{}end\nC: on\n", each(n, |i| format!("is v{i}\n  S: r{i}\n")))
        }),
        ("ways of a `choose` in a loop", 1000, |n| {
            let ways = each(n, |i| format!("is v{i}\n  S: r{i}\n"));
            format!("repeat\n  C: {{k=v0}}\n  choose {{k}}\n{ways}end\nend\nC: on\n")
        }),
        ("a choice in each way of a `choose`", 400, |n| {
            let ways = each(n, |i| format!("is v{i}\n  either\n    S: r{i}\n  or\n    S: s{i}\n  end\n"));
            format!("C: {{k=v0}}\nchoose {{k}}\n{ways}end\nC: on\n")
        }),
    ];
    let mut taken = Taken::begin();
    for (kind, size, text) in kinds {
        let once = all_branches(&text(*size), &mut taken);
        let twice = all_branches(&text(2 * size), &mut taken);
        assert!(once.0 <= 34 && twice.0 <= 34, "{kind}: made ready {} times, then {}", once.0, twice.0);
        // The first plays take several of them each.
        assert!(twice.1 <= 2 * once.1 + 150, "{kind}: {} plays, then {}", once.1, twice.1);
        assert!(twice.2 as f64 <= 2.5 * once.2 as f64, "{kind}: {} bytes asked for, then {}", once.2, twice.2);
    }
}

#[test]
fn blocks_nested_thousands_deep_are_refused_and_overflow_no_stack() {
    for (begin, end) in [
        ("repeat 2\n", "end\n"),
        ("repeat\n", "end\n"),
        ("either\n", "or\n  C: c\nend\n"),
        ("together\n", "end\n"),
        ("repeat\n", ""),
    ] {
        let refused = parse(&format!("{}C: a\nS: b\n{}", begin.repeat(50_000), end.repeat(50_000))).unwrap_err();
        assert!(refused.contains("blocks are nested deeper than 16"), "{begin}: {:.300}", refused);
        assert!(refused.len() < 100_000, "{begin}: {} bytes of words", refused.len());
    }
    let deepest = format!("{}C: a\nS: b\n{}", "repeat 1\n".repeat(16), "end\n".repeat(16));
    assert!(parse(&deepest).is_ok());
}

#[test]
fn of_thousands_of_findings_the_first_are_shown_and_the_others_counted() {
    for (text, last) in [
        (each(5000, |i| format!("X {i}\n")), "5000 errors; 4900 more are not shown"),
        (each(101, |i| format!("S: {{n{i}\n")) + &"C: {0x}\n".repeat(101), "101 errors; 1 more are not shown"),
        ("C: {0x}\n".repeat(100), "100 errors\n"),
    ] {
        let refused = parse(&text).unwrap_err();
        assert!(refused.trim_end().ends_with(last.trim_end()), "{last}: {:.500}", refused);
        assert!(refused.matches("-->").count() <= transcript::MOST_SHOWN);
    }
}

#[test]
fn of_many_messages_that_begin_like_each_other_not_all_are_compared() {
    // Each begins all that stand below it, so that no two of them can be told apart.
    let told = |count: usize| {
        let text = format!("in any order\n{}end\n", each(count, |i| format!("  C raw: {}\n", "a".repeat(i + 1))));
        let options = PlayOptions::new(Side::Server, Carrier::Stream);
        Script::prepare(&parse(&text).unwrap(), &options).unwrap_err().findings.len()
    };
    assert_eq!((told(3), told(40)), (3, 40 * 39 / 2));
    let many = told(700);
    assert!((100_000..101_000).contains(&many), "{many} of {}", 700 * 699 / 2);
}

/// A program that is likely to grow.
fn program(random: &mut Random) -> String {
    let mut text = "set a = xy\nset b = {a}\nset c = 00\n".to_owned();
    let mut open: Vec<&str> = Vec::new();
    let names = ["{a}", "{b}", "{c}", "{n}", "{m}"];
    for _ in 0..4 + random.below(24) {
        let (one, two, three) = (random.of(&names[..3]), random.of(&names[..3]), random.of(&names[..3]));
        let name = random.of(&["a", "b", "c"]);
        let line = match random.below(17) {
            0..=2 => format!("set {name} = {one}{two}{three}"),
            3 => format!("let {name} = base64 {one}{two}"),
            4 => format!("let {name} = {} {one}", random.of(&["unhex", "length", "md5", "sha256", "unbase64"])),
            5 => format!("set {name} = {}", one.repeat(1 + random.below(200))),
            6 | 7 => {
                open.push("end");
                format!("repeat {}", 1 + random.below(40))
            }
            8 if open.len() < 8 => {
                open.push("or\n  C: other\n  S: x\nend");
                "either\n  C: first".to_owned()
            }
            9 if !open.is_empty() => open.pop().unwrap().to_owned(),
            10 => format!("C: {{n{}=p|q|r}}\nset b = {{b}}{{n{0}}}", random.below(1000)),
            11 => format!("S: {one} {two}"),
            12 => format!("S raw: {}", one.repeat(1 + random.below(50))),
            13 => format!("in any order\n  C: x {one}\n  C: y {two}\nend"),
            14 => format!("together\n  S: {one}\n  S: {two}\nend"),
            15 => format!("C raw: {{m{}:3 bytes=abc}}{one}", random.below(1000)),
            _ => "C: z\nS: z".to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    while let Some(end) = open.pop() {
        text.push_str(end);
        text.push('\n');
    }
    text + "C: q\n"
}

#[test]
fn random_programs_and_peers_stay_within_the_bound() {
    let mut taken = Taken::begin();
    let mut random = Random(53);
    let rounds = std::env::var("SOCKEYE_FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60);
    let (mut played, mut met) = (0, 0);
    for _ in 0..rounds {
        let text = program(&mut random);
        taken.again();
        for carrier in [Carrier::Stream, Carrier::Datagram] {
            let Ok(transcript) = parse(&text) else { continue };
            let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, carrier)).ok();
            let (client, server) = (prepare(Side::Client), prepare(Side::Server));
            if let (Some(client), Some(server)) = (&client, &server) {
                let size = [usize::MAX, 64, 1000][random.below(3)];
                let ends = rehearse(client, server, |all| all.min(size));
                played += 1;
                for ending in [ends.client, ends.server] {
                    if let Ending::Failed(verdict) = ending {
                        met += usize::from(matches!(
                            verdict.fault,
                            Fault::ValuesTooLarge { .. } | Fault::MessageTooLarge { .. }
                        ));
                        assert!(verdict.render("").starts_with("error: "));
                    }
                }
            }
            if carrier == Carrier::Stream
                && let Some(server) = server
            {
                let mut heard = Heard::new(server);
                for _ in 0..40 {
                    let line = random.of(&["first\n", "other\n", "z\n", "x xy\n", "abc", "q\n"]);
                    let line = if random.below(3) == 0 { "w".repeat(random.below(50_000)) + "\n" } else { line.into() };
                    if heard.hear(line.as_bytes(), false).is_some() {
                        break;
                    }
                }
            }
        }
        assert!(taken.most() < MOST, "{} bytes for\n{text}", taken.most());
    }
    assert!(played > rounds / 8 && met > 0, "{played} played, {met} met a bound: the programs are too wild");
}
