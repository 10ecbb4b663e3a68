use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

/// A run as it could have been.
fn runs() -> impl Strategy<Value = Run> {
    let times = prop::collection::vec(0_u64..5_000_000_000, 0..60);
    let second = (times, 0_u64..9, any::<u16>(), any::<u16>());
    let model = prop_oneof![
        Just(LoadModel::Closed),
        (0.001..1e7).prop_map(|rate| LoadModel::Open { rate, arrivals: Arrivals::Constant }),
        (0.001..1e7).prop_map(|rate| LoadModel::Open { rate, arrivals: Arrivals::Poisson }),
    ];
    let shard = prop::option::of((1_u32..5, 0_u32..5).prop_map(|(index, more)| Shard { index, of: index + more }));
    (
        prop::collection::vec(second, 0..5),
        model,
        shard,
        0_u64..4_000_000_000_000_000,
        0_u64..10_000_000_000_000,
        "\\PC{0,9}",
    )
        .prop_map(|(seconds, model, shard, began, lasted, word)| {
            let mut measured = Measured::default();
            let line = |name: &str| Line { name: name.to_owned(), failures: 0, latency: Histogram::new() };
            measured.lines = vec![line("a.talk:3"), line(&word)];
            for (index, (times, failures, sent, received)) in seconds.into_iter().enumerate() {
                let mut latency = Histogram::new();
                for (n, nanos) in times.into_iter().enumerate() {
                    let time = Duration::from_nanos(nanos);
                    latency.record(time);
                    measured.latency.record(time);
                    measured.lines[n % 2].latency.record(time);
                    measured.whole_plays.record(time * 2);
                }
                let counts = Counts {
                    plays: latency.count() + failures,
                    failures,
                    sent: sent.into(),
                    received: received.into(),
                    late: failures,
                    latest: Duration::from_nanos(u64::from(sent) * 7),
                };
                measured.counts += counts;
                if failures > 0 {
                    let failed = (word.clone(), "differs".to_owned(), Duration::from_nanos(lasted / 3));
                    let line = (index > 0).then(|| word.clone());
                    measured.failed.push(Failed {
                        line,
                        kind: failed.1,
                        count: failures,
                        since: failed.2,
                        first: failed.0,
                    });
                }
                measured.rows.push(Row::new(index as u64, counts, &latency));
            }
            let begun = Begun {
                began: UNIX_EPOCH + Duration::from_micros(began),
                model,
                shard,
                files: vec![word.clone()],
                target: word,
                connections: 64,
                ramp: Duration::from_nanos(lasted / 7),
                ..Begun::now("load")
            };
            let part = MergedRun {
                name: "b.json".to_owned(),
                shard,
                began: begun.began,
                lasted: Duration::from_nanos(lasted),
                counts: measured.counts,
                exchanges: 3,
                generator: Generator { threads: 1, cpu: Duration::from_millis(7) },
            };
            let mut run = begun.ended(Duration::from_nanos(lasted), measured);
            run.generator = Generator { threads: 2, cpu: Duration::from_nanos(lasted / 11) };
            run.warnings.push("a word".to_owned());
            run.gaps.push("a gap".to_owned());
            run.within =
                shard.map(|shard| Within { from: Duration::from_nanos(lasted / 5), exchanges: shard.of.into() });
            run.parts.push(part);
            run
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_saved_is_read_and_saved_again_as_it_was(run in runs()) {
        let text = run.to_json();
        let read = Run::read("x", text.as_bytes()).unwrap();
        prop_assert_eq!(&read, &run);
        prop_assert_eq!(read.to_json(), text);
    }

    /// Cut anywhere, it is an error that names the file; not one byte too few passes.
    #[test]
    fn a_file_that_was_cut_is_never_read(run in runs(), at in any::<prop::sample::Index>()) {
        let text = run.to_json();
        let at = at.index(text.trim_end().len());
        let error = Run::read("runs/x.json", &text.as_bytes()[..at]).unwrap_err();
        prop_assert!(matches!(error.kind, ReadErrorKind::Cut | ReadErrorKind::Empty | ReadErrorKind::NotJson { .. }), "{}", error);
        prop_assert!(error.to_string().contains("runs/x.json"));
    }

    #[test]
    fn damage_is_never_a_panic(run in runs(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = run.to_json().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Run::read("x", &bytes);
    }
}

fn sample() -> serde_json::Value {
    let mut measured = Measured::default();
    measured.latency.record(Duration::from_millis(3));
    measured.rows.push(Row::new(0, Counts::default(), &measured.latency));
    let latency = measured.latency.clone();
    measured.lines.push(Line { name: "a.talk:3".to_owned(), failures: 0, latency });
    let run = Begun::now("load").ended(Duration::from_secs(1), measured);
    serde_json::from_str(&run.to_json()).unwrap()
}

/// The contract with other programs.
#[test]
fn the_figures_stand_at_the_top_in_seconds() {
    let saved = sample();
    for name in ["plays", "exchanges", "failures", "seconds", "rate"] {
        assert!(saved[name].is_number(), "{name}: {}", saved[name]);
    }
    for holder in [&saved, &saved["lines"][0], &saved["rows"][0]] {
        for name in ["p50", "p90", "p99", "p999", "max"] {
            let value = holder["latency"][name].as_f64().unwrap();
            assert!((0.00299..0.003_01).contains(&value), "{name}: {value}");
        }
        assert!(holder["histogram"].as_str().unwrap().starts_with("HISTFAAAA"));
    }
    assert_eq!((&saved["rate"], &saved["lines"][0]["line"]), (&1.0.into(), &"a.talk:3".into()));
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_words() {
    let with = |name: &str, value: serde_json::Value| {
        let mut saved = sample();
        *saved.pointer_mut(name).unwrap() = value;
        saved.to_string()
    };
    for (text, expected) in [
        (String::new(), "x.json is empty"),
        (" \n".to_owned(), "x.json is empty"),
        ("{".to_owned(), "ends in the middle"),
        ("PLAY".to_owned(), "x.json:1:1: this is no JSON"),
        ("{}".to_owned(), "it has no `format` and `verb`"),
        ("[1]".to_owned(), "no saved run"),
        ("{\"format\": 1, \"verb\": \"load\"}".to_owned(), "missing field `version`"),
        (with("/format", 2.into()), "format 2, and this version of sockeye reads format 1"),
        (with("/exchanges", 2.into()), "has 1 times, and 2 are counted"),
        (with("/histogram", "HISTFAAAABxx".into()), "HdrHistogram's V2"),
        (with("/lines/0/histogram", "".into()), "`a.talk:3` has 0 times, and 1 are counted"),
        (with("/rows/0/histogram", "".into()), "`second 0`"),
        (with("/rows/0/second", 7.into()), "a row of second 0 is missing"),
        (with("/seconds", (-1).into()), "`seconds` is -1 seconds"),
        (with("/began", "yesterday".into()), "`yesterday` is no point in time"),
        (with("/shard", serde_json::json!({"index": 3, "of": 2})), "there is no shard 3 of 2"),
        (
            with("/loop", serde_json::json!({"kind": "open", "rate": 0.0, "arrivals": "poisson"})),
            "the rate asked for is 0",
        ),
    ] {
        let error = Run::read("x.json", text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("x.json"), "{expected}: {error}");
    }
}
