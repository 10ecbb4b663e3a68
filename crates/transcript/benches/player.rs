//! The player alone, in memory: greetings, bytes and allocations on one core. Run with
//! `cargo bench -p sockeye-transcript`. With the name of a work and a number of steps it only takes those, for whoever
//! counts instructions (`bench/run --only instructions`); with `list` it tells the names, and the exchanges of a step.
#![allow(clippy::print_stdout, reason = "a benchmark for a terminal")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

mod counting;

use std::hint::black_box;
use std::time::Instant;

use transcript::{Carrier, Input, Moment, Output, PlayOptions, Scratch, Script, Side, Transcript};

/// What an end hears again and again, how many exchanges that is, and what it plays.
struct Work {
    name: &'static str,
    side: Side,
    script: &'static str,
    /// Heard once, before the time runs.
    first: &'static [u8],
    heard: Vec<u8>,
    exchanges: usize,
}

impl Work {
    fn of(
        name: &'static str,
        side: Side,
        script: &'static str,
        first: &'static [u8],
        heard: &[u8],
        exchanges: usize,
    ) -> Self {
        Self { name, side, script, first, heard: heard.to_vec(), exchanges }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match &arguments[..] {
        [] => works().map(measure).into_iter().for_each(drop),
        [list] if list == "list" => works().iter().for_each(|work| println!("{} {}", work.exchanges, work.name)),
        [name, steps] => {
            let work = works().into_iter().find(|work| work.name == name).unwrap();
            with_step(&work, |step| (0..steps.parse().unwrap()).for_each(|_: u64| step()));
        }
        _ => println!("usage: player [list | WORK STEPS]"),
    }
}

fn works() -> [Work; 12] {
    let greeting = "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";
    let ping = "repeat\n  C: PING\n  S: +PONG\nend\n";
    let lines = "eol crlf\nrepeat\n  either\n    C: GET {key:word=fish} {_:int=1}\n    S: VALUE {key}\n  or\n    C: {_=QUIT}\n  end\nend\n";
    let sets = "eol crlf\nC: hello\nrepeat\n  C: x\n  S: 250 ok\nend\n";
    let greeted = "S: Welcome!\nrepeat 4294967295\n  C: {name=Michael}\n  S: Hello, {name}!\nend\n";
    let blocks = "repeat\n  C raw: {body:65536 bytes}\n  S: ok\nend\n";
    let pings = "repeat 4294967295\n  C: PING\n  S: +PONG\nend\n";
    let names = "repeat 4294967295\n  C: {name=Ann|Bob|Eve}\n  S: Hello, {name}!\nend\n";
    let why = "repeat\n  S: {question=why}\n  C: {question}: because\nend\n";
    let long = [b"x".repeat(1000), b"\n".to_vec()].concat();
    let (hello, hellos) = (b"Hello, Michael!\n", b"Hello, Ann!\nHello, Bob!\nHello, Eve!\n");
    [
        Work::of("greeting, one at a time", Side::Server, greeting, b"", b"Michael\n", 1),
        Work::of("greeting, 100 at a time", Side::Server, greeting, b"", &b"Michael\n".repeat(100), 100),
        Work::of("greeting, names of 1,000 bytes", Side::Server, greeting, b"", &long, 1),
        Work::of("no hole, 100 at a time", Side::Server, ping, b"", &b"PING\n".repeat(100), 100),
        Work::of("a choice with patterns", Side::Server, lines, b"", &b"GET fish 17\r\n".repeat(100), 100),
        Work::of("a loop behind a first line", Side::Server, sets, b"hello\r\n", &b"x\r\n".repeat(100), 100),
        Work::of("blocks of 64 KiB", Side::Server, blocks, b"", &[b'x'; 65536], 1),
        Work::of("a client's greeting, one at a time", Side::Client, greeted, b"Welcome!\n", hello, 1),
        Work::of("a client's greeting, 100 at a time", Side::Client, greeted, b"Welcome!\n", &hello.repeat(100), 100),
        Work::of("a client without holes, 100 at a time", Side::Client, pings, b"", &b"+PONG\n".repeat(100), 100),
        Work::of("a client's three names in turn", Side::Client, names, b"", &hellos.repeat(33), 99),
        Work::of("a client that answers", Side::Client, why, b"", &b"why\n".repeat(100), 100),
    ]
}

/// Gives the act a step of the play, which stands where the work begins.
fn with_step(work: &Work, act: impl FnOnce(&mut dyn FnMut())) {
    let transcript = Transcript::parse("bench.talk", work.script.as_bytes(), &[]).unwrap();
    let script = Script::prepare(&transcript, &PlayOptions::new(work.side, Carrier::Stream)).unwrap();
    let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
    let mut step = |bytes: &[u8]| {
        let input = Input { bytes, datagram: false, ended: false, now: Moment::default() };
        let step = play.step(&script, black_box(input), &mut scratch, &mut output);
        assert_eq!(step.consumed, bytes.len(), "{}", work.name);
        output.clear();
    };
    step(work.first);
    act(&mut || step(&work.heard));
}

fn measure(work: Work) {
    let steps = (200_000_000 / (work.heard.len() + 50 * work.exchanges)).clamp(100, 1_000_000);
    let (mut best, mut asked) = (f64::INFINITY, 0);
    with_step(&work, |step| {
        step();
        for _ in 0..5 {
            let (began, before) = (Instant::now(), counting::asked());
            for _ in 0..steps {
                step();
            }
            best = best.min(began.elapsed().as_secs_f64() / steps as f64);
            asked = counting::asked() - before;
        }
    });
    println!(
        "{:<32} {:>9.1} ns an exchange {:>8.0} MB/s heard {:>7.3} allocations an exchange",
        work.name,
        best * 1e9 / work.exchanges as f64,
        work.heard.len() as f64 / best / 1e6,
        asked as f64 / (steps * work.exchanges) as f64,
    );
}
