//! `sockeye report`: saved runs merged, compared and judged, and the page that it writes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use support::runs::{Made, PLAIN, page, report};
use support::*;

/// A folder with these runs in it.
fn folder(runs: &[(&str, Made)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, made) in runs {
        fs::write(folder.path().join(name), made.run().to_json()).unwrap();
    }
    folder
}

fn saved(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn is_near(value: &Value, expected: f64) -> bool {
    (value.as_f64().unwrap() / expected - 1.0).abs() < 0.05
}

#[test]
fn shards_become_one_run_whose_histogram_is_that_of_all() {
    let shard = |index| Made { began: f64::from(index) / 50.0, rate: 100 * index, shard: Some((index, 3)), ..PLAIN };
    let folder = folder(&[("1.json", shard(1)), ("2.json", shard(2)), ("3.json", shard(3))]);
    let output = report(folder.path(), &["1.json", "2.json", "3.json", "--save", "all.json"]);
    assert_code(&output, 0);
    assert_eq!(text(&output.stderr), "", "nothing is wrong with these");
    let all = saved(folder.path().join("all.json"));
    let each = ["1.json", "2.json", "3.json"].map(|name| saved(folder.path().join(name)));
    for name in ["plays", "exchanges", "failures", "received"] {
        let sum: u64 = each.iter().map(|run| run[name].as_u64().unwrap()).sum();
        assert_eq!(all[name], sum, "{name}");
    }
    assert!(is_near(&all["rate"], 600.0), "{}", all["rate"]);
    assert_eq!((all["lines"].as_array().unwrap().len(), all["merged"].as_array().unwrap().len()), (2, 3));
    // Once more with the merged one: nothing changes.
    let output = report(folder.path(), &["all.json", "--save", "again.json"]);
    assert_code(&output, 0);
    assert_eq!(fs::read(folder.path().join("again.json")).unwrap(), fs::read(folder.path().join("all.json")).unwrap());
    assert!(text(&output.stdout).contains("greet.talk:5"), "{}", text(&output.stdout));
}

#[test]
fn two_runs_one_after_the_other_keep_their_rate() {
    let later = Made { began: 1247.0, swing: 5, ..PLAIN };
    let folder = folder(&[("a.json", PLAIN), ("b.json", later)]);
    let output = report(folder.path(), &["a.json", "b.json", "--save", "all.json"]);
    assert_code(&output, 0);
    let all = saved(folder.path().join("all.json"));
    assert!(is_near(&all["rate"], 200.0) && is_near(&all["seconds"], 24.0), "{} {}", all["rate"], all["seconds"]);
    assert!(text(&output.stderr).contains("b.json began 1247.0 s after the first"), "{}", text(&output.stderr));
}

#[test]
fn shards_that_are_missing_or_late_are_named() {
    let shard = |index, began| Made { began, shard: Some((index, 4)), ..PLAIN };
    let folder = folder(&[("a.json", shard(1, 0.0)), ("b.json", shard(2, 5.0)), ("d.json", shard(4, 0.1))]);
    let all = ["d.json", "a.json", "b.json"];
    let output = report(folder.path(), &all);
    assert_code(&output, 0);
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert!(told.contains("warning: shard 3/4 is missing") && said.contains("missing    3/4"), "{said}{told}");
    assert!(told.contains("shard 2/4 (b.json) began 5.0 s after the first: rates are over the 7.0 s"), "{told}");
    assert!(said.contains("over the 7.00 s that all runs share"), "{said}");
    // Figures of a part are not judged.
    let judged = [&all[..], &["--against", "a.json", "--fail-if-slower", "50%"]].concat();
    let output = report(folder.path(), &judged);
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("shard 3/4 is missing: what is not whole is not judged"));
    for (wrong, why) in [
        (["a.json", "a.json"], "are the same run, which would count twice"),
        (["a.json", "again.json"], "are both shard 1/4"),
        (["a.json", "other.json"], "parts of different runs"),
    ] {
        fs::write(folder.path().join("again.json"), shard(1, 9.0).run().to_json()).unwrap();
        fs::write(folder.path().join("other.json"), Made { shard: Some((2, 5)), ..PLAIN }.run().to_json()).unwrap();
        let output = report(folder.path(), &wrong);
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
}

#[test]
fn a_slower_run_is_called_slower_and_fails_where_it_is_asked_for() {
    let slow = Made { rate: 160, latency: 0.00125, swing: 5, ..PLAIN };
    let same = Made { swing: 3, ..PLAIN };
    let folder = folder(&[("base.json", PLAIN), ("slow.json", slow), ("same.json", same)]);
    let against = |run: &str, base: &str, more: &[&str]| {
        let output = report(folder.path(), &[&[run, "--against", base], more].concat());
        (code(&output), text(&output.stdout), text(&output.stderr))
    };
    let verdict = |run, base| {
        let (code, said, _) = against(run, base, &[]);
        let verdict = said.lines().find(|line| line.starts_with("verdict: ")).unwrap_or_default().to_owned();
        (code, verdict)
    };
    assert_eq!(verdict("slow.json", "base.json").0, 0, "nobody asked for a judgement");
    assert!(
        verdict("slow.json", "base.json").1.contains("slower: the rate changed by -20"),
        "{:?}",
        verdict("slow.json", "base.json")
    );
    assert!(verdict("base.json", "slow.json").1.contains("faster"));
    assert!(verdict("same.json", "base.json").1.contains("the noise does not allow one"));
    let (code, _, why) = against("slow.json", "base.json", &["--fail-if-slower", "5%"]);
    assert!(
        code == 1 && why.contains("the rate is lower than the base's by 20") && why.contains("more than 5"),
        "{why}"
    );
    assert_eq!(against("slow.json", "base.json", &["--fail-if-slower", "30%"]).0, 0);
    assert_eq!(against("same.json", "base.json", &["--fail-if-slower", "5%"]).0, 0);
    assert_eq!(against("base.json", "slow.json", &["--fail-if-slower", "0%"]).0, 0);
    // For programs, too.
    let (_, _, events) = against("slow.json", "base.json", &["--json"]);
    let event: Value = serde_json::from_str(events.lines().find(|line| line.contains("compared")).unwrap()).unwrap();
    assert_eq!((&event["verdict"], &event["by"]), (&json!("slower"), &json!("rate")));
    assert!(event["changes"]["p99"]["interval"][0].as_f64().unwrap() > 1.0, "{event}");
}

#[test]
fn a_run_too_short_to_judge_is_not_passed_when_it_looks_slower() {
    let [base, slow] = [200, 100].map(|rate| Made { seconds: 1, rate, ..PLAIN });
    let folder = folder(&[("base.json", base), ("slow.json", slow)]);
    let output = report(folder.path(), &["slow.json", "--against", "base.json", "--fail-if-slower", "5%"]);
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("too few whole seconds"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("verdict: the noise does not allow one"));
}

#[test]
fn files_that_are_no_runs_are_named_with_what_is_wrong() {
    let folder = folder(&[("good.json", Made { seconds: 1, ..PLAIN })]);
    let good = fs::read_to_string(folder.path().join("good.json")).unwrap();
    let put = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    put("empty.json", "");
    put("cut.json", &good[..good.len() / 2]);
    put("next.json", &good.replacen("\"format\": 1", "\"format\": 2", 1));
    put("other.json", "{\"plays\": 3}");
    put("words.json", "S: Welcome!\n");
    put("changed.json", &good.replacen("\"exchanges\": 200", "\"exchanges\": 201", 1));
    fs::create_dir(folder.path().join("folder.json")).unwrap();
    for (name, code, why) in [
        ("nothing.json", 26, "cannot read nothing.json"),
        ("folder.json", 26, "cannot read folder.json"),
        ("empty.json", 2, "empty.json is empty"),
        ("cut.json", 2, "cut.json ends in the middle"),
        ("next.json", 2, "saved in format 2"),
        ("other.json", 2, "other.json is no saved run"),
        ("words.json", 2, "words.json:1:1"),
        ("changed.json", 2, "changed.json is damaged"),
    ] {
        for arguments in [vec![name], vec!["good.json", name], vec!["good.json", "--against", name]] {
            let output = report(folder.path(), &arguments);
            assert_code(&output, code);
            let (said, told) = (text(&output.stdout), text(&output.stderr));
            assert!(told.contains(why) && said.is_empty(), "{arguments:?}: {said}{told}");
        }
    }
    let output = report(folder.path(), &["good.json", "--fail-if-slower", "5%"]);
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("--against"), "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_written_is_exit_23_and_leaves_nothing() {
    let folder = folder(&[("a.json", Made { seconds: 1, ..PLAIN })]);
    for flag in ["--save", "--report"] {
        let output = report(folder.path(), &["a.json", flag, "no/such/folder/x"]);
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains("no/such/folder"), "{}", text(&output.stderr));
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command(&[]).current_dir(folder.path()).args(["report", "a.json"]).stdout(full).output().unwrap();
    assert_code(&output, 23);
}

#[test]
fn the_page_needs_no_network_and_no_script_and_nothing_that_a_peer_said_becomes_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(page(folder.path())).unwrap();
    for word in
        ["<script", "<img", "<a ", "<link", "<iframe", "@import", "url(", "src=", "onload=alert(1)>", "<svg onload"]
    {
        // Words of the peer stand there as words: their < is escaped, so that only its own tags are left.
        let unescaped = page.replace("&lt;img src=x", "").replace("&lt;svg onload=alert(1)&gt;", "");
        assert!(!unescaped.contains(word), "{word}");
    }
    assert!(
        page.contains("&lt;script&gt;") && page.contains("{0x1b}[31m") && page.contains("&amp;lt;"),
        "as it was said"
    );
    assert!(!page.chars().any(|c| c == '\u{202e}' || c == '\u{1b}'));
    assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none'"));
}

