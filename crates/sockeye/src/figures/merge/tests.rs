use std::time::UNIX_EPOCH;

use super::super::Begun;
use super::*;

/// A run of so many whole seconds, at a steady rate, that began so many milliseconds after another.
fn run(after: u64, seconds: u64, rate: u64, shard: Option<(u32, u32)>) -> Run {
    let mut measured = Measured::default();
    for second in 0..seconds {
        let mut latency = Histogram::new();
        (0..rate).for_each(|n| latency.record(Duration::from_micros(100 + n)));
        let counts = Counts { plays: rate, ..Counts::default() };
        measured.rows.push(Row::new(second, counts, &latency));
        measured.counts += counts;
        measured.latency.merge(&latency);
    }
    let latency = measured.latency.clone();
    measured.lines.push(Line { name: "a.talk:2".to_owned(), failures: 0, latency });
    let begun = Begun {
        began: UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_millis(after),
        shard: shard.map(|(index, of)| Shard { index, of }),
        target: "tcp://h:1".to_owned(),
        connections: 8,
        ..Begun::now("load")
    };
    begun.ended(Duration::from_secs(seconds), measured)
}

fn merged(runs: &[Run]) -> Run {
    merge(named(runs)).unwrap()
}

fn named(runs: &[Run]) -> Vec<(String, Run)> {
    runs.iter().enumerate().map(|(index, run)| (format!("{index}.json"), run.clone())).collect()
}

fn refused(runs: &[Run]) -> String {
    merge(named(runs)).unwrap_err().to_string()
}

/// Whether a rate is within a hundredth of another.
fn is_near(rate: f64, expected: f64) -> bool {
    (rate / expected - 1.0).abs() < 0.01
}

#[test]
fn rates_of_shards_that_run_together_add_up() {
    let all = merged(&[run(0, 10, 100, Some((1, 2))), run(3, 10, 100, Some((2, 2)))]);
    assert!(is_near(all.rate(), 200.0), "{}", all.rate());
    assert_eq!((all.exchanges(), all.measured.counts.plays, all.begun.connections), (2000, 2000, 16));
    assert_eq!(all.all_warnings().count(), 0);
    assert_eq!(all.measured.rows.iter().map(|row| row.exchanges).collect::<Vec<_>>(), [200; 10]);
}

/// Two runs at 100 a second, 20 minutes apart: their rate is not the 9 a second of both over the time between.
#[test]
fn a_gap_between_runs_makes_no_rate_smaller() {
    let all = merged(&[run(0, 60, 100, None), run(1_247_000, 60, 100, None)]);
    assert!(is_near(all.rate(), 100.0), "{}", all.rate());
    assert_eq!((all.lasted, all.exchanges()), (Duration::from_secs(120), 12_000));
    assert_eq!(all.measured.rows.len(), 120, "the gap has no rows");
    assert!(all.gaps.iter().any(|words| words.contains("1.json began 1247.0 s after the first")), "{:?}", all.warnings);
    assert_eq!(all.begun.connections, 8, "never more at once");
    // Days apart, too: no row is made for what lies between.
    let all = merged(&[run(0, 2, 100, None), run(900_000_000_000, 2, 100, None)]);
    assert!(is_near(all.rate(), 100.0) && all.measured.rows.len() == 4, "{}", all.rate());
}

#[test]
fn a_late_shard_is_named_and_rates_are_over_the_time_that_all_share() {
    let all =
        merged(&[run(0, 10, 100, Some((1, 3))), run(10, 10, 100, Some((2, 3))), run(6500, 10, 100, Some((3, 3)))]);
    assert!(is_near(all.rate(), 300.0), "{}", all.rate());
    assert_eq!((all.exchanges(), all.lasted), (3000, Duration::from_millis(3500)));
    let late = "shard 3/3 (2.json) began 6.5 s after the first: rates are over the 3.5 s in which all ran";
    assert_eq!(all.gaps, [late]);
    // One that ended early is as bad.
    let all = merged(&[run(0, 10, 100, Some((1, 2))), run(0, 4, 100, Some((2, 2)))]);
    assert!(is_near(all.rate(), 200.0) && all.gaps[0].contains("shard 2/2 (1.json) ended 6.0 s before"), "{all:?}");
}

