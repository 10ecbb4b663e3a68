//! `check`: what it judges, what it only notes, which branches it played; and values for names that no transcript has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::*;

fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("check.talk");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_difference_over_a_carrier_that_the_file_does_not_name_is_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let many = format!("C: go\n{}", "S: a line of several that follow each other\n".repeat(600));
    let long = format!("C: go\nS raw: {}\n", "x".repeat(65_508));
    let empty = "C: go\nS: ok\nC:\nS: end\n";
    for (text, over_udp) in [(&many[..], ""), (&long, "over UDP: no"), (empty, "")] {
        for at in ["", "at tcp://127.0.0.1:7000\n"] {
            let output = run(&["check", &file(&folder, &format!("{at}{text}"))], b"");
            assert_code(&output, 0);
            let shown = support::text(&output.stdout);
            assert!(shown.contains("they agree") && shown.contains(over_udp), "{shown}");
        }
    }
    // Where UDP is named it is judged.
    let output = run(&["check", &file(&folder, &format!("at udp://127.0.0.1:7000\n{empty}"))], b"");
    assert_code(&output, 1);
}

/// Many messages that follow each other are no fault of a file, though a socket could not hold all of them.
#[test]
fn many_datagrams_in_a_row_are_told_and_judged_by_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    for count in [1000, 2000] {
        for text in [
            format!("in any order\n{}end\nS: ok\n", lines(count, &|n| format!("  C raw: command {n};\n"))),
            format!("in any order\n{}end\nS: ok\n", lines(count, &|n| format!("  C hex: {n:08x}\n"))),
            format!("in any order\n{}end\nS: ok\n", lines(count, &|n| format!("  C: command {n}\n"))),
            format!("C: go\n{}", lines(count, &|n| format!("S: line {n}\n"))),
        ] {
            let output = run(&["check", &file(&folder, &format!("at udp://127.0.0.1:7000\n{text}"))], b"");
            assert_code(&output, 0);
            let shown = support::text(&output.stdout);
            let told = format!("over UDP: yes; {count} datagrams follow each other there, more than the queue");
            assert!(shown.contains(&told) && shown.contains("they agree"), "{shown}");
        }
    }
    let few = format!("in any order\n{}end\nS: ok\n", lines(100, &|n| format!("  C raw: command {n};\n")));
    let output = run(&["check", &file(&folder, &format!("at udp://127.0.0.1:7000\n{few}"))], b"");
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains("over UDP: yes\n"), "{}", text(&output.stdout));
}

#[test]
fn the_branches_that_were_not_played_are_named_and_played_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "either\n  C: a\n  S: A\nor\n  C: b\n  S: B\nor\n  C: c\n  S: C\nend\n");
    let output = run(&["check", &path], b"");
    assert_code(&output, 0);
    let shown = text(&output.stdout);
    assert!(shown.contains("they agree; not played: the branches at lines 5, 8 (--all-branches"), "{shown}");
    // What may come at any time comes in no rehearsal.
    let talk = "at any time\n  S: PING\n  C: PONG\nend\nC: a\nS: b\n";
    for more in [&[][..], &["--all-branches"]] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("any.talk");
        std::fs::write(&file, talk).unwrap();
        let output = run(&[&["check", file.to_str().unwrap()], more].concat(), b"");
        assert_code(&output, 0);
        let says = "the branch at line 2 cannot be played: neither end begins by itself what may come at any time";
        assert!(text(&output.stdout).contains(says), "{}", text(&output.stdout));
    }
    let output = run(&["check", "--all-branches", &path], b"");
    assert_code(&output, 0);
    assert!(text(&output.stdout).trim_end().ends_with("they agree"), "{}", text(&output.stdout));
    // A branch that its two ends see differently is found only then.
    let path =
        file(&folder, "set x = a\neither\n  C: go\n  S: fine\nor\n  C: other\n  S raw: {n:int=7}\n  S: more\nend\n");
    let output = run(&["check", "--all-branches", &path], b"");
    assert!(text(&output.stdout).contains("as client: no") || code(&output) != 0, "{}", text(&output.stdout));
}