/// A file that is to be standard output has it for itself; a device or a pipe is written into.
#[test]
fn what_is_saved_may_go_to_standard_output_or_into_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["-q"]);
    let played = |more: &[&str]| {
        let greeting = transcript("greeting.talk");
        let load = ["load", &server.address(), "--play", greeting.to_str().unwrap(), "--plays", "2"];
        run_command(command(&[]).args([&load, more].concat()).current_dir(&folder), b"")
    };
    for name in ["-", "/dev/stdout", "/proc/self/fd/1"] {
        let output = played(&["--save", name]);
        assert_code(&output, 0);
        let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(run["plays"], 2);
        assert!(text(&output.stderr).contains("exchanges"), "{}", text(&output.stderr));
    }
    let page = played(&["--report", "-", "-q"]);
    assert!(text(&page.stdout).starts_with("<!") && !text(&page.stderr).contains("exchanges"), "{page:?}");
    assert_code(&played(&["--save", "saved.json"]), 0);
    let of_report = run_command(command(&[]).args(["report", "saved.json", "--save", "-"]).current_dir(&folder), b"");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&of_report.stdout).unwrap()["plays"], 2);
    // A device that takes nothing, and a page that becomes a transcript there.
    let full = played(&["--save", "/dev/full"]);
    assert_code(&full, 23);
    assert!(text(&full.stderr).contains("cannot write /dev/full: No space left on device"), "{}", text(&full.stderr));
    std::fs::write(folder.path().join("page"), "C: a\nS: b\n").unwrap();
    for (name, expected) in [("-", 0), ("/dev/stdout", 0), ("/dev/full", 23)] {
        let output = run_command(command(&[]).args(["import", "page", "-o", name]).current_dir(&folder), b"");
        assert_code(&output, expected);
        assert_eq!(text(&output.stdout).contains("C: a\n"), expected == 0, "{output:?}");
    }
    assert!(!folder.path().join("-").exists());
}