#[test]
fn a_missing_shard_is_named() {
    let all = merged(&[run(0, 2, 10, Some((1, 4))), run(0, 2, 11, Some((3, 4)))]);
    assert_eq!(all.gaps, ["shards 2/4, 4/4 are missing: these figures are of the others alone"]);
    assert_eq!(missing_shards(&all).iter().map(Shard::to_string).collect::<Vec<_>>(), ["2/4", "4/4"]);
    let one = merged(&[run(0, 2, 10, Some((1, 2)))]);
    assert_eq!(one.gaps, ["shard 2/2 is missing: these figures are of the others alone"]);
    assert_eq!(missing_shards(&merged(&[run(0, 2, 10, None)])), []);
}

#[test]
fn nothing_is_counted_twice() {
    let (one, two) = (run(0, 2, 10, Some((1, 2))), run(5, 2, 10, Some((2, 2))));
    assert!(refused(&[one.clone(), two.clone(), one.clone()]).contains("are the same run"));
    assert!(refused(&[one.clone(), run(9, 2, 10, Some((1, 2)))]).contains("both shard 1/2"));
    assert!(refused(&[one.clone(), run(9, 2, 10, Some((3, 3)))]).contains("parts of different runs"));
    let mut probe = two.clone();
    probe.begun.verb = "probe".to_owned();
    assert!(refused(&[one, probe]).contains("saved by load"));
    assert!(refused(&[]).contains("no run"));
}

#[test]
fn merging_by_and_by_is_merging_at_once() {
    let runs: Vec<Run> = (0..4).map(|n| run(u64::from(n) * 3, 6, 50 + u64::from(n), Some((n + 1, 4)))).collect();
    let all = merged(&runs);
    let by_and_by = merged(&[merged(&runs[..2]), merged(&runs[2..])]);
    assert_eq!(by_and_by.measured, all.measured);
    assert_eq!((by_and_by.parts.len(), &by_and_by.gaps), (4, &all.gaps));
    assert!(is_near(by_and_by.rate(), all.rate()), "{} {}", by_and_by.rate(), all.rate());
    assert_eq!(Run::read("x", all.to_json().as_bytes()).unwrap(), all);
}

#[test]
fn what_is_unlike_is_said_and_of_each_failure_the_first_is_kept() {
    let failed = |since: u64, first: &str| Failed {
        line: Some("a.talk:2".to_owned()),
        kind: "differs".to_owned(),
        count: 3,
        since: Duration::from_millis(since),
        first: first.to_owned(),
    };
    let (mut one, mut two) = (run(0, 5, 10, None), run(200, 5, 11, None));
    one.measured.failed.push(failed(900, "second"));
    two.measured.failed.push(failed(500, "first"));
    two.begun.target = "tcp://other:1".to_owned();
    one.warnings.push("the generator was the limit".to_owned());
    let all = merged(&[one, two]);
    assert_eq!(all.measured.failed, [Failed { count: 6, ..failed(700, "first") }]);
    let told =
        ["not the same target: 0.json has tcp://h:1, 1.json has tcp://other:1", "0.json: the generator was the limit"];
    assert_eq!(all.warnings, told);
}

#[test]
fn counts_that_no_machine_can_have_are_no_panic() {
    let mut huge = run(0, 2, 10, Some((1, 100_000)));
    huge.measured.counts.sent = u64::MAX;
    huge.measured.rows[0].counts.sent = u64::MAX;
    huge.measured.lines[0].failures = u64::MAX;
    huge.begun.connections = u64::MAX;
    huge.generator.threads = u32::MAX;
    let mut other = huge.clone();
    other.begun.shard = Some(Shard { index: 2, of: 100_000 });
    let all = merged(&[huge, other]);
    assert_eq!((all.measured.counts.sent, all.begun.connections), (u64::MAX, u64::MAX));
    assert!(all.gaps[0].contains("22/100000 and 99978 more are missing"), "{:?}", all.gaps);
}
