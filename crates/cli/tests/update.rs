//! `talk --play FILE --update`: what the server says is rewritten, and the holes stay.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::*;

/// Plays `old` with `--update` against a server that says `today`; gives the new text and what was said about it. The
/// new file passes `check`, and passes when it is played again, with nothing left to update.
fn updated(old: &str, today: &str, arguments: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (mine, theirs) = (folder.path().join("old.talk"), folder.path().join("today.talk"));
    std::fs::write(&mine, old).unwrap();
    std::fs::write(&theirs, today).unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", theirs.to_str().unwrap()]);
    let address = server.address();
    let talk = |more: &[&str]| {
        let mut all = vec!["talk", &address, "--play", mine.to_str().unwrap(), "--timeout", "10s"];
        all.extend_from_slice(arguments);
        all.extend_from_slice(more);
        run(&all, b"")
    };
    let output = talk(&["--update"]);
    let (new, said) = (std::fs::read_to_string(&mine).unwrap(), text(&output.stderr).to_owned());
    assert!(output.status.success(), "{old}\n{new}\n{said}");
    let mut check = vec!["check", mine.to_str().unwrap()];
    check.extend_from_slice(arguments);
    assert_code(&run(&check, b""), 0);
    assert_code(&talk(&[]), 0);
    assert_code(&talk(&["--update"]), 0);
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), new, "it stays");
    (new, said)
}

/// A line of the server, what it says today, and the line that it becomes. The client has said its name, `Ann`.
#[track_caller]
fn becomes(line: &str, today: &str, new: &str) -> String {
    let file = |line: &str| format!("C: {{name=Ann}}\n{line}\nC: bye\n");
    let (text, said) = updated(&file(line), &format!("C: {{_=x}}\n{today}\nC: bye\n"), &[]);
    assert_eq!(text, file(new), "{said}");
    said
}

#[test]
fn a_value_stays_a_hole_wherever_it_still_stands() {
    assert!(!becomes("S: Hello, {name}!", "S: Bye, Ann!", "S: Bye, {name}!").contains("not kept"));
    becomes("S: {name} is here", "S: Ann was there", "S: {name} was there");
    becomes("S: I am {name}", "S: We are Ann", "S: We are {name}");
    becomes("S: {name} and {name}.", "S: Ann or Ann?", "S: {name} or {name}?");
    becomes("S: Hello, {name}!", "S: Ann, hello Ann!", "S: Ann, hello {name}!");
    becomes("S: Hello, {name}!", "S: Ann", "S: {name}");
    becomes("set b = Bob\nS: {name} met {b}.", "S: Today Ann saw Bob", "set b = Bob\nS: Today {name} saw {b}");
    becomes("set b = Bob\nS: {name} met {b}.", "S: Bob met Ann!", "set b = Bob\nS: {b} met {name}!");
    becomes(
        "S: {\"user\":\"{name}\",\"id\":{id:int=5}}",
        "S: {\"id\":77,\"user\":\"Ann\"}",
        "S: {\"id\":{id:int=5},\"user\":\"{name}\"}",
    );
    becomes(
        "let d = base64 {name}\nS: id {d} of {name}",
        "S: key QW5u for Ann ",
        "let d = base64 {name}\nS: key {d} for {name}{0x20}",
    );
    becomes("  S: Hello, {name}!\r", "S: Bye, Ann!", "  S: Bye, {name}!\r");
}

#[test]
fn an_empty_value_stays_a_hole_between_the_same_signs() {
    let old = "set name = \nC: hi\nS: Hello, <{name}>!\n";
    let (new, _) = updated(old, "C: hi\nS: Bye, <>!\n", &[]);
    assert_eq!(new, old.replace("Hello", "Bye"));
}

#[test]
fn a_capture_stays_as_it_was_written_where_its_pattern_still_matches() {
    becomes("S: 200 id={n:int=5} ok", "S: 250 id=77 done", "S: 250 id={n:int=5} done");
    becomes("S: 200 id={n:/[0-9]{2}|x/=12} ok", "S: 250 id=77 done", "S: 250 id={n:/[0-9]{2}|x/=12} done");
    becomes("S: 200 <{w:word=a}> ok", "S: 250 <b-c> ok", "S: 250 <{w:word=a}> ok");
    becomes("S: 200 {t:4 bytes=abcd} ok", "S: 250 zyxw done", "S: 250 {t:4 bytes=abcd} done");
    becomes("S: 200 {a:int=1} of {b:int=2}", "S: 250 7, max 9", "S: 250 {a:int=1}, max {b:int=2}");
    becomes("S: 200 {_=x} for {name}", "S: 250 token to Ann", "S: 250 {_=x} to {name}");
    becomes("S: {a=x} ready", "S: mail2 not ready yet", "S: {a=x} ready yet");
    becomes("S: {a:word=x} is {a}", "S: y was y", "S: {a:word=x} was {a}");
}

