//! What to know before believing figures: whether the generator could follow, and what its loop could not show.

use std::time::Duration;

use super::LoadOptions;
use crate::engine::load::{Account, Played};
use crate::figures::{Histogram, LoadModel, Run};

/// From this part of its processors on a generator is taken to be at its end.
const BUSY: f64 = 0.95;
/// The same where plays began late.
const BUSY_AND_LATE: f64 = 0.85;
/// This part of all starts may be late on a machine that does something else, too.
const LATE: f64 = 0.01;

pub(super) fn warnings(run: &Run, account: &Account, connections: usize) -> Vec<String> {
    limit(run, account).into_iter().chain(held(account, connections)).chain(pauses(run, connections)).collect()
}

/// What was given and not used. Shards use the values and addresses of all together, and none knows what the others used.
pub(super) fn unused(run: &Run, played: &Played, options: &LoadOptions) -> Vec<String> {
    let mut told = Vec::new();
    match (&run.begun.shard, &run.never_played[..]) {
        (Some(shard), [_, ..]) => {
            told.push(format!("shard {shard} never played {}", run.never_played.join(", ")));
        }
        (Some(_), []) => {}
        (None, _) => told.extend(unused_rows(played, options)),
    }
    let (connections, sources) = (run.begun.connections, options.sources.len() as u64);
    if run.begun.shard.is_none() && connections < sources {
        told.push(format!("{connections} of {sources} addresses of --source were used: more --connections use more"));
    }
    told
}

/// A file of values may be larger than what a run takes of it; that some were never tried is said.
fn unused_rows(played: &Played, options: &LoadOptions) -> Option<String> {
    let unused = played.rows.iter().filter(|was_used| !**was_used).count();
    let first = played.rows.iter().position(|was_used| !*was_used)?;
    let (line, _) = options.rows.rows.get(first)?;
    let all = played.rows.len();
    Some(format!("{unused} of {all} rows of --data were never used, first that of line {line}: more --plays use more"))
}

/// The generator, and not the server, decided what was measured.
#[allow(clippy::cast_precision_loss, reason = "parts of counts are not exact anyway")]
fn limit(run: &Run, account: &Account) -> Option<String> {
    let load = run.load_of_generator().unwrap_or(0.0);
    let late = run.measured.counts.late;
    let lags = late > 0 && (load > BUSY_AND_LATE || late as f64 > LATE * account.begun as f64);
    if account.portless == 0 && account.fileless == 0 && load < BUSY && !lags {
        return None;
    }
    let mut why = vec![format!("CPU {:.0} %", load * 100.0)];
    if late > 0 {
        why.push(format!("{late} starts late by more than 1 ms"));
    }
    if account.portless > 0 {
        why.push(format!("{} times no port was free to connect from (--source gives more)", account.portless));
    }
    if account.fileless > 0 {
        why.push(format!("{} times no descriptor was free to connect (ulimit -n)", account.fileless));
    }
    Some(format!("the generator, not the server, was the limit: {}", why.join(", ")))
}

/// Plays waited for a connection.
#[allow(clippy::cast_precision_loss, reason = "parts of counts are not exact anyway")]
fn held(account: &Account, connections: usize) -> Option<String> {
    let Account { held, held_by, .. } = *account;
    let longest = transcript::seconds(Duration::from_millis(u64::try_from(held_by.as_millis()).unwrap_or(u64::MAX)));
    // A few at the beginning, while connections are opened, are no news.
    (held as f64 > LATE * account.begun as f64).then(|| {
        format!(
            "{held} plays were due while all {connections} connections were busy, the longest for {longest}: their latency counts \
             from when they were due (more --connections if that is not the server's fault)"
        )
    })
}

