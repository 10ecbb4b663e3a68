//! What a peer can make a play cost, by construct. `bench/run --only peer` counts the instructions. Alone it tells the memory; with a
//! construct, a way and a size it does what is counted, and with `begin` behind them only what comes before.
#![allow(clippy::print_stdout, reason = "a benchmark for a terminal")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[path = "../tests/bounded/mod.rs"]
mod bounded;
#[path = "../tests/hostile/mod.rs"]
mod hostile;

use hostile::{CONSTRUCTS, Coming};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match &arguments[..] {
        [] => CONSTRUCTS.iter().for_each(|construct| {
            let size = 48 * 1024;
            println!("{:>8} {} {}", held(construct, size), u8::from(construct.has_last_ones()), construct.name);
        }),
        [name, way, size, only @ ..] => {
            let construct = CONSTRUCTS.iter().find(|construct| construct.name == name).unwrap();
            let coming = if way == "whole" { Coming::Whole } else { Coming::LastOnes };
            let script = construct.script();
            let (mut spoken, said) = construct.begin(&script, size.parse().unwrap(), coming);
            if only.is_empty() {
                spoken.go_on(construct.carrier, coming);
            }
            println!("{said}");
        }
        _ => println!("usage: costs [CONSTRUCT whole|last SIZE [begin]]"),
    }
}

/// The most memory that is held for so many bytes, beside them.
fn held(construct: &hostile::Construct, size: usize) -> usize {
    let script = construct.script();
    let (mut spoken, _) = construct.begin(&script, size, Coming::Whole);
    let taken = bounded::Taken::begin();
    spoken.go_on(construct.carrier, Coming::Whole);
    taken.most()
}