#[test]
fn a_hole_that_is_gone_is_named_with_its_line() {
    let said = becomes("S: Hello, {name}!", "S: Bye, Bob!", "S: Bye, Bob!");
    assert!(said.contains("old.talk:2: not kept: {name}"), "{said}");
    let said = becomes("S: 200 id={n:int=5} for {name}", "S: 250, Ann", "S: 250, {name}");
    assert!(said.contains("not kept: {n:int=5}"), "{said}");
    let said = becomes("S: {a:word=x} is {a}", "S: y was z", "S: {a:word=x} was z");
    assert!(said.contains("not kept: {a}"), "{said}");
}

#[test]
fn text_that_would_be_a_hole_or_could_not_be_seen_is_escaped() {
    becomes("S: Hello, {name}!", "S: {0x7b}name} is Ann", "S: {0x7b}name} is {name}");
    becomes("S: Hello, {name}!", "S: Ann {0x20}", "S: {name} {0x20}");
    becomes("S: Hello, {name}!", "S: a{0x09}Ann{0x1b}", "S: a{0x09}{name}{0x1b}");
    becomes("S: {name}", "S: {0x20}Ann", "S:  {name}");
}

#[test]
fn raw_stays_raw_and_hex_stays_hex() {
    becomes("S raw: Name {name}:{0x0a}", "S raw: User Ann:{0x0a}", "S raw: User {name}:{0x0a}");
    becomes("S hex: 05 {name} 00 01", "S hex: 06 416e6e 00 02", "S hex: 06 {name} 00 02");
    becomes("S hex: 05FF{k:1 bytes=00}", "S hex: 05FE 07", "S hex: 05FE{k:1 bytes=00}");
    becomes("S hex: 05 00\nS: ok", "S hex: 05 02\nS: ok", "S hex: 05 02\nS: ok");
}

#[test]
fn lines_inside_blocks_and_of_either_case_keep_their_holes() {
    let old = "repeat 2\n  C: {n=Ann|Bob}\n  S: Hello, {n}!\nend\nC: bye\n";
    let (new, _) = updated(old, "repeat 2\n  C: {n=Ann}\n  S: Bye, {n}!\nend\nC: bye\n", &[]);
    assert_eq!(new, old.replace("Hello", "Bye"));
    let old = "ignore case\nC: {n=Ann}\nin any order\n  S: HELLO, {n}!\n  S: two\nend\n";
    let (new, _) = updated(old, "C: {n=Ann}\nS: two\nS: hello dear {n}!\n", &[]);
    assert_eq!(new, old.replace("HELLO, ", "hello dear "));
    let old = "either\n  C: I am {n=Ann}\n  S: Hello, {n}!\nor\n  C: no\nend\n";
    let (new, _) = updated(old, "C: I am {n=Ann}\nS: Bye, {n}!\n", &[]);
    assert_eq!(new, old.replace("Hello", "Bye"));
}

#[test]
fn values_from_outside_stay_holes_and_secrets_are_never_written() {
    let old = "C: PASS {pw}\nS: {user} has {pw}.\n";
    let today = "C: PASS {_=x}\nS: Mind: carol uses s3cret\n";
    let (new, said) = updated(old, today, &["--set", "user=carol", "--secret", "pw=s3cret"]);
    assert_eq!(new, "C: PASS {pw}\nS: Mind: {user} uses {pw}\n");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_line_that_lacks_what_is_used_below_stays_and_the_hole_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, theirs) = (folder.path().join("old.talk"), folder.path().join("today.talk"));
    let old = "S: id={n:int=5}\nC: {n}\n";
    std::fs::write(&mine, old).unwrap();
    std::fs::write(&theirs, "S: none\nC: {_=x}\n").unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", theirs.to_str().unwrap()]);
    let output = run(&["talk", &server.address(), "--play", mine.to_str().unwrap(), "--update"], b"");
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("old.talk:1: not written anew: {n:int=5}"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), old);
}

#[test]
fn lines_of_a_second_connection_are_written_anew_as_those_of_the_first() {
    let file = |said: &str, bytes: &str, last: &str| {
        format!("C: {{name=Ann}}\nC2 connects\nC2: hello\n{said}\n{bytes}\nS raw: first\nC2 closes\n{last}\n")
    };
    let today = file("S2: Bye, Ann!", "S2 raw: fast", "S: that was it, Ann").replace("{name=Ann}", "{_=x}");
    let (new, said) = updated(&file("S2: Hello, {name}!", "S2 raw: slow", "S: it was {name}"), &today, &[]);
    assert_eq!(new, file("S2: Bye, {name}!", "S2 raw: fast", "S: that was it, {name}"), "{said}");
}

