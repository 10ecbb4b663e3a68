//! The player alone, in memory: greetings a second on one core. Run with `cargo bench -p sockeye-transcript`.
#![allow(clippy::print_stdout, reason = "a benchmark for a terminal")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;
use std::time::Instant;

use transcript::{Carrier, Input, Moment, Options, Output, Scratch, Script, Side, Transcript};

fn main() {
    let text = b"S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";
    let transcript = Transcript::parse("greeting.talk", text, &[]).unwrap();
    let script = Script::prepare(&transcript, &Options::new(Side::Server, Carrier::Stream)).unwrap();
    for batch in [1, 100] {
        let names = b"Michael\n".repeat(batch);
        let (mut play, mut scratch, mut output) = (script.play(), Scratch::new(), Output::default());
        let mut best = f64::INFINITY;
        for round in 0..10_u64 {
            let began = Instant::now();
            let steps = 2_000_000 / batch;
            for _ in 0..steps {
                let now = Moment::from_nanos(round);
                let input = Input { bytes: &names, datagram: false, ended: false, now };
                black_box(play.step(&script, black_box(input), &mut scratch, &mut output));
                output.clear();
            }
            best = best.min(began.elapsed().as_secs_f64() / (steps * batch) as f64);
        }
        println!("batches of {batch}: {:.1} ns a greeting, {:.1} M/s", best * 1e9, 1e-6 / best);
    }
}