/// A closed loop does not ask while it waits: what would have been asked in a pause of the server is in no figure. With the plays
/// that would have begun at the usual pace, as HdrHistogram corrects for it, the picture may be another.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn pauses(run: &Run, connections: usize) -> Option<String> {
    let latency = &run.measured.latency;
    if run.begun.model != LoadModel::Closed || latency.count() < 100 {
        return None;
    }
    // What usually lies between two questions on one connection.
    let usual = latency.quantile(0.5).max(Duration::from_micros(1)) + Duration::from_micros(1);
    let longest = latency.max();
    if longest < Duration::from_millis(100) || longest < usual * 20 {
        return None;
    }
    let mut corrected = Histogram::new();
    for bucket in latency.buckets() {
        corrected.record_many(bucket.high, bucket.count);
        if bucket.high < usual * 20 {
            continue;
        }
        // Thousands of steps say no more than a hundred, each of which stands for several.
        let steps = (bucket.high.as_secs_f64() / usual.as_secs_f64()).floor();
        let each = (steps / 100.0).max(1.0);
        let mut missing = bucket.high.saturating_sub(usual.mul_f64(each));
        while missing > usual {
            corrected.record_many(missing, (bucket.count as f64 * each).round() as u64);
            missing = missing.saturating_sub(usual.mul_f64(each));
        }
    }
    let (told, would_be) = (latency.quantile(0.99), corrected.quantile(0.99));
    (would_be > told * 2).then(|| {
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        format!(
            "a closed loop cannot show pauses of the server: some answers took {}, and meanwhile their connections asked nothing; with \
             a rate, p99 would be about {} and not {} (--rate; {connections} connections)",
            ms(longest),
            ms(would_be),
            ms(told)
        )
    })
}

#[cfg(test)]
mod tests {
    use transcript::Moment;

    use super::*;
    use crate::engine::load::{Schedule, StartPolicy, simulate};
    use crate::figures::{Arrivals, Begun};

    const TIME: Duration = Duration::from_secs(10);

    /// A server that takes two milliseconds, and stands still from the fifth second to the sixth.
    fn stops(asked: Moment) -> Moment {
        let second = |seconds| Moment::default().after(Duration::from_secs(seconds));
        let answered = asked.after(Duration::from_millis(2));
        if answered >= second(5) && answered < second(6) { second(6) } else { answered }
    }

    fn steady(asked: Moment) -> Moment {
        asked.after(Duration::from_millis(2))
    }

    fn run(model: LoadModel, connections: usize, answers: impl Fn(Moment) -> Moment) -> (Run, Vec<String>) {
        let beginning = match model {
            LoadModel::Closed => StartPolicy::Closed { think: Duration::ZERO },
            LoadModel::Open { rate, arrivals } => {
                StartPolicy::Open(Schedule::new(rate, Duration::ZERO, (0, 1), arrivals, 7))
            }
        };
        let (measured, account) = simulate(beginning, connections, TIME, answers);
        let run = Begun { model, ..Begun::now("load") }.ended(TIME, measured);
        let warnings = warnings(&run, &account, connections);
        (run, warnings)
    }

    #[test]
    fn an_open_loop_shows_a_server_that_stops_for_a_second_in_ten_whoever_the_plays_come_from() {
        for (arrivals, connections) in [(Arrivals::Constant, 64), (Arrivals::Constant, 2000), (Arrivals::Poisson, 64)] {
            let (run, warnings) = run(LoadModel::Open { rate: 1000.0, arrivals }, connections, stops);
            // A tenth of the plays is due while it stands still: of a hundred, the slowest waits nine tenths of that.
            let p99 = run.measured.latency.quantile(0.99).as_secs_f64();
            assert!((0.88..0.92).contains(&p99), "{arrivals:?} {connections}: {p99}");
            assert!((run.measured.counts.plays as f64 - 10_000.0).abs() < 400.0, "{}", run.measured.counts.plays);
            // Where there are connections for all of them none waits for one; else that is said.
            let is_held = warnings.iter().any(|warning| warning.contains("connections were busy, the longest for 0.9"));
            assert_eq!(is_held, connections < 1000, "{warnings:?}");
        }
    }

    #[test]
    fn a_closed_loop_does_not_show_it_and_says_so_and_what_it_would_be() {
        let (measured, warnings) = run(LoadModel::Closed, 4, stops);
        assert!(measured.measured.latency.quantile(0.99) < Duration::from_millis(3));
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        let words = [
            "a closed loop cannot show pauses of the server: some answers took 100",
            "with a rate, p99 would be about 9",
        ];
        assert!(words.iter().all(|words| warning.contains(words)), "{warning}");
    }

    #[test]
    fn a_server_that_answers_steadily_is_nothing_to_warn_of() {
        for (model, connections) in
            [(LoadModel::Closed, 4), (LoadModel::Open { rate: 1000.0, arrivals: Arrivals::Constant }, 64)]
        {
            let (run, warnings) = run(model, connections, steady);
            assert_eq!(warnings, Vec::<String>::new());
            assert!(run.measured.latency.max() < Duration::from_millis(3), "{:?}", run.measured.latency);
        }
    }
}
