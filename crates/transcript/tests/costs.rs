//! What a peer can make a play cost grows as what it says does, and no faster, whatever construct it is heard by: counted by
//! what is asked of the allocator, and by instructions where valgrind is there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bounded;
mod hostile;

use std::process::Command;

use bounded::Taken;
use hostile::{CONSTRUCTS, Coming, Construct, Law, Spoken};

const WAYS: [Coming; 2] = [Coming::Whole, Coming::LastOnes];

/// What is measured: each construct, and how what is said comes.
fn all() -> impl Iterator<Item = (&'static Construct, Coming)> {
    let ways = |construct: &'static Construct| WAYS.into_iter().map(move |coming| (construct, coming));
    CONSTRUCTS.iter().flat_map(ways).filter(|(construct, coming)| *coming == Coming::Whole || construct.has_last_ones())
}

/// How much more four times as many bytes may cost. All of them cost in proportion, but for what doubles; the last ones cost the
/// same whatever was before them.
fn most(construct: &Construct, coming: Coming) -> f64 {
    match (construct.law, coming) {
        (Law::Linear, Coming::Whole) => 5.0,
        (Law::Linear, Coming::LastOnes) => 1.3,
        (Law::AsLongAsTheValue, Coming::Whole) => 20.0,
        (Law::AsLongAsTheValue, Coming::LastOnes) => 5.0,
    }
}

/// Those that cost more than that, of what was counted for so many bytes and for four times as many.
fn grown(counts: &[(&str, Vec<[u64; 2]>)], slack: u64) -> Vec<String> {
    let mut grown = Vec::new();
    for (what, counts) in counts {
        assert_eq!(counts.len(), all().count());
        for ((construct, coming), [once, four]) in all().zip(counts) {
            if *four as f64 > *once as f64 * most(construct, coming) + slack as f64 {
                grown.push(format!(
                    "{} ({coming:?}): {once} {what}, and {four} for four times as many bytes",
                    construct.name
                ));
            }
        }
    }
    grown
}

#[test]
fn what_is_asked_of_memory_grows_as_what_is_said() {
    const SIZE: usize = 12 * 1024;
    let mut taken = Taken::begin();
    let (mut asked, mut held) = (Vec::new(), Vec::new());
    for (construct, coming) in all() {
        let script = construct.script();
        let [once, four] = [SIZE, 4 * SIZE].map(|size| {
            let (mut spoken, said) = construct.begin(&script, size, coming);
            taken.again();
            spoken.go_on(construct.carrier, coming);
            let (asked, held) = (taken.asked(), taken.most());
            assert!(held < 64 * said + 1024 * 1024, "{}: {held} bytes held for {said}", construct.name);
            [asked as u64, held as u64]
        });
        asked.push([once[0], four[0]]);
        held.push([once[1], four[1]]);
    }
    let grown = grown(&[("bytes asked for", asked), ("bytes held", held)], 4096);
    assert!(grown.is_empty(), "{grown:#?}");
}

/// What valgrind counts: its name tells valgrind when to.
#[inline(never)]
fn measured_by_valgrind(spoken: &mut Spoken<'_>, construct: &Construct, coming: Coming) {
    spoken.go_on(construct.carrier, coming);
}

#[test]
fn instructions_grow_as_what_is_said() {
    const SIZE: usize = 1024;
    const INSIDE: &str = "SOCKEYE_COUNTED";
    if std::env::var_os(INSIDE).is_some() {
        for (construct, coming) in all() {
            let script = construct.script();
            for size in [SIZE, 4 * SIZE] {
                let (mut spoken, _) = construct.begin(&script, size, coming);
                measured_by_valgrind(&mut spoken, construct, coming);
            }
        }
        return;
    }
    let folder = std::env::temp_dir().join(format!("sockeye-costs-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let function = "costs::measured_by_valgrind";
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--toggle-collect={function}"), &format!("--dump-after={function}")])
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "instructions_grow_as_what_is_said", "--test-threads=1"])
        .env(INSIDE, "1")
        .output();
    let Ok(ran) = ran else {
        std::fs::remove_dir_all(&folder).unwrap();
        return println!("skipped: valgrind, which counts instructions, is not here");
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let count = |part: usize| -> u64 {
        let text = std::fs::read_to_string(folder.join(format!("out.{part}"))).unwrap();
        let total = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
        total.unwrap().trim().parse().unwrap()
    };
    let counts: Vec<[u64; 2]> = (0..all().count()).map(|index| [count(2 * index + 1), count(2 * index + 2)]).collect();
    std::fs::remove_dir_all(&folder).unwrap();
    let grown = grown(&[("instructions", counts)], 20_000);
    assert!(grown.is_empty(), "{grown:#?}");
}