#[test]
fn a_value_for_a_name_that_no_transcript_has_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "C: {name=Ann}\nS: Hello, {name}!\n");
    let rows = folder.path().join("rows.csv");
    std::fs::write(&rows, "nmae\nBob\n").unwrap();
    let rows = rows.display().to_string();
    for arguments in [
        &["check", "--set", "nmae=x", &path][..],
        &["check", "--secret", "nmae=x", &path],
        &["serve", "tcp://127.0.0.1:0", "--play", &path, "--set", "nmae=x"],
        &["serve", "tcp://127.0.0.1:0", "--play", &path, "--secret", "nmae=x"],
        &["talk", "127.0.0.1:9", "--play", &path, "--set", "nmae=x"],
        &["talk", "127.0.0.1:9", "--play", &path, "--secret", "nmae=x"],
        &["talk", "127.0.0.1:9", "--play", &path, "--data", &rows],
    ] {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("did you mean `name`?"), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_code(&run(&["check", "--set", "name=x", &path], b""), 0);
}

/// A file that names where it is and cannot be played there is no file that passes, although it could be played elsewhere.
#[test]
fn a_file_is_judged_over_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let big = format!("C: a\nS raw: {}\n", "x".repeat(70_000));
    let streams = ["tcp://127.0.0.1:0", "unix:/x", "tls://127.0.0.1:0"];
    let datagrams = ["udp://127.0.0.1:0", "unix-dgram:/x"];
    for (conversation, words) in [
        ("C: a\nS resets\n", "`resets` has no meaning over datagrams"),
        ("C: a\nC stops sending\nS: b\nS closes\n", "`stops sending` has no meaning over datagrams"),
        ("S: hi\nC: a\n", "a server cannot speak first over datagrams"),
        (
            "set k = a\nchoose {k}\nis a\n  S: hi\nelse\n  C: b\nend\nC: a\n",
            "a server cannot speak first over datagrams",
        ),
        ("C: a\nS: b\nC closes\nC connects\nC: c\nS: d\n", "over datagrams"),
        (&*big, "a datagram holds 65507 bytes"),
    ] {
        for (addresses, code) in [(&streams[..], 0), (&datagrams, 2)] {
            for at in addresses {
                let path = file(&folder, &format!("at {at}\n{conversation}"));
                let output = run(&["check", &path], b"");
                assert_code(&output, code);
                let said = text(&[&output.stdout[..], &output.stderr].concat());
                assert!(said.contains(words), "{at} {words}: {said}");
            }
        }
    }
    // Packets have an end and no TLS.
    for (conversation, code) in [("S: hi\nC: a\nC closes\n", 0), ("C: a\nS: b\nstarttls\nC: c\nS: d\n", 2), (&*big, 2)]
    {
        let path = file(&folder, &format!("at unix-seqpacket:/x\n{conversation}"));
        assert_code(&run(&["check", &path], b""), code);
    }
}

/// A reset comes behind what was said before it, as on a socket.
#[test]
fn a_file_that_ends_with_a_line_and_a_reset_agrees() {
    let folder = tempfile::tempdir().unwrap();
    for conversation in [
        "C: QUIT\nS: 221 bye\nS resets\n",
        "C: a\nC resets\n",
        "C: a\nS: b\nS resets\nC connects\nC: c\nS: d\nC closes\n",
        "S: a\nC raw: no line\nC resets\n",
    ] {
        let path = file(&folder, conversation);
        assert_code(&run(&["check", &path], b""), 0);
    }
    let path = file(&folder, "C: a\nS: b\nS resets\n");
    assert_code(&run(&["check", "--all-branches", &path], b""), 0);
}

