//! The sweep catches programs that are bad on purpose.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// A program of a few lines that stands in for ours. Tests that run beside each other may use the same scenario.
fn script(name: &str, text: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(format!("faults-{name}-{process}-{number}"));
    fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What the sweep says of a program in a scenario.
fn verdict(scenario: &str, text: &str, patience: Duration) -> (Verdict, String) {
    let program = script(scenario, text);
    let all = scenarios::all();
    let scenario = all.iter().find(|one| one.name == scenario).unwrap();
    let stage = Stage::set(&program, Tracing::Off, patience).unwrap();
    let outcome = (scenario.play)(&stage);
    let _ = fs::remove_file(program);
    judge(None, &outcome, &[0, 1, 2, 7, 23, 130])
}

/// Joins itself to the address that is its second argument, as `talk` does.
const TALKS: &str = "exec 3<>/dev/tcp/${2%:*}/${2#*:}; cat >&3; ";

#[test]
fn a_program_that_says_0_with_bytes_missing_is_caught() {
    let (found, why) = verdict("talk-null", &format!("{TALKS} head -c 100 <&3; exit 0"), PATIENCE);
    assert_eq!(found, Verdict::Lost, "{why}");
    let (found, why) = verdict("import-stdout", "head -n 1; exit 0", PATIENCE);
    assert_eq!(found, Verdict::Lost, "{why}");
    let (found, why) = verdict("fetch-file", "echo HTTP/1.1 200; exit 0", PATIENCE);
    assert_eq!(found, Verdict::Lost, "{why}");
}

#[test]
fn a_program_that_does_not_end_is_caught() {
    let (found, why) = verdict("import-stdout", "exec sleep 60", Duration::from_millis(200));
    assert_eq!(found, Verdict::Hung, "{why}");
}

#[test]
fn a_program_that_aborts_or_panics_is_caught() {
    for text in ["kill -ABRT $$", "exit 134", "exit 101", "echo 'thread main panicked at x.rs:1' >&2; exit 1"] {
        assert_eq!(verdict("import-stdout", text, PATIENCE).0, Verdict::Aborted, "{text}");
    }
    assert_eq!(verdict("import-stdout", "kill -KILL $$", PATIENCE).0, Verdict::Aborted, "a kill that is not ours");
}

#[test]
fn a_program_that_leaves_half_a_file_is_caught() {
    for end in ["exit 23", "exit 0", "kill -ABRT $$"] {
        let (found, _) =
            verdict("check-format", &format!("printf 'S: Wel' >a.talk; echo disk full >&2; {end}"), PATIENCE);
        assert!(found == Verdict::Harmed || end.contains("ABRT"), "{end}: {}", found.name());
    }
    assert_eq!(verdict("check-format", "rm a.talk; echo gone >&2; exit 23", PATIENCE).0, Verdict::Harmed);
}

#[test]
fn an_error_needs_a_code_of_the_table_and_words() {
    assert_eq!(verdict("import-stdout", "echo why >&2; exit 77", PATIENCE).0, Verdict::Unlisted);
    assert_eq!(verdict("import-stdout", "exit 23", PATIENCE).0, Verdict::Silent);
    assert_eq!(verdict("import-stdout", "echo why >&2; exit 23", PATIENCE).0, Verdict::Refused);
    // Where the fault is that nothing can be written, no word is expected.
    let outcome = || {
        let program = script("mute", "exit 23");
        let stage = Stage::set(&program, Tracing::Off, PATIENCE).unwrap();
        let outcome = (scenarios::all().iter().find(|one| one.name == "import-stdout").unwrap().play)(&stage);
        let _ = fs::remove_file(program);
        outcome
    };
    let case = |text: &str| text.parse::<Case>().unwrap();
    assert_eq!(judge(Some(&case("import-stdout:write:EIO:1")), &outcome(), &[23]).0, Verdict::Refused);
    assert_eq!(judge(Some(&case("import-stdout:read:EIO:1")), &outcome(), &[23]).0, Verdict::Silent);
}

#[test]
fn a_server_that_one_client_ends_is_caught() {
    // nc serves one client and ends.
    let text = "echo listening on it >&2; exec nc.openbsd -l ${2%:*} ${2#*:} </dev/null >/dev/null";
    let (found, why) = verdict("serve-port-file", text, Duration::from_secs(5));
    assert!(found.is_bad(), "{}: {why}", found.name());
    let text = "exec python3 - ${2#tcp://} <<'EOF'\nimport os, signal, socket, sys\n\
                signal.signal(signal.SIGTERM, signal.SIG_IGN)\nhost, port = sys.argv[1].split(':')\n\
                s = socket.create_server((host, int(port)))\nprint('listening on', file=sys.stderr, flush=True)\n\
                c, _ = s.accept()\nc.close()\nos._exit(0)\nEOF";
    // It ends by itself, however soon it is asked to.
    let (found, why) = verdict("serve-echo", text, PATIENCE);
    assert_eq!(found, Verdict::Harmed, "{why}");
}

#[test]
fn a_program_that_does_all_is_fine() {
    let (found, why) = verdict(
        "talk-pipe",
        &format!("{TALKS} python3 -c 'import socket; socket.socket(fileno=3).shutdown(1)'; cat <&3"),
        PATIENCE,
    );
    assert_eq!(found, Verdict::Fine, "{why}");
}

#[test]
fn a_fault_and_a_kill_reach_the_program() {
    let program = script("reached", "echo x || { echo no room >&2; exit 23; }");
    let all = scenarios::all();
    let scenario = all.iter().find(|one| one.name == "import-stdout").unwrap();
    for (case, expected) in
        [("import-stdout:write:ENOSPC:1", Verdict::Refused), ("import-stdout:write:KILL:1", Verdict::Killed)]
    {
        let case: Case = case.parse().unwrap();
        let (found, why) = attempt(&case, scenario, &program, &[23]);
        assert_eq!(found, expected, "{case}: {why}");
    }
    let _ = fs::remove_file(program);
}