#[test]
fn a_line_of_a_file_that_is_included_stays_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let included = "# ours\nS: Welcome!\n";
    std::fs::write(path("hello.talk"), included).unwrap();
    // Its own line is rewritten; behind it nothing can be.
    std::fs::write(path("old.talk"), "S: one\ninclude hello.talk\nC: Ann\n").unwrap();
    std::fs::write(path("today.talk"), "S: two\nS: Hi!\nC: Ann\n").unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path("today.talk")]);
    let output = run(&["talk", &server.address(), "--play", &path("old.talk"), "--timeout", "10s", "--update"], b"");
    assert_code(&output, 1);
    let said = text(&output.stderr);
    assert!(said.contains("hello.talk:2: not written anew: --update changes the file that is played"), "{said}");
    assert_eq!(std::fs::read_to_string(path("hello.talk")).unwrap(), included);
    assert!(std::fs::read_to_string(path("old.talk")).unwrap().starts_with("S: two\n"), "{said}");
}

#[test]
fn what_is_hard_to_write_down_is_written_so_that_it_passes_over_streams_and_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, theirs) = (folder.path().join("old.talk"), folder.path().join("today.talk"));
    let (mine, theirs) = (mine.to_str().unwrap(), theirs.to_str().unwrap());
    let lines = [
        ("S: old", "S: {0x7b}x} \\ # {0xff}{0x1b}[1m{0x20}"),
        ("S: {{0x41}", "S: {0x7b}x}"),
        ("S: {0x41}}", "S: {0x7b}x}"),
        ("S: {x=1} old", "S: {0x7b}0x41} {0x20}"),
        ("S: # old", "S: {0x23}{0x09}"),
        ("S raw: old{0x0a}", "S raw: {0x7b}x=1|2}{0x0d}{0x0a}"),
    ];
    for scheme in ["tcp", "udp"] {
        for (old, today) in lines {
            std::fs::write(mine, format!("C: hi\n{old}\n")).unwrap();
            std::fs::write(theirs, format!("C: hi\n{today}\n")).unwrap();
            let server = Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &["--play", theirs]);
            let address = format!("{scheme}://{}", server.address());
            let talk = ["talk", &address, "--play", mine, "--timeout", "10s"];
            let output = run(&[&talk[..], &["--update"]].concat(), b"");
            let new = std::fs::read_to_string(mine).unwrap();
            assert_code(&output, 0);
            assert!(!new.contains(old), "{scheme} {old}: {}", text(&output.stderr));
            assert_code(&run(&talk, b""), 0);
        }
    }
}

/// Every play that fails has a reason why its line stays, where that is about what is written.
#[test]
fn what_is_not_written_anew_has_a_reason() {
    for (old, today, line, says) in [
        ("S: hi\neither\n  S: a\nor\n  S: b\nend\nC: x\n", "S: hi\nS: c\nC: x\n", 3, "several lines may stand there"),
        (
            "repeat\n  S: item {n:int=1}\nend\nS: over\nC: x\n",
            "S: item 1\nS: item 2\nS: none\nC: x\n",
            0,
            "several lines may",
        ),
        ("S: a\nS: b\nS closes\n", "S: a\nS closes\n", 2, "nothing came for it: it may have to be taken out"),
        ("S: a\nS: b\nC: x\n", "S: a\nC: x\n", 2, "nothing came for it"),
        ("S: a\nS closes\n", "S: a\nS: b\nS closes\n", 2, "more came than is written: a line is missing before it"),
        ("eol crlf\nS: a\nC: x\n", "eol lf\nS: a\nC: x\n", 2, "its text is right and its line ending is not"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (mine, theirs) = (folder.path().join("old.talk"), folder.path().join("today.talk"));
        std::fs::write(&mine, old).unwrap();
        std::fs::write(&theirs, today).unwrap();
        let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", theirs.to_str().unwrap()]);
        let arguments = ["talk", &server.address(), "--play", mine.to_str().unwrap(), "--update", "--timeout", "1s"];
        let output = run(&arguments, b"");
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{old}: {said}");
        let place =
            if line > 0 { format!("old.talk:{line}: not written anew: ") } else { "not written anew: ".to_owned() };
        assert!(said.contains(&format!("{place}{says}")) || line == 0 && said.contains(says), "{old}: {said}");
        assert_eq!(std::fs::read_to_string(&mine).unwrap(), old);
    }
}
