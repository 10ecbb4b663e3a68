//! The parser alone, and the parser with what a server needs before it can play: time and allocations a line. Run with
//! `cargo bench -p sockeye-transcript`.
#![allow(clippy::print_stdout, reason = "a benchmark for a terminal")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

mod counting;

use std::hint::black_box;
use std::time::{Duration, Instant};

use transcript::rehearse::rehearse;
use transcript::{Carrier, PlayOptions, Script, Side, Transcript};

/// How long each is repeated, at most; the best of what was seen counts.
const TIME: Duration = Duration::from_secs(2);

fn main() {
    let greeting = "gap 100ms\n\nS: Welcome!\nrepeat\n  C: {name=Michael|Tracy|Sarah}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";
    let long = "C: GET {key:word=fish} {_:int=1}\nS: VALUE {key}\n".repeat(5000);
    for (name, text) in [("the greeting", greeting), ("10,000 lines", &long)] {
        run(&format!("{name}, read"), text, |text| read(text).warnings().len());
        run(&format!("{name}, read and prepared"), text, |text| {
            let options = PlayOptions::new(Side::Server, Carrier::Stream);
            black_box(Script::prepare(&read(text), &options).unwrap());
            0
        });
    }
    whole_files();
}

/// A kind of file, and how it is written at a size.
type Kind = (&'static str, fn(usize) -> String);

/// Files up to the largest that there may be: read, prepared for both ends and played. Each is twice as long as the one
/// before, and is to take twice as long.
fn whole_files() {
    let kinds: [Kind; 3] = [
        ("a raw literal", |size| format!("C raw: {}\nS: ok\n", "x".repeat(size - 20))),
        ("a hex literal", |size| format!("C hex: {}\nS: ok\n", "61".repeat(size / 2 - 10))),
        ("lines", |size| "C: hello, how are you?\nS: well\n".repeat(size / 31)),
    ];
    for (name, text) in kinds {
        for mebibytes in [2, 4, 8, 16] {
            let text = text(mebibytes << 20);
            let start = Instant::now();
            let transcript = read(&text);
            let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap();
            let (client, server) = (prepare(Side::Client), prepare(Side::Server));
            black_box(rehearse(&client, &server, |all| all));
            let took = start.elapsed().as_secs_f64();
            println!(
                "{mebibytes:>2} MiB of {name:<27} {:>9.3} s {:>20.1} ns a byte",
                took,
                took * 1e9 / text.len() as f64
            );
        }
    }
}

fn read(text: &str) -> Transcript {
    Transcript::parse("bench.talk", black_box(text.as_bytes()), &[]).unwrap()
}

fn run(name: &str, text: &str, act: impl Fn(&str) -> usize) {
    let lines = text.lines().count();
    let before = counting::asked();
    black_box(act(text));
    let asked = counting::asked() - before;
    let (mut best, began) = (f64::INFINITY, Instant::now());
    while began.elapsed() < TIME {
        let start = Instant::now();
        black_box(act(text));
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{name:<34} {:>9.1} ns a line {:>8.0} MB/s read {:>7.2} allocations a line",
        best * 1e9 / lines as f64,
        text.len() as f64 / best / 1e6,
        asked as f64 / lines as f64,
    );
}