/// Records and captures that go to standard output are whole there, and refused where it is an end of the conversation.
#[test]
fn what_is_recorded_goes_to_standard_output_where_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "play.talk", "S: 220 hi\nC: hello\nS: hello\nC closes\n");
    let server = Server::start(&["--play", &path]);
    let address = server.address();
    for to in ["-", "/dev/stdout"] {
        let output = run(&["talk", &address, "--play", &path, "--record", to], b"");
        assert_code(&output, 0);
        let said = text(&output.stdout);
        assert!(said.starts_with("transcript 1\n") && said.contains("S: 220 hi\nC: hello\nS: hello\n"), "{said}");
        // In front of what stands in a file already nothing is lost.
        let log = folder.path().join("log");
        std::fs::write(&log, "before\n").unwrap();
        let file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
        let mut talk = command(&[]);
        talk.args(["talk", &address, "--play", &path, "--record", to]).stdout(file);
        assert_eq!(wait(&mut talk.spawn().unwrap()), 0);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("before\n{said}"));
        let output = run(&["talk", &address, "--send-only", "--record", to], b"hello\n");
        assert!(text(&output.stdout).contains("C: hello\n"), "{output:?}");
        for arguments in [
            &["talk", &address, "--record", to][..],
            &["talk", "fd:1", "--play", &path, "--record", to],
            &["relay", "0", &address, "--record", to],
            &["relay", "stdio", &address, "--pcap", to],
        ] {
            let output = run(arguments, b"");
            assert_code(&output, 2);
            assert_eq!(text(&output.stdout), "");
            assert!(text(&output.stderr).contains("name"), "{output:?}");
        }
        let mut relay = command(&[]);
        relay.args(["relay", "tcp://127.0.0.1:0", &address, "--pcap", to, "--once"]);
        let mut relay = relay.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Log::default();
        log.follow(relay.stderr.take().unwrap());
        let listens = log.wait_for("listening on ");
        let at = listens.rsplit("://").next().unwrap().to_owned();
        assert_code(&run(&["talk", &at, "--play", &path], b""), 0);
        let packets = relay.wait_with_output().unwrap();
        assert_code(&packets, 0);
        let imported = run(&["import", "-", "--exact", "--stream", "0"], &packets.stdout);
        assert!(text(&imported.stdout).contains("S: 220 hi\nC: hello\nS: hello\n"), "{imported:?}");
    }
    assert!(!std::path::Path::new("-").exists());
}