/// What was not played is not said to agree: neither in words nor as JSON.
#[test]
fn a_conversation_that_is_too_long_is_played_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    for long in [
        "repeat 4000000000\n  C waits 1ms\nend\nC: never\nS: reached\n",
        "repeat 60000\n  repeat 60000\n    S waits 1ms\n  end\nend\nC: never\nS: reached\n",
        "set x = 1\nrepeat 4000000000\n  let x = length {x}\nend\nC: {x}\nS: b\n",
    ] {
        let path = file(&folder, long);
        let output = run(&["check", &path], b"");
        assert_code(&output, 0);
        let said = text(&output.stdout);
        let bound = "it is too long to play to its end (4,000,000 steps, or 16 MiB from one end)";
        assert!(said.contains(bound), "{said}");
        let output = run(&["check", "--json", &path], b"");
        let last = text(&output.stdout).lines().last().unwrap().to_owned();
        assert!(last.contains("\"agree\":null") && last.contains("\"too_long\":true"), "{last}");
    }
}

#[test]
fn a_transcript_may_come_on_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "greeting.talk", "S: Welcome!\n");
    // What it includes stands in the current folder.
    let mut command = command(&[]);
    let output = run_command(command.args(["check", "-"]).current_dir(folder.path()), b"include greeting.talk\nC: a\n");
    assert_code(&output, 0);
    assert!(text(&output.stdout).starts_with("<stdin>: as client: yes\n"), "{}", text(&output.stdout));
    let output = run(&["check", "-"], b"S: hi\nX\n");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("--> <stdin>:2:1"), "{}", text(&output.stderr));
    let output = run(&["check", "--format", "-"], b"\xef\xbb\xbfS: hi\r\n");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "S: hi\n");
    let output = run(&["check", "--format", "--write", "-"], b"S: hi\n");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("`-` is standard input"), "{}", text(&output.stderr));
    // A file of that name is still to be had.
    write(folder.path(), "-", "S: hi\n");
    assert_code(&run(&["check", &format!("{}/-", folder.path().display())], b""), 0);
}

#[test]
fn a_file_at_a_websocket_is_judged_over_messages_and_with_binary_over_a_stream() {
    let folder = tempfile::tempdir().unwrap();
    let conversation = "C: a\nS: b\nC stops sending\nS: c\n";
    for (address, code) in [("ws://127.0.0.1/", 2), ("wss://127.0.0.1/?binary=off", 2), ("ws://127.0.0.1/?binary", 0)] {
        let path = file(&folder, &format!("at {address}\n{conversation}"));
        let output = run(&["check", &path], b"");
        assert_code(&output, code);
        let said = text(&output.stderr).to_owned() + &text(&output.stdout);
        assert_eq!(said.contains("a WebSocket ends in both directions at once"), code != 0, "{address}: {said}");
    }
}

/// HTTP is what such a transcript says, line by line: no verb plays it at an address of pages, and the file does not pass.
#[test]
fn a_transcript_at_an_address_of_pages_is_refused_with_the_address_where_it_plays() {
    let folder = tempfile::tempdir().unwrap();
    for (at, instead) in [
        ("http://127.0.0.1:8080", "at tcp://127.0.0.1:8080"),
        ("http://127.0.0.1", "at tcp://127.0.0.1:80"),
        ("HTTP://localhost/a?b", "at tcp://localhost:80"),
        ("https://localhost", "at tls://localhost:443"),
        ("https://[::1]:8443/", "at tls://[::1]:8443"),
        ("https://[::1]", "at tls://[::1]:443"),
    ] {
        let path = file(&folder, &format!("at {at}\nC: a\nS: b\n"));
        for arguments in [&["check", &path][..], &["talk", "--play", &path]] {
            let output = run(arguments, b"");
            assert_code(&output, 2);
            assert!(text(&output.stderr).contains(&format!("write `{instead}`")), "{at}: {}", text(&output.stderr));
        }
        let path = file(&folder, &format!("{instead}\nC: a\nS: b\n"));
        assert_code(&run(&["check", &path], b""), 0);
    }
}
