use super::super::{Arrivals, Begun, Counts, Histogram, Measured, Row};
use super::blocks::tests::series;
use super::*;

/// A run of so many seconds at a rate that swings by 5 %, with one latency and a tail.
fn run(seconds: usize, rate: f64, latency: f64, memory: f64, seed: u64) -> Run {
    let mut measured = Measured::default();
    for (second, swing) in series(seconds, memory, seed).into_iter().enumerate() {
        let swing = 1.0 + 0.05 * swing;
        let mut histogram = Histogram::new();
        for n in 0..(rate * swing) as u32 {
            let tail = if n % 50 == 0 { 10.0 } else { 1.0 + f64::from(n % 10) / 100.0 };
            histogram.record(Duration::from_secs_f64(latency * tail / swing));
        }
        measured.latency.merge(&histogram);
        measured.rows.push(Row::new(second as u64, Counts::default(), &histogram));
    }
    Begun { connections: 8, ..Begun::now("load") }.ended(Duration::from_secs(seconds as u64), measured)
}

fn open(mut run: Run) -> Run {
    run.begun.model = LoadModel::Open { rate: 100.0, arrivals: Arrivals::Constant };
    run
}

fn verdict(run: &Run, base: &Run) -> Verdict {
    compare(run, base).unwrap().verdict()
}

#[test]
fn twice_as_slow_is_slower_and_the_other_way_round_faster() {
    let (fast, slow) = (run(20, 200.0, 0.01, 0.0, 1), run(20, 100.0, 0.02, 0.0, 2));
    assert_eq!((verdict(&slow, &fast), verdict(&fast, &slow)), (Verdict::Slower, Verdict::Faster));
    let slower = compare(&slow, &fast).unwrap();
    assert_eq!(slower.decisive, Metric::Rate);
    assert!((0.45..0.55).contains(&slower.decisive().slower_by()), "{slower:?}");
    assert!(slower.changes.iter().all(|change| change.verdict == Verdict::Slower), "{slower:?}");
    let (low, high) = slower.decisive().interval.unwrap();
    assert!(low < slower.decisive().ratio && slower.decisive().ratio < high && high < 0.6, "{slower:?}");
}

#[test]
fn an_open_loop_is_judged_by_its_latency() {
    let (fast, slow) = (open(run(20, 100.0, 0.01, 0.0, 1)), open(run(20, 100.0, 0.02, 0.0, 2)));
    let compared = compare(&slow, &fast).unwrap();
    assert_eq!((compared.decisive, compared.verdict()), (Metric::Mean, Verdict::Slower));
    assert!((0.9..1.1).contains(&compared.decisive().slower_by()), "{compared:?}");
}

#[test]
fn the_same_load_again_is_noise() {
    let mut wrong = 0;
    for seed in 0..30 {
        let pair = [seed * 2 + 100, seed * 2 + 101].map(|seed| run(30, 100.0, 0.01, 0.7, seed));
        wrong += usize::from(verdict(&pair[0], &pair[1]) != Verdict::Noise);
    }
    assert!(wrong <= 2, "{wrong} of 30 verdicts where there is no difference");
}

#[test]
fn too_few_seconds_allow_no_verdict_unless_the_difference_is_large() {
    let base = run(1, 200.0, 0.01, 0.0, 1);
    let compared = compare(&run(1, 20.0, 0.1, 0.0, 2), &base).unwrap();
    assert_eq!((compared.verdict(), compared.decisive().interval), (Verdict::Noise, None));
    assert_eq!(verdict(&run(3, 185.0, 0.01, 0.0, 2), &run(3, 200.0, 0.01, 0.0, 1)), Verdict::Noise);
    assert_eq!(verdict(&run(3, 20.0, 0.1, 0.0, 2), &run(3, 200.0, 0.01, 0.0, 1)), Verdict::Slower);
}

#[test]
fn the_same_files_give_the_same_verdict() {
    let (one, two) = (run(12, 100.0, 0.01, 0.3, 1), run(12, 110.0, 0.01, 0.3, 2));
    assert_eq!(compare(&one, &two), compare(&one, &two));
}

#[test]
fn seconds_of_the_ramp_and_a_last_one_that_is_not_whole_do_not_count() {
    let mut ramped = run(20, 100.0, 0.01, 0.0, 1);
    ramped.begun.ramp = Duration::from_millis(2500);
    ramped.lasted = Duration::from_millis(19_200);
    let compared = compare(&ramped, &run(20, 100.0, 0.01, 0.0, 2)).unwrap();
    assert_eq!(compared.seconds, (20, 16));
}

#[test]
fn what_is_unlike_is_said_and_nothing_is_not_compared() {
    let (mut one, two) = (run(5, 100.0, 0.01, 0.0, 1), open(run(5, 100.0, 0.01, 0.0, 2)));
    one.begun.connections = 9;
    one.measured.counts.failures = 4;
    let told = compare(&one, &two).unwrap().warnings.join("\n");
    for words in [
        "the run has 9, the base 8",
        "a closed loop, the base an open loop at 100 a second",
        "4 in the run, 0 in the base",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let nothing = Begun::now("load").ended(Duration::from_secs(5), Measured::default());
    assert!(compare(&nothing, &two).unwrap_err().to_string().contains("the run has no exchange"));
    assert!(compare(&two, &nothing).unwrap_err().to_string().contains("the base has no exchange"));
}
